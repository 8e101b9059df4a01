import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';
import type { Logger } from '../log/logger.ts';

export interface MetricsServerOptions {
  readonly host: string;
  readonly port: number;
  readonly registry: Registry;
  /** Further paths and the text they answer with. */
  readonly pages?: Readonly<Record<string, () => string>>;
  readonly logger: Logger;
}

/** Serves `/metrics` where the dashboards of one component expect it. A port that is not to be had is logged, and nothing is served. */
export async function serveMetrics(options: MetricsServerOptions): Promise<{ close(): void }> {
  const { host, port, registry, pages = {}, logger } = options;
  const server: Server = createServer((request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    if (page !== undefined) {
      response.end(page());
    } else if (path === '/metrics') {
      registry.metrics().then(
        (text) => {
          response.setHeader('Content-Type', registry.contentType);
          response.end(text);
        },
        (error: unknown) => {
          logger.error({ err: error }, 'metrics cannot be collected');
          response.writeHead(500).end();
        },
      );
    } else {
      response.writeHead(404).end('404 page not found\n');
    }
  });
  await new Promise<void>((resolve) => {
    server.once('listening', resolve);
    server.on('error', (error) => {
      logger.warn({ err: error, host, port }, 'metrics are not served');
      resolve();
    });
    server.listen(port, host);
  });
  server.unref();
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
