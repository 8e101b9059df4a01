import type { Environment } from '@marcbachmann/cel-js';

/** The WHATWG parser's URL: its own class, so that CEL does not take other objects for one. */
class Url {
  readonly url: URL;
  readonly absolute: boolean;

  constructor(text: string) {
    this.absolute = !text.startsWith('/');
    if (!this.absolute && text.startsWith('//')) throw new Error('URL parse error during conversion from string');
    try {
      this.url = new URL(text, this.absolute ? undefined : 'http://none');
    } catch {
      throw new Error(
        `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
      );
    }
  }
}

/** The URL library of Kubernetes. */
export function registerUrlFunctions(environment: Environment): void {
  environment
    .registerType('kubernetes.URL', { ctor: Url, fields: {} })
    .registerFunction('url(string): kubernetes.URL', (text: string) => new Url(text))
    .registerFunction('isURL(string): bool', (text: string) => URL.canParse(text) || /^\/(?!\/)/.test(text))
    .registerFunction('kubernetes.URL.getScheme(): string', ({ url, absolute }: Url) =>
      absolute ? url.protocol.slice(0, -1) : '',
    )
    .registerFunction('kubernetes.URL.getHost(): string', ({ url, absolute }: Url) => (absolute ? url.host : ''))
    .registerFunction('kubernetes.URL.getHostname(): string', ({ url, absolute }: Url) =>
      absolute ? url.hostname.replace(/^\[|\]$/g, '') : '',
    )
    .registerFunction('kubernetes.URL.getPort(): string', ({ url }: Url) => url.port)
    .registerFunction('kubernetes.URL.getEscapedPath(): string', ({ url }: Url) => url.pathname)
    .registerFunction('kubernetes.URL.getQuery(): map<string, list<string>>', ({ url }: Url) => {
      const query: Record<string, string[]> = {};
      for (const name of url.searchParams.keys()) query[name] = url.searchParams.getAll(name);
      return query;
    });
}
