import { metrics } from '../../metrics/metrics.ts';
import type { ServiceAccountTokens } from '../authentication/service-account-token.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { versionInfo } from '../discovery/version.ts';
import { methodNotAllowed } from '../status-errors.ts';
import type { Exchange } from './exchange.ts';
import type { PathContext, PathHandler } from './front-door.ts';
import type { HealthChecks } from './health.ts';
import { negotiate, parseAccept } from './negotiate.ts';
import { commonHeaders, sendBytes, sendText, sendValue, wantsPretty } from './response.ts';

export interface PathServices {
  readonly discovery: Discovery;
  readonly health: HealthChecks;
  readonly tokens: ServiceAccountTokens;
  readonly serverAddress: string;
  readonly openApi?: PathHandler;
}

type Handler = (context: PathContext) => void | Promise<void>;

/** The paths that are not resources. */
export function createPathHandler(services: PathServices): PathHandler {
  const { discovery, health, tokens } = services;
  const exact = new Map<string, Handler>([
    ['/version', ({ exchange, info }) => json(exchange, info.query, versionInfo)],
    ['/api', (context) => discoveryRoot(context, true)],
    ['/apis', (context) => discoveryRoot(context, false)],
    ['/', ({ exchange, info }) => json(exchange, info.query, { paths: rootPaths() })],
    ['/metrics', metricsText],
    ['/.well-known/openid-configuration', openIdConfiguration],
    [
      '/openid/v1/jwks',
      async ({ exchange }) => {
        const headers = commonHeaders(exchange);
        headers['Cache-Control'] = 'public, max-age=3600';
        sendBytes(exchange, 200, headers, 'application/jwk-set+json', JSON.stringify(await tokens.jwks()));
      },
    ],
  ]);

  function rootPaths(): string[] {
    return [
      '/.well-known/openid-configuration',
      ...discovery.paths(),
      ...health.paths(),
      '/metrics',
      '/openapi/v2',
      '/openapi/v3',
      '/openapi/v3/',
      '/openid/v1/jwks',
      '/version',
    ].sort();
  }

  function discoveryRoot({ exchange, info }: PathContext, core: boolean): void {
    const aggregated = aggregatedVersion(exchange.headers.accept);
    if (aggregated !== undefined) {
      const headers = commonHeaders(exchange);
      headers['Vary'] = 'Accept';
      sendValue(exchange, 200, headers, discovery.aggregated(core, aggregated), {
        format: 'json',
        pretty: false,
        contentType: `application/json;g=apidiscovery.k8s.io;v=${aggregated};as=APIGroupDiscoveryList`,
      });
      return;
    }
    json(exchange, info.query, core ? discovery.coreVersions(services.serverAddress) : discovery.groupList(), {
      Vary: 'Accept',
    });
  }

  async function openIdConfiguration({ exchange }: PathContext): Promise<void> {
    const headers = commonHeaders(exchange);
    headers['Cache-Control'] = 'public, max-age=3600';
    const body = await tokens.configuration(`https://${services.serverAddress}/openid/v1/jwks`);
    sendBytes(exchange, 200, headers, 'application/json', JSON.stringify(body));
  }

  return async (context) => {
    const { exchange, info } = context;
    const path = info.path.length > 1 && info.path.endsWith('/') ? info.path.slice(0, -1) : info.path;
    if (path.startsWith('/openapi/') && services.openApi !== undefined && (await services.openApi(context)))
      return true;
    const health = healthHandler(services.health, path);
    const handler = exact.get(path) ?? health ?? groupHandler(path);
    if (handler === undefined) {
      sendText(exchange, 404, '404 page not found\n');
      return true;
    }
    if (exchange.method !== 'GET' && exchange.method !== 'HEAD') throw methodNotAllowed();
    await handler(context);
    return true;
  };

  function groupHandler(path: string): Handler | undefined {
    const parts = path.split('/');
    let document: object | undefined;
    if (parts[1] === 'api' && parts.length === 3) document = discovery.resources('', parts[2]!);
    else if (parts[1] === 'apis' && parts.length === 3) document = discovery.group(parts[2]!);
    else if (parts[1] === 'apis' && parts.length === 4) document = discovery.resources(parts[2]!, parts[3]!);
    if (document === undefined) return undefined;
    const found = document;
    return ({ exchange, info }) => json(exchange, info.query, found);
  }
}

function json(exchange: Exchange, query: URLSearchParams, value: unknown, extra: Record<string, string> = {}): void {
  const { format } = negotiate(exchange.headers.accept);
  sendValue(exchange, 200, { ...commonHeaders(exchange), ...extra }, value, {
    format,
    pretty: wantsPretty(exchange, query),
  });
}

/** Which aggregated discovery document the client prefers to the legacy one, if any. */
function aggregatedVersion(accept: string | undefined): 'v2' | 'v2beta1' | undefined {
  if (accept === undefined || !accept.includes('apidiscovery.k8s.io')) return undefined;
  for (const { type, parameters } of parseAccept(accept)) {
    if (type !== 'application/json') continue;
    if (parameters.get('g') !== 'apidiscovery.k8s.io') return undefined;
    const version = parameters.get('v');
    if (parameters.get('as') === 'APIGroupDiscoveryList' && (version === 'v2' || version === 'v2beta1')) return version;
  }
  return undefined;
}

async function metricsText({ exchange }: PathContext): Promise<void> {
  sendBytes(exchange, 200, commonHeaders(exchange), metrics.contentType, await metrics.metrics());
}

function healthHandler(health: HealthChecks, path: string): Handler | undefined {
  const parts = path.split('/');
  const endpoint = parts[1] ?? '';
  if (!health.has(endpoint)) return undefined;
  const check = parts.slice(2).join('/');
  if (check !== '' && !health.hasCheck(endpoint, check)) return undefined;
  return ({ exchange, info }) => {
    const result = health.run(endpoint, {
      check,
      verbose: info.query.has('verbose'),
      exclude: info.query.getAll('exclude').flatMap((names) => names.split(',')),
    });
    sendText(exchange, result.healthy ? 200 : 500, result.text);
  };
}
