import { type OpenApi, type OpenApiDocument, openApiV2Protobuf, openApiV2ProtobufAsked } from '../openapi/openapi.ts';
import type { Exchange } from './exchange.ts';
import type { PathHandler } from './front-door.ts';
import { commonHeaders, sendBytes, sendText } from './response.ts';

/** Clients keep a document under its hash: one asked for by its present hash never changes. */
const foreverHeaders = { 'Cache-Control': 'public, immutable', Expires: new Date(Date.UTC(2100, 0)).toUTCString() };

function send(exchange: Exchange, document: OpenApiDocument, contentType: string, hash: string | null): void {
  const headers = { ...commonHeaders(exchange), ETag: document.etag, Vary: 'Accept' };
  if (hash !== null && `"${hash}"` === document.etag) Object.assign(headers, foreverHeaders);
  if (exchange.headers['if-none-match'] === document.etag) {
    sendBytes(exchange, 304, headers, contentType, '');
    return;
  }
  sendBytes(exchange, 200, headers, contentType, document.body);
}

/** Serves `/openapi/v2` (JSON, or the protobuf form that old kubectls ask for) and `/openapi/v3`. */
export function createOpenApiHandler(openApi: OpenApi): PathHandler {
  return ({ exchange, info }) => {
    const path = info.path.endsWith('/') ? info.path.slice(0, -1) : info.path;
    if (path === '/openapi/v2') {
      const accept = exchange.headers.accept ?? '';
      const protobuf = accept.includes(openApiV2ProtobufAsked) || accept.includes(openApiV2Protobuf);
      send(
        exchange,
        openApi.v2(protobuf ? 'protobuf' : 'json'),
        protobuf ? openApiV2Protobuf : 'application/json',
        null,
      );
      return true;
    }
    const document = path === '/openapi/v3' ? openApi.v3Index() : openApi.v3(path.slice('/openapi/v3/'.length));
    if (document === undefined) sendText(exchange, 404, '404 page not found\n');
    else send(exchange, document, 'application/json', info.query.get('hash'));
    return true;
  };
}
