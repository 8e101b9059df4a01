import { X509Certificate } from 'node:crypto';
import type { ClientHttp2Stream } from 'node:http2';
import { ApiError, apiError, type StatusReason, statusReasons } from '../apimachinery/api-error.ts';
import type { KubernetesObject, ObjectList, Resource } from '../apimachinery/resource.ts';
import type { Status } from '../apimachinery/types/meta-v1.ts';
import type { Logger } from '../log/logger.ts';
import type {
  ApiClient,
  DeleteOptions,
  GetOptions,
  Identity,
  ListOptions,
  ObjectKey,
  PatchOptions,
  PatchType,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './api-client.ts';
import { ConnectionError, Http2Pool, type Http2Request, type Http2Response } from './http2-pool.ts';
import { queryString, resourcePath } from './resource-path.ts';

export interface HttpsClientOptions {
  /** Such as `https://10.0.0.1:6443`; the next is asked when one cannot be reached. */
  readonly servers: readonly string[];
  /** PEM of the authority that signed the servers' certificates. */
  readonly ca: string;
  /** PEM of the client's certificate and key; or else a token. */
  readonly cert?: string;
  readonly key?: string;
  /** A bearer token, or what gives the current one. */
  readonly token?: string | (() => string);
  /** As whom the server knows this client; read from the certificate when absent. */
  readonly identity?: Identity;
  readonly userAgent?: string;
  readonly logger?: Logger;
}

export interface HttpsClient extends ApiClient {
  /** Ends all requests and watches. */
  close(): void;
}

const contentTypes: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  // JSON is YAML.
  apply: 'application/apply-patch+yaml',
};

/** A server that is overloaded says when to come again; so often the client does. */
const maxRetries = 10;
const maxRetryAfterSeconds = 30;

class Http2Client implements HttpsClient {
  readonly identity: Identity;
  readonly #pool: Http2Pool;
  readonly #token: string | (() => string) | undefined;
  readonly #userAgent: string;

