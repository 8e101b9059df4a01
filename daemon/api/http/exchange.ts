import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { entityTooLarge } from '../status-errors.ts';

export type ResponseHeaders = Record<string, string | number | readonly string[]>;

/** A response that is written piece by piece. */
export interface ResponseStream {
  /** False: the client is behind. */
  write(chunk: Buffer | string): boolean;
  end(): void;
  /** Resolves when what was written has been taken, or the client is gone. */
  drained(): Promise<void>;
  /** Bytes written and not yet taken. */
  readonly backlog: number;
}

/** An HTTP/1.1 request and its response. `head`: set when the client asks to switch protocols; bytes it sent already. */
export interface Http1Pair {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly head?: Buffer;
}

/** One request and its response, over HTTP/1.1 or a stream of HTTP/2. */
export interface Exchange {
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly socket: TLSSocket;
  /** Reads the whole body. Fails with 413 beyond `limit` bytes. */
  readBody(limit: number): Promise<Buffer>;
  respond(status: number, headers: ResponseHeaders, body: Buffer | string): void;
  stream(status: number, headers: ResponseHeaders): ResponseStream;
  /** Nothing can be sent any more: the client went away or the response is complete. */
  onClose(listener: () => void): void;
  readonly headersSent: boolean;
  /** Status of the response once it has begun (101: the connection has been taken over); 0 before. */
  status: number;
  /** The HTTP/1.1 pair, for passing a connection through. */
  readonly http1?: Http1Pair;
  /** Drops the connection or the stream. */
  abort(): void;
  /** The body as it arrives, for passing it on. */
  readonly bodyStream: NodeJS.ReadableStream;
}

/** What a read of the body fails with when there will be no one to answer. */
export const clientWentAway = 'the client went away';

/** Gathers chunks up to a limit; an announced length beyond it fails before anything is read. */
function collect(source: NodeJS.ReadableStream, announced: string | undefined, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (announced !== undefined && Number(announced) > limit) {
      source.resume();
      reject(entityTooLarge(limit));
      return;
    }
    let chunks: Buffer[] = [];
    let length = 0;
    let done = false;
    const lost = (): void => {
      if (!done) reject(new Error(clientWentAway));
    };
    source.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > limit) {
        chunks = [];
        done = true;
        reject(entityTooLarge(limit));
      } else {
        chunks.push(chunk);
      }
    });
    source.on('end', () => {
      done = true;
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
    });
    source.on('error', lost);
    source.on('close', lost);
  });
}

export class Http1Exchange implements Exchange {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly socket: TLSSocket;
  readonly http1: Http1Pair;
  status = 0;

  constructor(request: IncomingMessage, response: ServerResponse, head?: Buffer) {
    this.http1 = head === undefined ? { request, response } : { request, response, head };
    this.method = request.method ?? 'GET';
    this.url = request.url ?? '/';
    this.headers = request.headers;
    this.socket = request.socket as TLSSocket;
    response.on('error', ignoreLostClient);
  }

  get headersSent(): boolean {
    return this.http1.response.headersSent;
  }

  get bodyStream(): NodeJS.ReadableStream {
    return this.http1.request;
  }

  readBody(limit: number): Promise<Buffer> {
    return collect(this.http1.request, this.headers['content-length'], limit);
  }

  respond(status: number, headers: ResponseHeaders, body: Buffer | string): void {
    const { response } = this.http1;
    if (response.headersSent) return; // the request has timed out in the meantime
    this.status = status;
    headers['Content-Length'] = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    response.writeHead(status, headers as Record<string, string>);
    if (this.method === 'HEAD') response.end();
    else response.end(body);
  }

  stream(status: number, headers: ResponseHeaders): ResponseStream {
    const { response } = this.http1;
    this.status = status;
    response.writeHead(status, headers as Record<string, string>);
    response.flushHeaders();
    return {
      write: (chunk) => response.write(chunk),
      end: () => response.end(),
      drained: () => drained(response),
      get backlog() {
        return response.writableLength;
      },
    };
  }

  onClose(listener: () => void): void {
    this.http1.response.on('close', listener);
  }

  abort(): void {
    this.http1.request.socket.destroy();
  }
}

export class Http2Exchange implements Exchange {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly socket: TLSSocket;
  readonly #stream: ServerHttp2Stream;
  status = 0;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, socket: TLSSocket) {
    this.#stream = stream;
    this.method = String(headers[':method']);
    this.url = String(headers[':path']);
    this.headers = headers;
    this.socket = socket;
    stream.on('error', ignoreLostClient);
  }

  get headersSent(): boolean {
    return this.#stream.headersSent;
  }

  get bodyStream(): NodeJS.ReadableStream {
    return this.#stream;
  }

  readBody(limit: number): Promise<Buffer> {
    return collect(this.#stream, this.headers['content-length'], limit);
  }

  respond(status: number, headers: ResponseHeaders, body: Buffer | string): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed || stream.headersSent) return;
    this.status = status;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const all = lowerCase(headers);
    all[':status'] = status;
    all['content-length'] = bytes.length;
    if (this.method === 'HEAD' || bytes.length === 0) {
      stream.respond(all, { endStream: true });
      return;
    }
    stream.respond(all);
    stream.end(bytes);
  }

  stream(status: number, headers: ResponseHeaders): ResponseStream {
    const stream = this.#stream;
    this.status = status;
    if (!stream.destroyed && !stream.closed) {
      const all = lowerCase(headers);
      all[':status'] = status;
      stream.respond(all);
    }
    return {
      write: (chunk) => (stream.destroyed || stream.closed || stream.writableEnded ? true : stream.write(chunk)),
      end: () => {
        if (!stream.writableEnded) stream.end();
      },
      drained: () => drained(stream),
      get backlog() {
        return stream.writableLength;
      },
    };
  }

  onClose(listener: () => void): void {
    this.#stream.on('close', listener);
  }

  abort(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }
}

/** HTTP/2 takes lower-case names only. */
function lowerCase(headers: ResponseHeaders): Record<string, string | number | string[]> {
  const result: Record<string, string | number | string[]> = {};
  for (const name in headers) {
    const value = headers[name]!;
    result[name.toLowerCase()] = typeof value === 'object' ? [...value] : value;
  }
  return result;
}

function drained(target: NodeJS.EventEmitter & { writableNeedDrain: boolean; destroyed: boolean }): Promise<void> {
  if (!target.writableNeedDrain || target.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      target.off('drain', done);
      target.off('close', done);
      resolve();
    };
    target.on('drain', done);
    target.on('close', done);
  });
}

/** A client that went away in the middle of a response is its own business; `onClose` tells the handler. */
function ignoreLostClient(): void {}
