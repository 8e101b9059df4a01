import { randomUUID } from 'node:crypto';
import { createGzip, gzip } from 'node:zlib';
import { stringify } from 'yaml';
import type { ApiError } from '../../apimachinery/api-error.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { encodeObject, protobufType } from '../protobuf/envelope.ts';
import type { Exchange, ResponseHeaders, ResponseStream } from './exchange.ts';
import type { Representation } from './negotiate.ts';

/** Responses from this size on are compressed for clients that ask. */
const gzipFrom = 128 * 1024;

/** A warning as the `Warning` header carries it. */
export function warningHeader(text: string): string {
  return `299 - "${text.replace(/[\\"]/g, '\\$&').replace(/[\r\n]+/g, ' ')}"`;
}

const maxWarningBytes = 4096;

/** What every response says, errors too. */
export function commonHeaders(exchange: Exchange, warnings: readonly string[] = []): ResponseHeaders {
  const auditId = exchange.headers['audit-id'];
  const headers: ResponseHeaders = {
    'Audit-Id': typeof auditId === 'string' && /^[\x21-\x7e]{1,64}$/.test(auditId) ? auditId : randomUUID(),
    'Cache-Control': 'no-cache, private',
  };
  if (warnings.length > 0) {
    const unique = [...new Set(warnings)];
    let room = maxWarningBytes;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: header values may not hold them
    const values = unique.map(warningHeader).map((value) => value.replace(/[\x00-\x1f\x7f]|[^\x00-\xff]/g, '?'));
    headers['Warning'] = values.filter((value) => {
      room -= value.length;
      return room >= 0;
    });
  }
  return headers;
}

export function acceptsGzip(exchange: Exchange): boolean {
  const header = exchange.headers['accept-encoding'];
  return typeof header === 'string' && /(^|[\s,])gzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(header);
}

/** Whether a person is likely to look at the bytes: curl and browsers get indented JSON, as from kube-apiserver. */
export function wantsPretty(exchange: Exchange, query: URLSearchParams): boolean {
  const pretty = query.get('pretty');
  if (pretty !== null) return pretty !== 'false' && pretty !== '0';
  const agent = exchange.headers['user-agent'];
  return (
    typeof agent === 'string' &&
    (agent.startsWith('curl') || agent.startsWith('Mozilla/5.0') || agent.startsWith('Wget'))
  );
}

/** Sends bytes that are ready, compressed when that was asked for and pays. */
export function sendBytes(
  exchange: Exchange,
  status: number,
  headers: ResponseHeaders,
  contentType: string,
  body: Buffer | string,
): void {
  headers['Content-Type'] = contentType;
  if (body.length <= gzipFrom || !acceptsGzip(exchange)) {
    exchange.respond(status, headers, body);
    return;
  }
  gzip(body, { level: 1 }, (error, compressed) => {
    if (error !== null) {
      exchange.respond(status, headers, body);
      return;
    }
    headers['Content-Encoding'] = 'gzip';
    headers['Vary'] = 'Accept-Encoding';
    exchange.respond(status, headers, compressed);
  });
}

/** Sends a value as JSON, YAML or protobuf. */
export function sendValue(
  exchange: Exchange,
  status: number,
  headers: ResponseHeaders,
  value: unknown,
  options: { readonly format: Representation['format']; readonly pretty: boolean; readonly contentType?: string },
): void {
  if (options.format === 'protobuf') {
    sendBytes(exchange, status, headers, options.contentType ?? protobufType, encodeObject(value as KubernetesObject));
    return;
  }
  if (options.format === 'yaml') {
    sendBytes(
      exchange,
      status,
      headers,
      options.contentType ?? 'application/yaml',
      stringify(value, { aliasDuplicateObjects: false }),
    );
    return;
  }
  const text = options.pretty ? JSON.stringify(value, null, 2) : JSON.stringify(value);
  sendBytes(exchange, status, headers, options.contentType ?? 'application/json', `${text}\n`);
}

export function sendText(exchange: Exchange, status: number, text: string, headers?: ResponseHeaders): void {
  const all = headers ?? commonHeaders(exchange);
  all['Content-Type'] = 'text/plain; charset=utf-8';
  all['X-Content-Type-Options'] = 'nosniff';
  exchange.respond(status, all, text);
}

/** Sends a failure as its Status object. */
export function sendError(exchange: Exchange, error: ApiError, warnings: readonly string[] = []): void {
  if (exchange.headersSent) {
    exchange.abort();
    return;
  }
  const headers = commonHeaders(exchange, warnings);
  const retry = error.status.details?.retryAfterSeconds;
  if (retry !== undefined && retry > 0) headers['Retry-After'] = String(retry);
  const pretty = wantsPretty(exchange, noQuery);
  const text = pretty ? JSON.stringify(error.status, null, 2) : JSON.stringify(error.status);
  headers['Content-Type'] = 'application/json';
  exchange.respond(error.code, headers, `${text}\n`);
}

const noQuery = new URLSearchParams();

/** A stream of response bytes, compressed or not; `write` waits while the client is behind. */
export function openBody(
  exchange: Exchange,
  status: number,
  headers: ResponseHeaders,
  compress: boolean,
): { write(chunk: Buffer): Promise<void>; end(): void } {
  if (!compress) {
    const stream = exchange.stream(status, headers);
    return {
      async write(chunk) {
        if (!stream.write(chunk)) await stream.drained();
      },
      end: () => stream.end(),
    };
  }
  headers['Content-Encoding'] = 'gzip';
  headers['Vary'] = 'Accept-Encoding';
  const stream: ResponseStream = exchange.stream(status, headers);
  const compressor = createGzip({ level: 1 });
  compressor.on('data', (chunk: Buffer) => {
    if (stream.write(chunk)) return;
    compressor.pause();
    void stream.drained().then(() => compressor.resume());
  });
  compressor.on('end', () => stream.end());
  exchange.onClose(() => compressor.destroy());
  compressor.on('error', () => exchange.abort());
  return {
    write: (chunk) =>
      new Promise((resolve) => {
        compressor.write(chunk, () => resolve());
        compressor.once('close', () => resolve());
      }),
    end: () => {
      compressor.end();
    },
  };
}