  constructor(options: HttpsClientOptions) {
    this.identity = options.identity ?? identityOf(options.cert);
    this.#token = options.token;
    this.#userAgent = options.userAgent ?? 'balsa';
    this.#pool = new Http2Pool({
      servers: options.servers,
      tls: {
        ca: options.ca,
        ...(options.cert === undefined ? {} : { cert: options.cert }),
        ...(options.key === undefined ? {} : { key: options.key }),
      },
      ...(options.logger === undefined ? {} : { logger: options.logger }),
    });
  }

  close(): void {
    this.#pool.close();
  }

  get<T extends KubernetesObject>(resource: Resource<T>, key: ObjectKey, options: GetOptions = {}): Promise<T> {
    const path = resourcePath(resource, { ...key, ...pick(options.subresource) });
    return this.#json('GET', `${path}${queryString({ resourceVersion: options.resourceVersion })}`);
  }

  list<T extends KubernetesObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ObjectList<T>> {
    return this.#json('GET', `${collectionPath(resource, options)}${queryString(selection(options))}`);
  }

  async *watch<T extends KubernetesObject>(
    resource: Resource<T>,
    options: WatchOptions = {},
  ): AsyncGenerator<WatchEvent<T>> {
    const query = queryString({
      ...selection(options),
      watch: 'true',
      allowWatchBookmarks: options.allowWatchBookmarks,
      timeoutSeconds: options.timeoutSeconds,
      ...(options.sendInitialEvents === true
        ? { sendInitialEvents: true, resourceVersionMatch: options.resourceVersionMatch ?? 'NotOlderThan' }
        : {}),
    });
    const { signal } = options;
    const response = await this.#send({
      method: 'GET',
      path: `${collectionPath(resource, options)}${query}`,
      ...(signal === undefined ? {} : { signal }),
    });
    try {
      for await (const line of lines(response.stream)) {
        yield JSON.parse(line) as WatchEvent<T>;
      }
    } catch (error) {
      // A watch that breaks is one that ended: who watches goes on from the last version.
      if (!isStreamEnd(error)) {
        throw error;
      }
    } finally {
      response.stream.close();
    }
  }

  create<T extends KubernetesObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const path = resourcePath(resource, { ...namespaceOf(object) });
    return this.#json('POST', `${path}${queryString(writing(options))}`, object);
  }

  update<T extends KubernetesObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const name = object.metadata?.name ?? '';
    const path = resourcePath(resource, { ...namespaceOf(object), name, ...pick(options.subresource) });
    return this.#json('PUT', `${path}${queryString(writing(options))}`, object);
  }

  patch<T extends KubernetesObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: unknown,
    options: PatchOptions,
  ): Promise<T> {
    const path = resourcePath(resource, { ...key, ...pick(options.subresource) });
    const query = queryString({ ...writing(options), force: options.force });
    return this.#json('PATCH', `${path}${query}`, patch, contentTypes[options.type]);
  }

  delete<T extends KubernetesObject>(
    resource: Resource<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<T | Status> {
    return this.#json('DELETE', resourcePath(resource, key), deleteBody(options));
  }

  async deleteCollection<T extends KubernetesObject>(
    resource: Resource<T>,
    list: ListOptions,
    options: DeleteOptions = {},
  ): Promise<void> {
    await this.#json('DELETE', `${collectionPath(resource, list)}${queryString(selection(list))}`, deleteBody(options));
  }

  createSubresource<In, Out>(
    resource: Resource,
    key: ObjectKey,
    subresource: string,
    body: In,
    options: WriteOptions = {},
  ): Promise<Out> {
    return this.#json(
      'POST',
      `${resourcePath(resource, { ...key, subresource })}${queryString(writing(options))}`,
      body,
    );
  }

  review<T extends KubernetesObject>(resource: Resource<T>, object: T): Promise<T> {
    return this.#json('POST', resourcePath(resource, namespaceOf(object)), object);
  }

  async #json<T>(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<T> {
    const response = await this.#send({
      method,
      path,
      ...(body === undefined ? {} : { body: JSON.stringify(body), contentType }),
    });
    const text = await textOf(response.stream);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw apiError('InternalError', `the server's answer is not JSON: ${(error as Error).message}`);
    }
  }

  /** The response once it is a good one. What a server did not do, or asks to be asked again later, is tried again. */
  async #send(request: {
    readonly method: string;
    readonly path: string;
    readonly body?: string;
    readonly contentType?: string;
    readonly signal?: AbortSignal;
  }): Promise<Http2Response> {
    const { contentType, ...rest } = request;
    for (let attempt = 0; ; attempt++) {
      const token = typeof this.#token === 'function' ? this.#token() : this.#token;
      const sent: Http2Request = {
        ...rest,
        headers: {
          accept: 'application/json',
          'user-agent': this.#userAgent,
          ...(contentType === undefined ? {} : { 'content-type': contentType }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
      };
      let response: Http2Response;
      try {
        response = await this.#pool.request(sent);
      } catch (error) {
        if (!(error instanceof ConnectionError)) {
          throw error;
        }
        // Reading twice does no harm; writing twice may.
        if (attempt === 0 && (error.unsent || request.method === 'GET')) {
          continue;
        }
        throw apiError('ServiceUnavailable', error.message);
      }
      if (response.status < 400) {
        return response;
      }
      const failure = failureOf(response.status, await textOf(response.stream));
      const wait = Number(response.headers['retry-after']);
      if (response.status === 429 && wait > 0 && attempt < maxRetries) {
        await pause(Math.min(wait, maxRetryAfterSeconds) * 1000, request.signal);
        continue;
      }
      throw failure;
    }
  }
}

function pick(subresource: string | undefined): { subresource?: string } {
  return subresource === undefined ? {} : { subresource };
}

function namespaceOf(object: KubernetesObject): { namespace?: string } {
  const namespace = object.metadata?.namespace;
  return namespace === undefined ? {} : { namespace };
}

function collectionPath(resource: Resource, { namespace }: ListOptions): string {
  return resourcePath(resource, namespace === undefined ? {} : { namespace });
}

function selection(options: ListOptions): Record<string, string | number | undefined> {
  const { labelSelector, fieldSelector, resourceVersion, resourceVersionMatch, limit } = options;
  return { labelSelector, fieldSelector, resourceVersion, resourceVersionMatch, limit, continue: options.continue };
}

function writing(options: WriteOptions): Record<string, string | undefined> {
  const { dryRun, fieldManager, fieldValidation } = options;
  return { dryRun: dryRun === true ? 'All' : undefined, fieldManager, fieldValidation };
}

function deleteBody({ dryRun, ...options }: DeleteOptions): Record<string, unknown> {
  return { kind: 'DeleteOptions', apiVersion: 'v1', ...options, ...(dryRun === true ? { dryRun: ['All'] } : {}) };
}

/** The `Status` of a failed request, made up when the body holds none (a proxy answered, not the API). */
function failureOf(code: number, body: string): ApiError {
  try {
    const status = JSON.parse(body) as Status;
    if (status.kind === 'Status') {
      return new ApiError({ ...status, code: status.code ?? code });
    }
  } catch {
    // Not JSON: told below as it came.
  }
  const reasons = Object.entries(statusReasons) as [StatusReason, number][];
  const reason = reasons.find(([, known]) => known === code)?.[0] ?? '';
  return apiError(reason, body.trim().slice(0, 1024) || `the server answered ${code}`, undefined, code);
}

async function textOf(stream: ClientHttp2Stream): Promise<string> {
  let text = '';
  try {
    for await (const piece of stream) {
      text += piece;
    }
  } catch (error) {
    throw apiError('ServiceUnavailable', `the connection was lost: ${(error as Error).message}`);
  }
  return text;
}

async function* lines(stream: ClientHttp2Stream): AsyncGenerator<string> {
  let rest = '';
  for await (const piece of stream) {
    const parts = (rest + piece).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) {
      if (line !== '') {
        yield line;
      }
    }
  }
  if (rest.trim() !== '') {
    yield rest;
  }
}

/** How a stream ends that was cut: by us, by the server, or with the connection. */
function isStreamEnd(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return (
    error instanceof Error &&
    (error.name === 'AbortError' ||
      (code !== undefined && /^(ERR_HTTP2_|ERR_STREAM_|ECONNRESET|EPIPE|ETIMEDOUT)/.test(code)))
  );
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true });
  });
  signal?.throwIfAborted();
}

/** The common name is the user, the organizations are its groups. */
function identityOf(cert: string | undefined): Identity {
  if (cert === undefined) {
    return { name: '', groups: [] };
  }
  const parts = new X509Certificate(cert).subject.split('\n');
  const valuesOf = (field: string): string[] =>
    parts.filter((part) => part.startsWith(`${field}=`)).map((part) => part.slice(field.length + 1));
  return { name: valuesOf('CN')[0] ?? '', groups: valuesOf('O') };
}

/** A client of one or more API servers over HTTP/2 and TLS, with a certificate or a token. */
export function createHttpsClient(options: HttpsClientOptions): HttpsClient {
  return new Http2Client(options);
}
