import { Agent, request as httpsRequest } from 'node:https';
import { isApiError } from '../../apimachinery/api-error.ts';
import { withCondition } from '../../apimachinery/conditions.ts';
import type { APIService, APIServiceCondition } from '../../apimachinery/types/apiregistration-v1.ts';
import type { Identity } from '../../client/api-client.ts';
import type { Logger } from '../../log/logger.ts';
import { selfWrite } from '../bootstrap/bootstrap.ts';
import type { Discovery, ForeignVersion } from '../discovery/discovery.ts';
import type { PathContext } from '../http/front-door.ts';
import { sendText } from '../http/response.ts';
import { passThrough, passUpgrade } from '../kubelet/pass-through.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { Registry } from '../registry/registry.ts';
import { type ExtensionTarget, targetOf, type Unavailable } from './availability.ts';

const resyncMs = 30_000;
const settleMs = 50;
const checkTimeoutMs = 5000;
const maxDocumentBytes = 4 * 1024 * 1024;

/** What this server shows to extension servers: a certificate that may name users in headers. PEM. */
export interface ProxyClient {
  readonly cert: string;
  readonly key: string;
}

interface Extension {
  readonly service: APIService;
  readonly target: ExtensionTarget | undefined;
  readonly agent: Agent;
  readonly isAvailable: boolean;
}

const groupVersionPath = /^\/apis\/([^/]+)\/([^/]+)(?:\/|$)/;
const checker: Identity = { name: 'system:kube-aggregator', groups: ['system:masters'] };

function identityHeaders(identity: Identity): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { 'x-remote-user': identity.name };
  if (identity.uid !== undefined) headers['x-remote-uid'] = identity.uid;
  if (identity.groups.length > 0) headers['x-remote-group'] = [...identity.groups];
  for (const [name, values] of Object.entries(identity.extra ?? {})) {
    headers[`x-remote-extra-${encodeURIComponent(name).toLowerCase()}`] = [...values];
  }
  return headers;
}

/**
 * The aggregation layer: group versions whose APIService names a Service are answered by the server behind it. Who asks is
 * told in headers; whether it can be asked shows in the condition `Available`.
 */
export class Aggregator {
  readonly #registry: Registry;
  readonly #discovery: Discovery;
  readonly #client: ProxyClient | undefined;
  readonly #logger: Logger;
  readonly #extensions = new Map<string, Extension>();
  readonly #documents = new Map<string, ForeignVersion>();
  #stops: (() => void)[] = [];
  #resync: NodeJS.Timeout | undefined;
  #settle: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #wanted = false;
  #stopped = false;

  constructor(registry: Registry, discovery: Discovery, client: ProxyClient | undefined, logger: Logger) {
    this.#registry = registry;
    this.#discovery = discovery;
    this.#client = client;
    this.#logger = logger;
  }

