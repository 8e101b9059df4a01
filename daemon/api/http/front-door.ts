import { ApiError } from '../../apimachinery/api-error.ts';
import type { Identity } from '../../client/api-client.ts';
import type { Logger } from '../../log/logger.ts';
import { StoreError } from '../../store/store.ts';
import type { AuditedRequest, AuditLog } from '../audit/audit-log.ts';
import type { AuthenticatorChain, Credentials } from '../authentication/authenticator.ts';
import { impersonate } from '../authentication/impersonation.ts';
import type { Attributes, AuthorizerChain } from '../authorization/authorizer.ts';
import { storeFailure } from '../registry/object-store.ts';
import { badRequest, internalError, timeout, unauthorized } from '../status-errors.ts';
import { clientWentAway, type Exchange } from './exchange.ts';
import { InflightLimit } from './inflight-limit.ts';
import { parseRequest, type RequestInfo } from './request-info.ts';
import { observeRequest } from './request-metrics.ts';
import type { ResourceHandler } from './resource-handler.ts';
import { commonHeaders, sendError, sendText } from './response.ts';

/** As kube-apiserver's `--request-timeout`: for what has not begun to answer. */
const requestTimeoutMs = 60_000;

function timedOut(): ApiError {
  return timeout('request did not complete within the allotted timeout', 0) as ApiError;
}

/** A request that is not about a resource. */
export interface PathContext {
  readonly exchange: Exchange;
  readonly info: RequestInfo;
  readonly identity: Identity;
}

/** Yields false when the path is not one of its own. */
export type PathHandler = (context: PathContext) => boolean | Promise<boolean>;

export interface FrontDoorOptions {
  readonly authenticators: AuthenticatorChain;
  readonly authorizer: AuthorizerChain;
  readonly resources: ResourceHandler;
  readonly paths: PathHandler;
  /** Answers what other servers serve. */
  readonly aggregated?: PathHandler;
  readonly audit?: AuditLog;
  readonly logger: Logger;
}

/** Every request's way in: who is it, may they, what is it about; and every failure's way out. */
export class FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #limit = new InflightLimit();

  constructor(options: FrontDoorOptions) {
    this.#options = options;
  }

  async handle(exchange: Exchange): Promise<void> {
    const started = performance.now();
    const info = parseRequest(exchange.method, exchange.url);
    const warnings: string[] = [];
    let audited: AuditedRequest | undefined;
    const deadline = setTimeout(() => {
      if (exchange.status === 0) sendError(exchange, timedOut());
    }, requestTimeoutMs);
    try {
      if (info === undefined) throw badRequest('invalid URL escape in the request path');
      await this.#serve(exchange, info, warnings, (caller, identity) => {
        audited = this.#options.audit?.begin(exchange, info, caller, identity);
      });
    } catch (error) {
      const failure = this.#failureOf(error, exchange);
      sendError(exchange, failure, warnings);
    } finally {
      clearTimeout(deadline);
    }
    audited?.end();
    const code = exchange.status || 200;
    if (info !== undefined) observeRequest(info, code !== 404, code, (performance.now() - started) / 1000);
  }

  /** `known`: told who asks, and as whom, before they are let in. */
  async #serve(
    exchange: Exchange,
    info: RequestInfo,
    warnings: string[],
    known: (caller: Identity, identity: Identity) => void,
  ): Promise<void> {
    const { authenticators, authorizer, resources, paths, aggregated } = this.#options;
    const credentials = credentialsOf(exchange);
    const caller = await authenticators.authenticate(credentials);
    if (caller === undefined) throw unauthorized();
    const identity =
      exchange.headers['impersonate-user'] === undefined && !asksForImpersonation(exchange)
        ? caller
        : impersonate(caller, credentials, authorizer);
    known(caller, identity);
    authorizer.require(attributesOf(identity, info));
    const leave = this.#limit.enter(info, identity);
    if (leave === undefined) {
      sendText(exchange, 429, 'Too many requests, please try again later.\n', {
        ...commonHeaders(exchange),
        'Retry-After': '1',
      });
      return;
    }
    try {
      if (aggregated !== undefined && (await aggregated({ exchange, info, identity }))) return;
      const { resource } = info;
      if (resource !== undefined) await resources.handle({ exchange, info, request: resource, identity, warnings });
      else await paths({ exchange, info, identity });
    } finally {
      leave();
    }
  }

  #failureOf(error: unknown, exchange: Exchange): ApiError {
    if (error instanceof ApiError) return error;
    if (error instanceof StoreError) return storeFailure(error) as ApiError;
    const message = error instanceof Error ? error.message : String(error);
    if (message !== clientWentAway) {
      this.#options.logger.error(
        { err: error, method: exchange.method, url: exchange.url },
        'request failed unexpectedly',
      );
    }
    return internalError(message);
  }
}

function asksForImpersonation(exchange: Exchange): boolean {
  const { headers } = exchange;
  if (headers['impersonate-group'] !== undefined || headers['impersonate-uid'] !== undefined) return true;
  for (const name in headers) if (name.startsWith('impersonate-extra-')) return true;
  return false;
}

function attributesOf(identity: Identity, info: RequestInfo): Attributes {
  const { resource } = info;
  if (resource === undefined) return { identity, verb: info.verb, path: info.path };
  const fieldSelector = info.query.get('fieldSelector');
  return {
    identity,
    verb: info.verb,
    resource: fieldSelector === null ? resource : { ...resource, fieldSelector },
  };
}

export function credentialsOf(exchange: Exchange): Credentials {
  const values = (name: string): readonly string[] => {
    const { http1, headers } = exchange;
    if (http1 !== undefined) return http1.request.headersDistinct[name] ?? [];
    const value = headers[name];
    return value === undefined ? [] : typeof value === 'string' ? value.split(', ') : value;
  };
  return {
    socket: exchange.socket,
    header: (name) => {
      const value = exchange.headers[name];
      return typeof value === 'string' ? value : value?.[0];
    },
    headers: values,
    headerNames: () => Object.keys(exchange.headers),
  };
}
