import { createServer as createHttp1Server, type IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { Logger } from '../../log/logger.ts';
import { type Exchange, Http1Exchange, Http2Exchange } from './exchange.ts';

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly cert: string;
  readonly key: string;
  /** PEM of the authorities whose client certificates are asked for. */
  readonly clientCa: string;
  readonly onExchange: (exchange: Exchange) => void;
  readonly logger: Logger;
}

export interface Listener {
  readonly address: AddressInfo;
  /** Takes no more connections; resolves when all are closed, or closes them after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

const maxConcurrentStreams = 250;

/**
 * One TLS port for HTTP/1.1 and HTTP/2. The HTTP/2 side is the plain stream API: Node's compatibility layer, which makes
 * request and response objects of streams, costs more than everything else that a GET does.
 */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { logger } = options;
  const http1 = createHttp1Server({
    keepAliveTimeout: 180_000,
    headersTimeout: 60_000,
    requestTimeout: 0,
    noDelay: true,
  });
  http1.on('request', (request, response) => options.onExchange(new Http1Exchange(request, response)));
  http1.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const response = new ServerResponse(request);
    socket.on('error', (error) => logger.debug({ err: error }, 'upgraded connection'));
    response.assignSocket(socket);
    response.on('finish', () => socket.end());
    options.onExchange(new Http1Exchange(request, response, head));
  });
  http1.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    logger.debug({ err: error }, 'malformed request');
    if (!socket.writable) return;
    const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
    socket.end(
      `HTTP/1.1 ${tooLarge ? '431 Request Header Fields Too Large' : '400 Bad Request'}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${tooLarge ? '431 Request Header Fields Too Large' : '400 Bad Request'}`,
    );
  });

  const http2 = createHttp2Server({
    settings: { maxConcurrentStreams, initialWindowSize: 1 << 20 },
    maxSessionMemory: 64,
    unknownProtocolTimeout: 10_000,
  });
  const sessions = new Set<ServerHttp2Session>();
  http2.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', (error) => logger.debug({ err: error }, 'http/2 session'));
    // Streams share the connection's window: without this a few large lists starve every other stream.
    session.setLocalWindowSize(4 << 20);
  });
  http2.on('stream', (stream, headers) => {
    const socket = tlsSockets.get(stream.session as ServerHttp2Session);
    if (socket === undefined) stream.close();
    else options.onExchange(new Http2Exchange(stream, headers, socket));
  });
  const tlsSockets = new WeakMap<ServerHttp2Session, TLSSocket>();

  const sockets = new Set<TLSSocket>();
  const tls = createTlsServer({
    cert: options.cert,
    key: options.key,
    ca: options.clientCa,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['h2', 'http/1.1'],
    noDelay: true,
    keepAlive: true,
  });
  tls.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', (error) => logger.debug({ err: error }, 'connection'));
    if (socket.alpnProtocol === 'h2') {
      http2.once('session', (session) => tlsSockets.set(session, socket));
      http2.emit('connection', socket);
    } else {
      http1.emit('connection', socket);
    }
  });
  tls.on('tlsClientError', (error) => logger.debug({ err: error }, 'TLS handshake failed'));

  await new Promise<void>((resolve, reject) => {
    tls.once('error', reject);
    tls.listen(options.port, options.host, () => {
      tls.off('error', reject);
      resolve();
    });
  });

  return {
    address: tls.address() as AddressInfo,
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => tls.close(() => resolve()));
      for (const session of sessions) session.close();
      http1.closeIdleConnections();
      const timer = setTimeout(() => {
        for (const session of sessions) session.destroy();
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      await closed;
      clearTimeout(timer);
    },
  };
}
