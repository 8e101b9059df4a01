import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Logger } from '../../log/logger.ts';
import { StoreError } from '../store.ts';
import { grpcStatus, storeErrorTable } from '../store-error-table.ts';
import { frame, Unframer } from './framing.ts';
import { encodeMessage, GrpcError, unimplemented } from './status.ts';

/** Who calls. */
export interface Caller {
  readonly headers: IncomingHttpHeaders;
  /** The common name of the client's certificate, if it showed one. */
  readonly commonName: string | undefined;
}

export type UnaryMethod = (request: Buffer, caller: Caller) => Promise<Uint8Array> | Uint8Array;

/** One call of a streaming method. */
export interface GrpcCall {
  readonly caller: Caller;
  /** False when the client is slow: then `onDrain` tells when to go on. */
  send(message: Uint8Array): boolean;
  /** The same for a message that `frame` has framed already: one that goes to many. */
  sendFramed(framed: Buffer): boolean;
  /** Holds back what the client sends, until `resume`: it will not send without end. */
  pause(): void;
  resume(): void;
  /** Ends the call, with OK unless an error is given. */
  end(error?: unknown): void;
  onMessage: (message: Buffer) => void;
  /** The client sends no more. */
  onEnd: () => void;
  onDrain: () => void;
  /** The call is over, however it ended. */
  onClose: () => void;
}

export type StreamMethod = (call: GrpcCall) => void;
export type GrpcMethod = { readonly unary: UnaryMethod } | { readonly stream: StreamMethod };

export interface GrpcServerOptions {
  readonly host: string;
  readonly port: number;
  /** Clients must show a certificate of `ca`. Without it connections are in the clear. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string } | undefined;
  /** By path: `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, GrpcMethod>;
  /** Bytes one message may have. */
  readonly maxMessageBytes: number;
  /** Plain requests over HTTP/1.1 or HTTP/2 (`/version`, `/health`); undefined: 404. */
  readonly plain: (path: string) => { readonly status: number; readonly body: string } | undefined;
  readonly logger: Logger;
}

export interface GrpcServer {
  readonly address: { readonly host: string; readonly port: number };
  stop(): Promise<void>;
}

const settings = { initialWindowSize: 1024 * 1024, maxConcurrentStreams: 10_000 };
const okTrailers = { 'grpc-status': '0' };
const responseHeaders = { ':status': 200, 'content-type': 'application/grpc' } as const;

