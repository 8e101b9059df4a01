import { type ClientRequest, request as httpRequest, type IncomingMessage, STATUS_CODES } from 'node:http';
import { type Agent, request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { apiError } from '../../apimachinery/api-error.ts';
import type { Exchange } from '../http/exchange.ts';
import { commonHeaders } from '../http/response.ts';

/** Where a request is passed on to. */
export interface Upstream {
  readonly protocol: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** With its query. */
  readonly path: string;
  readonly agent?: Agent;
  /** Sent beside the client's own, and in place of those of the same name. */
  readonly headers?: Readonly<Record<string, string | string[]>>;
}

/** Headers of one connection, not of the message (RFC 9110), and what says who the client is to us and no one else. */
const dropped: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'authorization',
  'host',
  'http2-settings',
]);

function forwarded(exchange: Exchange, upstream: Upstream): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(exchange.headers)) {
    if (value === undefined || name.startsWith(':') || dropped.has(name) || /^(?:impersonate|x-remote)-/.test(name))
      continue;
    headers[name] = value;
  }
  const remote = exchange.socket.remoteAddress;
  if (remote !== undefined) headers['x-forwarded-for'] = remote;
  return Object.assign(headers, upstream.headers);
}

function open(upstream: Upstream, method: string, headers: Record<string, string | string[]>): ClientRequest {
  const options = { host: upstream.host, port: upstream.port, path: upstream.path, method, headers };
  return upstream.protocol === 'https'
    ? httpsRequest({
        ...options,
        ...(upstream.agent === undefined ? { rejectUnauthorized: false } : { agent: upstream.agent }),
      })
    : httpRequest(options);
}

/** What is read of a refusal's text. */
const MAX_REFUSAL = 10_000;

/** A kubelet refuses in plain text; the API says the same as a Status. */
async function refusalOf(response: IncomingMessage): Promise<Error> {
  let text = '';
  for await (const chunk of response) {
    text += String(chunk);
    if (text.length > MAX_REFUSAL) break;
  }
  const code = response.statusCode ?? 502;
  if (code === 400) return apiError('BadRequest', text.trimEnd());
  if (code === 404) return apiError('NotFound', `the server could not find the requested resource (${text.trimEnd()})`);
  return apiError('InternalError', `Internal error occurred: ${text.trimEnd()}`);
}

/**
 * Passes a plain request on and streams the answer back. Resolves when the answer is complete; with `refuse` it rejects with
 * an ApiError when the answer is a refusal, instead of passing that on as it is.
 */
export function passThrough(exchange: Exchange, upstream: Upstream, refuse = false): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = open(upstream, exchange.method, forwarded(exchange, upstream));
    request.on('error', (error) => reject(dialError(upstream, error)));
    request.on('response', (response) => {
      const refused = refuse && (response.statusCode ?? 502) >= 400;
      (refused ? refusalOf(response).then((error) => Promise.reject(error)) : relay(exchange, response)).then(
        resolve,
        reject,
      );
    });
    exchange.onClose(() => {
      request.destroy();
      resolve();
    });
    if (exchange.method === 'GET' || exchange.method === 'HEAD') request.end();
    else exchange.bodyStream.pipe(request);
  });
}

async function relay(exchange: Exchange, response: IncomingMessage): Promise<void> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined && !dropped.has(name)) headers[name] = value;
  }
  const body = exchange.stream(response.statusCode ?? 502, {
    ...headers,
    'Audit-Id': commonHeaders(exchange)['Audit-Id']!,
  });
  for await (const chunk of response) {
    if (!body.write(chunk as Buffer)) await body.drained();
  }
  body.end();
}

/** Passes on a request to switch protocols: from the answer on, bytes go both ways untouched. */
export function passUpgrade(exchange: Exchange, upstream: Upstream): Promise<void> {
  const { http1 } = exchange;
  if (http1 === undefined || http1.head === undefined) {
    throw apiError('BadRequest', 'Upgrade request required');
  }
  const { request: incoming, response: outgoing, head } = http1;
  return new Promise((resolve, reject) => {
    const headers = {
      ...forwarded(exchange, upstream),
      connection: 'Upgrade',
      upgrade: incoming.headers.upgrade ?? '',
    };
    const request = open(upstream, exchange.method, headers);
    request.on('error', (error) => reject(dialError(upstream, error)));
    request.on('response', (response) => {
      // Refused: an ordinary answer.
      relay(exchange, response).then(resolve, reject);
    });
    request.on('upgrade', (response, remote: Duplex, remoteHead) => {
      const client = exchange.socket;
      exchange.status = 101;
      outgoing.detachSocket(client);
      client.write(responseHead(response));
      if (remoteHead.length > 0) client.write(remoteHead);
      if (head.length > 0) remote.write(head);
      join(client, remote, resolve);
    });
    exchange.socket.on('close', () => request.destroy());
    request.end();
  });
}

function responseHead(response: IncomingMessage): string {
  const code = response.statusCode ?? 101;
  const lines = [`HTTP/1.1 ${code} ${response.statusMessage ?? STATUS_CODES[code] ?? ''}`];
  for (let i = 0; i + 1 < response.rawHeaders.length; i += 2) {
    lines.push(`${response.rawHeaders[i]}: ${response.rawHeaders[i + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Connects two sockets until both directions have ended; an error on one side ends the other. */
function join(left: Duplex, right: Duplex, done: () => void): void {
  let open = 2;
  const closed = (): void => {
    if (--open === 0) done();
  };
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    from.pipe(to);
    // A connection that breaks is the end of the session, not a fault of this server.
    from.on('error', () => to.destroy());
    from.on('close', () => {
      to.end();
      closed();
    });
  }
}

function dialError(upstream: Upstream, error: Error): Error {
  return apiError('', `error dialing backend: ${error.message}`, {}, upstream.protocol === 'https' ? 500 : 503);
}
