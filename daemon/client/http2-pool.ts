import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import type { Logger } from '../log/logger.ts';

export interface Http2PoolOptions {
  /** Such as `https://10.0.0.1:6443`; asked in order, the next when one cannot be reached. */
  readonly servers: readonly string[];
  readonly tls: SecureClientSessionOptions;
  readonly logger?: Logger;
}

export interface Http2Request {
  readonly method: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

export interface Http2Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The body, in UTF-8 pieces; must be read or closed. */
  readonly stream: ClientHttp2Stream;
}

/** No server could be reached, or the one asked was lost before it answered. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  /** False when a server may have acted on the request. */
  readonly unsent: boolean;

  constructor(message: string, unsent: boolean, cause?: unknown) {
    super(message, { cause });
    this.unsent = unsent;
  }
}

const connectTimeoutMs = 10_000;
/** A connection that answers no ping for this long is taken for dead, however quiet its watches may be. */
const pingEveryMs = 15_000;
const pingTimeoutMs = 10_000;

/**
 * One connection to one of several servers, for all requests at once; a new one, to the next server, when it is lost.
 */
export class Http2Pool {
  readonly #options: Http2PoolOptions;
  #current = 0;
  #session: Promise<ClientHttp2Session> | undefined;
  #open: ClientHttp2Session | undefined;
  #closed = false;

  constructor(options: Http2PoolOptions) {
    if (options.servers.length === 0) {
      throw new Error('a client needs at least one server');
    }
    this.#options = options;
  }

  /** The response as soon as its headers are there. Throws `ConnectionError`, or the signal's reason. */
  async request(request: Http2Request): Promise<Http2Response> {
    request.signal?.throwIfAborted();
    const session = await this.#connected();
    return respond(session, request);
  }

  close(): void {
    this.#closed = true;
    this.#open?.destroy();
  }

  #connected(): Promise<ClientHttp2Session> {
    if (this.#closed) {
      throw new ConnectionError('the client is closed', true);
    }
    this.#session ??= this.#connectAny();
    return this.#session;
  }

  async #connectAny(): Promise<ClientHttp2Session> {
    const { servers, logger } = this.#options;
    let last: unknown;
    for (let tried = 0; tried < servers.length; tried++) {
      const server = servers[this.#current % servers.length]!;
      try {
        const session = await connectTo(server, this.#options.tls);
        this.#adopt(session, server);
        return session;
      } catch (error) {
        last = error;
        this.#current++;
        logger?.debug({ server, err: error }, 'server cannot be reached');
      }
    }
    this.#session = undefined;
    const why = last instanceof Error ? last.message : String(last);
    throw new ConnectionError(`no server can be reached: ${why}`, true, last);
  }

  #adopt(session: ClientHttp2Session, server: string): void {
    const lost = (): void => {
      if (this.#open === session) {
        clearInterval(pinging);
        this.#open = undefined;
        this.#session = undefined;
      }
    };
    const pinging = setInterval(() => {
      const timer = setTimeout(() => {
        this.#options.logger?.warn({ server }, 'server answers no ping; connecting anew');
        this.#current++;
        session.destroy();
      }, pingTimeoutMs);
      timer.unref();
      session.ping(() => clearTimeout(timer));
    }, pingEveryMs);
    pinging.unref();
    this.#open = session;
    session.on('close', lost);
    // No new requests on it, while those under way end in peace.
    session.on('goaway', lost);
    session.on('error', (error) => this.#options.logger?.debug({ server, err: error }, 'connection lost'));
    if (this.#closed) {
      session.destroy();
    }
  }
}

function connectTo(server: string, tls: SecureClientSessionOptions): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connect(server, { ...tls, ALPNProtocols: ['h2'] });
    const timer = setTimeout(() => session.destroy(new Error(`no connection to ${server} in time`)), connectTimeoutMs);
    const failed = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    session.once('error', failed);
    session.once('connect', () => {
      clearTimeout(timer);
      session.removeListener('error', failed);
      resolve(session);
    });
  });
}

function respond(session: ClientHttp2Session, request: Http2Request): Promise<Http2Response> {
  return new Promise((resolve, reject) => {
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(
        { ':method': request.method, ':path': request.path, ...request.headers },
        { endStream: request.body === undefined },
      );
    } catch (error) {
      reject(new ConnectionError('the connection was lost', true, error));
      return;
    }
    const { signal } = request;
    const abort = (): void => stream.close(constants.NGHTTP2_CANCEL);
    signal?.addEventListener('abort', abort, { once: true });
    let answered = false;
    let refused = false;
    stream.setEncoding('utf8');
    stream.on('error', () => {
      refused ||= stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
    });
    stream.once('close', () => {
      signal?.removeEventListener('abort', abort);
      if (!answered) {
        reject(signal?.aborted === true ? signal.reason : new ConnectionError('the connection was lost', refused));
      }
    });
    stream.once('response', (headers) => {
      answered = true;
      resolve({ status: headers[':status'] ?? 0, headers, stream });
    });
    if (request.body !== undefined) {
      stream.end(request.body);
    }
  });
}