/**
 * A gRPC server straight on HTTP/2, which passes messages as bytes: what a call costs above HTTP/2 itself is the five-byte
 * frame. Resolves when it listens; rejects when the address is taken.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { tls, host, port } = options;
  const sessions = new Set<ServerHttp2Session>();
  const server: Http2Server | Http2SecureServer =
    tls === undefined
      ? createServer({ settings })
      : createSecureServer({
          settings,
          cert: tls.cert,
          key: tls.key,
          ca: tls.ca,
          requestCert: true,
          rejectUnauthorized: true,
          allowHTTP1: true,
          minVersion: 'TLSv1.2',
        });
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session);
    session.setLocalWindowSize(16 * 1024 * 1024);
    session.once('close', () => sessions.delete(session));
    session.on('error', (error) => options.logger.debug({ err: error }, 'a client connection broke'));
  });
  server.on('sessionError', (error) => options.logger.debug({ err: error }, 'a client connection broke'));
  server.on('request', (request, response) => {
    // HTTP/2 requests come as streams; this is the older protocol.
    if (request.httpVersionMajor >= 2) return;
    const answer = options.plain(request.url ?? '/') ?? { status: 404, body: '404 page not found\n' };
    response.writeHead(answer.status, {
      'content-type': answer.body.startsWith('{') ? 'application/json' : 'text/plain',
    });
    response.end(answer.body);
  });
  // Listening for `request` has also put Node's own HTTP/2 request objects on every stream; ours are served bare.
  server.removeAllListeners('stream');
  server.on('stream', (stream: ServerHttp2Stream, headers) => serve(stream, headers, options));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => options.logger.error({ err: error }, 'the store’s client listener failed'));
  return {
    address: { host, port: (server.address() as AddressInfo).port },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}

function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: GrpcServerOptions): void {
  const path = String(headers[':path'] ?? '');
  stream.on('error', () => {
    // The client is gone; `close` follows.
  });
  if (!headers['content-type']?.startsWith('application/grpc')) {
    const answer = options.plain(path) ?? { status: 404, body: '404 page not found\n' };
    stream.respond({ ':status': answer.status, 'content-type': 'text/plain' });
    stream.end(answer.body);
    return;
  }
  const method = options.methods.get(path);
  if (method === undefined) {
    fail(stream, unimplemented(path), options.logger);
    return;
  }
  const caller = callerOf(stream, headers);
  if ('unary' in method) serveUnary(stream, caller, method.unary, options);
  else serveStream(stream, caller, method.stream, options);
}

function callerOf(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Caller {
  return {
    headers,
    get commonName() {
      const socket = stream.session?.socket as Partial<TLSSocket> | undefined;
      const name = socket?.getPeerCertificate?.()?.subject?.CN;
      return Array.isArray(name) ? name[0] : name;
    },
  };
}

function serveUnary(
  stream: ServerHttp2Stream,
  caller: Caller,
  method: UnaryMethod,
  { maxMessageBytes, logger }: GrpcServerOptions,
): void {
  let request: Buffer | undefined;
  const unframer = new Unframer(maxMessageBytes, (message) => {
    request ??= message;
  });
  let failed = false;
  stream.on('data', (chunk: Buffer) => {
    if (failed) return;
    try {
      unframer.push(chunk);
    } catch (error) {
      failed = true;
      fail(stream, error, logger);
    }
  });
  stream.on('end', async () => {
    if (failed) return;
    try {
      if (request === undefined) throw new GrpcError(grpcStatus.internal, 'the call has no message');
      const response = method(request, caller);
      const message = response instanceof Uint8Array ? response : await response;
      if (stream.destroyed || stream.headersSent) return;
      stream.respond(responseHeaders, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers(okTrailers));
      stream.end(frame(message));
    } catch (error) {
      fail(stream, error, logger);
    }
  });
}

function serveStream(
  stream: ServerHttp2Stream,
  caller: Caller,
  method: StreamMethod,
  { maxMessageBytes, logger }: GrpcServerOptions,
): void {
  let over = false;
  let trailers: Record<string, string> = okTrailers;
  stream.respond(responseHeaders, { waitForTrailers: true });
  stream.once('wantTrailers', () => stream.sendTrailers(trailers));
  const call: GrpcCall = {
    caller,
    send: (message) => over || stream.destroyed || stream.write(frame(message)),
    sendFramed: (framed) => over || stream.destroyed || stream.write(framed),
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    end: (error) => {
      if (over) return;
      over = true;
      if (error !== undefined) trailers = trailersOf(error, logger);
      if (!stream.destroyed) stream.end();
    },
    onMessage: () => {},
    onEnd: () => call.end(),
    onDrain: () => {},
    onClose: () => {},
  };
  const unframer = new Unframer(maxMessageBytes, (message) => call.onMessage(message));
  method(call);
  stream.on('data', (chunk: Buffer) => {
    if (over) return;
    try {
      unframer.push(chunk);
    } catch (error) {
      call.end(error);
    }
  });
  stream.on('end', () => {
    if (!over) call.onEnd();
  });
  stream.on('drain', () => call.onDrain());
  stream.on('close', () => {
    over = true;
    call.onClose();
  });
}

function trailersOf(error: unknown, logger: Logger): Record<string, string> {
  const { status, message } = statusOf(error);
  if (status === grpcStatus.internal) logger.error({ err: error }, 'a call to the store failed');
  return { 'grpc-status': String(status), 'grpc-message': encodeMessage(message) };
}

function statusOf(error: unknown): { status: number; message: string } {
  if (error instanceof StoreError) return { status: storeErrorTable[error.code].status, message: error.message };
  if (error instanceof GrpcError) return { status: error.status, message: error.message };
  return { status: grpcStatus.internal, message: error instanceof Error ? error.message : String(error) };
}

/** Ends a call that has not answered yet with an error: headers and trailers in one. */
function fail(stream: ServerHttp2Stream, error: unknown, logger: Logger): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ...responseHeaders, ...trailersOf(error, logger) }, { endStream: true });
  // What the client still sends is not read.
  stream.resume();
}
