import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { ApiError, apiError } from '../../apimachinery/api-error.ts';
import type { Status } from '../../apimachinery/types/meta-v1.ts';
import type { Identity } from '../../client/api-client.ts';

export interface RestRequest {
  readonly method: 'GET' | 'PATCH' | 'DELETE' | 'POST';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly accept?: string;
  readonly contentType?: string;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

export interface RestResponse {
  readonly status: number;
  readonly body: IncomingMessage;
}

/** The Kubernetes API in its wire form, as one caller sees it. The control API adds nothing to what that caller may do. */
export interface RestCaller {
  /** Resolves on a 2xx answer, whose body is still to be read; throws ApiError otherwise. */
  stream(request: RestRequest): Promise<RestResponse>;
  json<T>(request: RestRequest): Promise<{ status: number; value: T }>;
}

export interface RestEndpoint {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  /** A certificate of a user who may impersonate. */
  readonly cert: string;
  readonly key: string;
}

async function text(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function failure(response: IncomingMessage): Promise<ApiError> {
  const body = await text(response);
  try {
    const status = JSON.parse(body) as Status;
    if (status.kind === 'Status') return new ApiError(status);
  } catch {
    // Not JSON: some proxies and subresources answer in plain text, which is then the message.
  }
  return apiError('', body.trim() || `HTTP ${response.statusCode}`, undefined, response.statusCode ?? 500);
}

/** Callers of one API server; each call of the result makes requests as that identity, by impersonation. */
export function createRestCallers(endpoint: RestEndpoint): { as(identity: Identity): RestCaller; close(): void } {
  const agent = new Agent({ keepAlive: true, ca: endpoint.ca, cert: endpoint.cert, key: endpoint.key });

  function send(identity: Identity, options: RestRequest): Promise<IncomingMessage> {
    const query = new URLSearchParams(
      Object.entries(options.query ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
    const headers: Record<string, string | string[]> = {
      accept: options.accept ?? 'application/json',
      'user-agent': 'balsa-control',
      'impersonate-user': identity.name,
      'impersonate-group': [...identity.groups],
    };
    if (options.body !== undefined) {
      headers['content-type'] = options.contentType ?? 'application/json';
      headers['content-length'] = String(Buffer.byteLength(options.body));
    }
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          agent,
          host: endpoint.host,
          port: endpoint.port,
          method: options.method,
          path: query.size === 0 ? options.path : `${options.path}?${query}`,
          headers,
          ...(options.signal === undefined ? {} : { signal: options.signal }),
        },
        resolve,
      );
      outgoing.on('error', (error) =>
        reject(apiError('ServiceUnavailable', `the API server does not answer: ${error.message}`)),
      );
      outgoing.end(options.body);
    });
  }

  const as = (identity: Identity): RestCaller => {
    const stream = async (options: RestRequest): Promise<RestResponse> => {
      const response = await send(identity, options);
      const status = response.statusCode ?? 500;
      if (status < 200 || status > 299) throw await failure(response);
      return { status, body: response };
    };
    return {
      stream,
      async json<T>(options: RestRequest) {
        const { status, body } = await stream(options);
        return { status, value: JSON.parse(await text(body)) as T };
      },
    };
  };
  return { as, close: () => agent.destroy() };
}
