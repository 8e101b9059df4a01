import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2';
import { isIP } from 'node:net';
import { grpcStatus } from '../store-error-table.ts';
import { frame, Unframer } from './framing.ts';
import { GrpcError } from './status.ts';

export interface GrpcSessionOptions {
  readonly url: string;
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string } | undefined;
  /** Sent along with every call. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Milliseconds between two pings of an idle connection, and how long an answer may take. */
const pingInterval = 10_000;
const pingTimeout = 5_000;

/** A call that sends many messages. */
export interface GrpcUpload {
  /** False when the other side is slow: then `onDrain` tells when to go on. */
  send(message: Uint8Array): boolean;
  /** No more messages: the answer is awaited in `done`. */
  end(): void;
  cancel(): void;
  onDrain: () => void;
  /** The call is over: resolves with its last message, rejects with what went wrong. */
  readonly done: Promise<Buffer>;
}

/** One HTTP/2 connection to a gRPC server, for calls of bytes; made when it is first needed, and again after it broke. */
export class GrpcSession {
  readonly #options: GrpcSessionOptions;
  #session: ClientHttp2Session | undefined;
  #ping: NodeJS.Timeout | undefined;

  constructor(options: GrpcSessionOptions) {
    this.#options = options;
  }

  upload(path: string): GrpcUpload {
    const stream = this.#request(path);
    const upload: GrpcUpload = {
      send: (message) => stream.destroyed || stream.write(frame(message)),
      end: () => stream.end(),
      cancel: () => stream.destroy(),
      onDrain: () => {},
      done: answerOf(stream, path),
    };
    stream.on('drain', () => upload.onDrain());
    return upload;
  }

  /** Rejects when there is no answer within so many milliseconds. */
  async call(path: string, request: Uint8Array, timeout: number): Promise<Buffer> {
    const stream = this.#request(path);
    const timer = setTimeout(() => stream.destroy(new GrpcError(grpcStatus.deadlineExceeded, 'timed out')), timeout);
    stream.end(frame(request));
    try {
      return await answerOf(stream, path);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    clearInterval(this.#ping);
    this.#session?.destroy();
    this.#session = undefined;
  }

  #request(path: string): ClientHttp2Stream {
    const session = this.#connected();
    return session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...this.#options.headers,
    });
  }

  #connected(): ClientHttp2Session {
    if (this.#session !== undefined && !this.#session.closed && !this.#session.destroyed) return this.#session;
    const { url, tls } = this.#options;
    const { hostname } = new URL(url);
    // An address is not a server name; the certificate is held to the address all the same.
    const servername = isIP(hostname) === 0 ? hostname : '';
    const session = connect(url, { settings: { initialWindowSize: 1024 * 1024 }, ...tls, servername });
    session.on('connect', () => session.setLocalWindowSize(4 * 1024 * 1024));
    session.on('error', () => {
      // Every call on it fails with the reason.
    });
    clearInterval(this.#ping);
    this.#ping = setInterval(() => ping(session), pingInterval).unref();
    this.#session = session;
    return session;
  }
}

/** Breaks a connection whose other side has gone without a word. */
function ping(session: ClientHttp2Session): void {
  if (session.destroyed || session.connecting) return;
  const timer = setTimeout(() => session.destroy(new Error('no answer to a ping')), pingTimeout).unref();
  session.ping(() => clearTimeout(timer));
}

function answerOf(stream: ClientHttp2Stream, path: string): Promise<Buffer> {
  const answer = new Promise<Buffer>((resolve, reject) => {
    let message: Buffer | undefined;
    let status: { code: number; text: string } | undefined;
    let failure: unknown;
    const unframer = new Unframer(Number.MAX_SAFE_INTEGER, (bytes) => {
      message = bytes;
    });
    const take = (headers: IncomingHttpHeaders) => {
      if (headers['grpc-status'] === undefined) return;
      status = {
        code: Number(headers['grpc-status']),
        text: decodeURIComponent(String(headers['grpc-message'] ?? '')),
      };
    };
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('data', (chunk: Buffer) => unframer.push(chunk));
    stream.on('error', (error) => {
      failure = error;
    });
    stream.on('close', () => {
      if (status?.code === grpcStatus.ok && message !== undefined) resolve(message);
      else if (failure !== undefined) reject(failure);
      else if (status === undefined) reject(new GrpcError(grpcStatus.unavailable, `${path}: the connection is lost`));
      else reject(new GrpcError(status.code, status.text));
    });
  });
  // Whoever does not care for the answer need not take care of its failure.
  answer.catch(() => {});
  return answer;
}
