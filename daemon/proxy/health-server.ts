import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '../log/logger.ts';
import type { HealthCheck } from './service-rules.ts';

/** How old the state of the kernel may get before the proxy calls itself unhealthy, in milliseconds. */
const staleAfter = 120_000;

/** Whether the proxy keeps up: healthy unless a request to sync has waited for too long. */
export class ProxyHealth {
  #lastUpdated: number | undefined;
  #oldestPending: number | undefined;
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  queued(): void {
    this.#oldestPending ??= this.#now();
  }

  updated(): void {
    this.#lastUpdated = this.#now();
    this.#oldestPending = undefined;
  }

  get lastUpdated(): Date | undefined {
    return this.#lastUpdated === undefined ? undefined : new Date(this.#lastUpdated);
  }

  isHealthy(): boolean {
    if (this.#lastUpdated === undefined) return false;
    return this.#oldestPending === undefined || this.#now() - this.#oldestPending < staleAfter;
  }
}

/**
 * `/healthz` and `/livez` as kube-proxy answers them on port 10256: load balancers use them to see whether a node takes
 * traffic. `isEligible` is false once the node is being deleted.
 */
export function healthzListener(health: ProxyHealth, isEligible: () => boolean): RequestListener {
  return (request, response) => {
    const path = request.url?.split('?')[0];
    if (path !== '/healthz' && path !== '/livez') return answer(response, 404, '404 page not found\n', 'text/plain');
    const healthy = health.isHealthy() && (path === '/livez' || isEligible());
    const now = new Date();
    const lastUpdated = healthy ? now : (health.lastUpdated ?? new Date(0));
    answer(
      response,
      healthy ? 200 : 503,
      JSON.stringify({
        lastUpdated: lastUpdated.toISOString(),
        currentTime: now.toISOString(),
        ...(path === '/healthz' && { nodeEligible: isEligible() }),
      }),
    );
  };
}

/** Answers each Service's health check node port: 200 while there are endpoints on this node. */
export class HealthCheckServers {
  readonly #logger: Logger;
  readonly #health: ProxyHealth;
  readonly #servers = new Map<number, { server: Server; check: HealthCheck }>();

  constructor(logger: Logger, health: ProxyHealth) {
    this.#logger = logger;
    this.#health = health;
  }

  sync(checks: readonly HealthCheck[]): void {
    const wanted = new Map(checks.map((check) => [check.port, check]));
    for (const [port, { server }] of this.#servers) {
      if (wanted.has(port)) continue;
      server.close();
      server.closeAllConnections();
      this.#servers.delete(port);
    }
    for (const [port, check] of wanted) {
      const known = this.#servers.get(port);
      if (known === undefined) this.#listen(port, check);
      else known.check = check;
    }
  }

  stop(): void {
    this.sync([]);
  }

  #listen(port: number, check: HealthCheck): void {
    const entry = { check, server: createServer((request, response) => this.#answer(entry.check, request, response)) };
    entry.server.on('error', (error) => {
      this.#logger.warn(
        { err: error, port, namespace: check.namespace, name: check.name },
        'health check port unavailable',
      );
      // The next sync tries again.
      this.#servers.delete(port);
    });
    entry.server.listen(port);
    entry.server.unref();
    this.#servers.set(port, entry);
  }

  #answer(check: HealthCheck, _request: IncomingMessage, response: ServerResponse): void {
    const healthy = this.#health.isHealthy();
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('X-Load-Balancing-Endpoint-Weight', String(check.localEndpoints));
    answer(
      response,
      check.localEndpoints > 0 && healthy ? 200 : 503,
      JSON.stringify(
        {
          service: { namespace: check.namespace, name: check.name },
          localEndpoints: check.localEndpoints,
          serviceProxyHealthy: healthy,
        },
        undefined,
        '\t',
      ),
    );
  }
}

function answer(response: ServerResponse, status: number, body: string, type = 'application/json'): void {
  response.writeHead(status, { 'Content-Type': type });
  response.end(body);
}