  start(): void {
    const changed = () => {
      this.#settle ??= setTimeout(() => {
        this.#settle = undefined;
        void this.#check();
      }, settleMs);
    };
    const follow = (group: string, resource: string, always: boolean) =>
      this.#registry.hub.cacheOf(this.#registry.require(group, 'v1', resource)).subscribe(() => {
        if (always || this.#extensions.size > 0) changed();
      });
    this.#stops = [
      follow('apiregistration.k8s.io', 'apiservices', true),
      follow('', 'services', false),
      follow('discovery.k8s.io', 'endpointslices', false),
    ];
    this.#resync = setInterval(() => void this.#check(), resyncMs);
    this.#resync.unref();
    void this.#check();
  }

  stop(): void {
    this.#stopped = true;
    for (const stop of this.#stops) stop();
    clearInterval(this.#resync);
    clearTimeout(this.#settle);
    for (const { agent } of this.#extensions.values()) agent.destroy();
  }

  /** Passes a request on when its group version is another server's; false when it is not. */
  async serve({ exchange, info, identity }: PathContext): Promise<boolean> {
    if (this.#extensions.size === 0) return false;
    const match = groupVersionPath.exec(info.path);
    const extension = match === null ? undefined : this.#extensions.get(`${match[1]}/${match[2]}`);
    if (extension === undefined) return false;
    const { isAvailable, target, agent } = extension;
    if (target === undefined || !isAvailable) {
      sendText(exchange, 503, 'service unavailable\n');
      return true;
    }
    const upstream = {
      protocol: 'https' as const,
      host: target.host,
      port: target.port,
      path: exchange.url,
      agent,
      headers: { ...identityHeaders(identity), host: `${target.servername}:${target.port}` },
    };
    const upgrade = exchange.headers.upgrade !== undefined && exchange.http1?.head !== undefined;
    await (upgrade ? passUpgrade(exchange, upstream) : passThrough(exchange, upstream));
    return true;
  }

  /** Looks at every extension server; one round at a time, and one more when something has changed meanwhile. */
  #check(): Promise<void> {
    this.#wanted = true;
    this.#running ??= (async () => {
      while (this.#wanted && !this.#stopped) {
        this.#wanted = false;
        await this.#checkAll();
      }
    })()
      .catch((error: unknown) => this.#logger.warn({ err: error }, 'cannot check the API services'))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #checkAll(): Promise<void> {
    const row = this.#registry.require('apiregistration.k8s.io', 'v1', 'apiservices');
    const services = this.#registry.hub
      .cacheOf(row)
      .list('')
      .map((stored) => stored.object as APIService)
      .filter(({ spec }) => spec?.service !== undefined && spec.group !== undefined);
    const names = new Set(services.map(({ spec }) => `${spec.group}/${spec.version}`));
    for (const [name, { agent }] of this.#extensions) {
      if (names.has(name)) continue;
      this.#extensions.delete(name);
      this.#documents.delete(name);
      agent.destroy();
    }
    await Promise.all(services.map((service) => this.#checkOne(service)));
    this.#discovery.setForeign([...this.#documents.values()]);
  }

  async #checkOne(service: APIService): Promise<void> {
    const { spec } = service;
    const name = `${spec.group}/${spec.version}`;
    const found = targetOf(this.#registry, spec);
    const target = 'host' in found ? found : undefined;
    const wasAvailable = this.#extensions.get(name)?.isAvailable === true;
    const agent = this.#agentFor(name, service, target);
    this.#extensions.set(name, { service, target, agent, isAvailable: wasAvailable });
    const resources = target === undefined ? undefined : await this.#resources(name, target, agent);
    const problem = target === undefined ? (found as Unavailable) : 'reason' in resources! ? resources : undefined;
    // What it served stays listed while it is away, as something that may be out of date.
    const known = this.#documents.get(name)?.resources ?? [];
    this.#documents.set(name, {
      group: spec.group!,
      version: spec.version!,
      resources: resources !== undefined && 'list' in resources ? resources.list : known,
      isStale: problem !== undefined,
    });
    this.#extensions.set(name, { service, target, agent, isAvailable: problem === undefined });
    this.#discovery.setForeign([...this.#documents.values()]);
    await this.#writeCondition(service, {
      type: 'Available',
      ...(problem === undefined
        ? { status: 'True', reason: 'Passed', message: 'all checks passed' }
        : { status: 'False', ...problem }),
    });
  }

  #agentFor(name: string, { spec }: APIService, target: ExtensionTarget | undefined): Agent {
    const before = this.#extensions.get(name);
    const same =
      before?.target?.servername === target?.servername &&
      before?.service.spec.caBundle === spec.caBundle &&
      before?.service.spec.insecureSkipTLSVerify === spec.insecureSkipTLSVerify;
    if (before !== undefined && same) return before.agent;
    before?.agent.destroy();
    return new Agent({
      keepAlive: true,
      ...(this.#client === undefined ? {} : { cert: this.#client.cert, key: this.#client.key }),
      ...(spec.caBundle ? { ca: Buffer.from(spec.caBundle, 'base64').toString() } : {}),
      ...(spec.insecureSkipTLSVerify === true ? { rejectUnauthorized: false } : {}),
      ...(target === undefined ? {} : { servername: target.servername }),
    });
  }

  /** The document of the group version, which also proves that the server is there. */
  async #resources(
    name: string,
    { host, port }: ExtensionTarget,
    agent: Agent,
  ): Promise<{ readonly list: ForeignVersion['resources'] } | Unavailable> {
    const url = `https://${host.includes(':') ? `[${host}]` : host}:${port}/apis/${name}`;
    const failed = (why: string) => ({ reason: 'FailedDiscoveryCheck', message: why });
    try {
      const { code, text } = await getText({ host, port, path: `/apis/${name}`, agent });
      if (code < 200 || code > 299) {
        return failed(`failing or missing response from ${url}: bad status from ${url}: ${code}`);
      }
      const document = JSON.parse(text) as { resources?: ForeignVersion['resources'] };
      return { list: document.resources ?? [] };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return failed(`failing or missing response from ${url}: Get "${url}": ${why}`);
    }
  }

  async #writeCondition(service: APIService, condition: APIServiceCondition): Promise<void> {
    const conditions = withCondition(service.status?.conditions, condition);
    if (conditions === service.status?.conditions) return;
    const row = this.#registry.require('apiregistration.k8s.io', 'v1', 'apiservices');
    try {
      await this.#registry.writes.update(
        { row, namespace: '', name: service.metadata.name!, subresource: 'status' },
        (current) => {
          const next = cloneObject(current) as APIService;
          next.status = { ...next.status, conditions: withCondition(next.status?.conditions, condition) };
          return next;
        },
        selfWrite,
      );
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
  }
}

function getText(target: { host: string; port: number; path: string; agent: Agent }) {
  return new Promise<{ code: number; text: string }>((resolve, reject) => {
    const headers = { ...identityHeaders(checker), accept: 'application/json' };
    const request = httpsRequest(
      { ...target, method: 'GET', headers, signal: AbortSignal.timeout(checkTimeoutMs) },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > maxDocumentBytes) request.destroy(new Error('the document is too large'));
        });
        response.on('end', () => resolve({ code: response.statusCode ?? 0, text }));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end();
  });
}
