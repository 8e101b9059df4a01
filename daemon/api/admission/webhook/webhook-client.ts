import { Agent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { WebhookClientConfig } from '../../../apimachinery/types/admissionregistration-v1.ts';
import type { Service } from '../../../apimachinery/types/core-v1.ts';
import type { Registry } from '../../registry/registry.ts';

const maxAnswerBytes = 8 * 1024 * 1024;

/** Where a webhook listens, and under which name. */
interface Target {
  readonly url: URL;
  readonly host: string;
  readonly servername: string;
}

/** A call that failed; the message is in the words of Go's HTTP client. */
export class WebhookCallError extends Error {
  override readonly name = 'WebhookCallError';
}

/** Calls webhooks over HTTPS: by URL, or by the Service in front of them. Connections are kept. */
export class WebhookClient {
  readonly #registry: Registry;
  readonly #agents = new Map<string, Agent>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  stop(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  /** POSTs `body` and yields the parsed answer. Throws a `WebhookCallError`. */
  async post(config: WebhookClientConfig, body: object, timeoutMs: number, query = true): Promise<unknown> {
    const target = this.#target(config);
    if (query) target.url.searchParams.set('timeout', `${Math.round(timeoutMs / 1000)}s`);
    const fail = (why: string) => new WebhookCallError(`Post "${target.url.href}": ${why}`);
    const { code, text } = await this.#send(target, config.caBundle, JSON.stringify(body), timeoutMs, fail);
    if (code < 200 || code > 299) {
      throw new WebhookCallError(
        code === 404
          ? 'the server could not find the requested resource'
          : `an error on the server (${JSON.stringify(text.slice(0, 1024).trim())}) has prevented the request from succeeding`,
      );
    }
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw new WebhookCallError(`couldn't get version/kind; json parse error: ${text.slice(0, 100)}`);
    }
  }

  #target({ url, service }: WebhookClientConfig): Target {
    if (url !== undefined) {
      const parsed = new URL(url);
      const host = parsed.hostname.replace(/^\[|\]$/g, '');
      return { url: parsed, host, servername: isIP(host) === 0 ? host : '' };
    }
    if (service === undefined) throw new WebhookCallError('neither url nor service is given');
    const { name, namespace, path = '', port = 443 } = service;
    const servername = `${name}.${namespace}.svc`;
    const target = new URL(`https://${servername}:${port}${path.startsWith('/') ? '' : '/'}${path}`);
    const row = this.#registry.require('', 'v1', 'services');
    const object = this.#registry.hub.cacheOf(row).get(`${namespace}/${name}`)?.object as Service | undefined;
    const shown = `https://${servername}:${port}${path.startsWith('/') ? '' : '/'}${path}`;
    if (object === undefined) throw new WebhookCallError(`Post ${JSON.stringify(shown)}: service "${name}" not found`);
    const { spec } = object;
    if (spec?.type !== 'ExternalName' && !spec?.ports?.some((one) => one.port === port)) {
      throw new WebhookCallError(`Post ${JSON.stringify(shown)}: no service port ${port} found for service "${name}"`);
    }
    const host = spec.type === 'ExternalName' ? (spec.externalName ?? '') : (spec.clusterIP ?? '');
    if (host === '' || host === 'None') {
      throw new WebhookCallError(`Post ${JSON.stringify(shown)}: no endpoints available for service "${name}"`);
    }
    return { url: target, host, servername };
  }

  #agent(caBundle: string | undefined): Agent {
    const key = caBundle ?? '';
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      const ca = caBundle === undefined ? {} : { ca: Buffer.from(caBundle, 'base64').toString() };
      agent = new Agent({ ...ca, keepAlive: true });
      this.#agents.set(key, agent);
    }
    return agent;
  }

  #send(
    { url, host, servername }: Target,
    caBundle: string | undefined,
    body: string,
    timeoutMs: number,
    fail: (why: string) => WebhookCallError,
  ): Promise<{ code: number; text: string }> {
    return new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(timeoutMs);
      const request = httpsRequest(
        {
          agent: this.#agent(caBundle),
          host,
          port: url.port === '' ? 443 : Number(url.port),
          path: `${url.pathname}${url.search}`,
          ...(servername === '' ? {} : { servername }),
          method: 'POST',
          headers: {
            host: url.host,
            'content-type': 'application/json',
            accept: 'application/json, */*',
            'content-length': Buffer.byteLength(body),
          },
          signal,
        },
        (response) => {
          const chunks: Buffer[] = [];
          let length = 0;
          response.on('data', (chunk: Buffer) => {
            length += chunk.length;
            if (length > maxAnswerBytes) request.destroy(new Error('the answer is too large'));
            else chunks.push(chunk);
          });
          response.on('end', () => resolve({ code: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
          response.on('error', (error) => reject(fail(goNetworkError(error, host, url, signal))));
        },
      );
      request.on('error', (error) => reject(fail(goNetworkError(error, host, url, signal))));
      request.end(body);
    });
  }
}

/** A connection's failure as Go words it. */
function goNetworkError(error: Error, host: string, url: URL, signal: AbortSignal): string {
  if (signal.aborted) return 'context deadline exceeded';
  const { code = '' } = error as NodeJS.ErrnoException;
  const at = `dial tcp ${host.includes(':') ? `[${host}]` : host}:${url.port || '443'}`;
  if (code === 'ECONNREFUSED') return `${at}: connect: connection refused`;
  if (code === 'EHOSTUNREACH') return `${at}: connect: no route to host`;
  if (code === 'ENETUNREACH') return `${at}: connect: network is unreachable`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `dial tcp: lookup ${host}: no such host`;
  if (code === 'ECONNRESET') return 'EOF';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `tls: failed to verify certificate: x509: ${error.message}`;
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code)) {
    return 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
  }
  return error.message;
}
