import { Agent, type Dispatcher, request } from 'undici';
import type { TestingServer } from './testing-server.ts';

export interface Answer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  // Tests look into whatever the server answered.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what is under test
  readonly body: any;
}

/** Plain requests to a testing server, as an administrator unless told otherwise. */
export class TestingHttp {
  readonly #agent: Agent;
  readonly #url: string;

  constructor(
    server: TestingServer,
    credentials: { cert: string; key: string } | null = server.admin,
    options: { http2?: boolean } = {},
  ) {
    this.#url = server.api.url;
    this.#agent = new Agent({
      connect: { ca: server.ca, ...credentials },
      allowH2: options.http2 === true,
      bodyTimeout: 0,
      headersTimeout: 20_000,
    });
  }

  async send(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string | string[]> = {},
  ): Promise<Answer> {
    const response = await request(this.#url + path, {
      dispatcher: this.#agent,
      method: method as Dispatcher.HttpMethod,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.body.text();
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      parsed = undefined;
    }
    return { code: response.statusCode, headers: response.headers, text, body: parsed };
  }

  get = (path: string, headers?: Record<string, string>) => this.send('GET', path, undefined, headers);
  post = (path: string, body: unknown, headers?: Record<string, string>) => this.send('POST', path, body, headers);
  put = (path: string, body: unknown, headers?: Record<string, string>) => this.send('PUT', path, body, headers);
  delete = (path: string, body?: unknown) => this.send('DELETE', path, body);
  patch = (path: string, type: string, body: unknown) =>
    this.send('PATCH', path, body, { 'content-type': `application/${type}` });

  /** The frames of a watch as they come; stop reading to end it. */
  async *watch(path: string): AsyncGenerator<{ type: string; object: Record<string, never> }> {
    const response = await request(this.#url + path, { dispatcher: this.#agent, method: 'GET' });
    let rest = '';
    for await (const chunk of response.body) {
      rest += String(chunk);
      for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n')) {
        yield JSON.parse(rest.slice(0, end)) as { type: string; object: Record<string, never> };
        rest = rest.slice(end + 1);
      }
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}
