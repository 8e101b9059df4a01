import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from '../client/api-client.ts';
import type { SharedInformers } from '../client/informer.ts';
import { createSharedInformers } from '../client/shared-informers.ts';
import type { Logger } from '../log/logger.ts';
import { metrics as processMetrics } from '../metrics/metrics.ts';
import { serveMetrics } from '../metrics/metrics-server.ts';
import { addServiceAddress } from '../network/service-address.ts';
import { AnswerCache } from './answer-cache.ts';
import { InformedClusterView } from './cluster-view.ts';
import { ClusterZone } from './cluster-zone.ts';
import { listenDns } from './dns-server.ts';
import { ensureDnsService } from './dns-service.ts';
import { Forwarder } from './forwarder.ts';
import { hostResolvers } from './host-resolvers.ts';
import { createDnsMetrics, type DnsMetrics } from './metrics.ts';
import { Resolver } from './resolver.ts';

export interface DnsOptions {
  readonly client: ApiClient;
  /** Shared with the other parts of this process; absent: informers of its own. */
  readonly informers?: SharedInformers;
  /** The address of the DNS Service, which becomes one of this host, or an address the host has. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly clusterDomain: string;
  /** Resolvers for the rest of the world; absent: the host's own, from /etc/resolv.conf. */
  readonly upstreams?: readonly string[];
  /** False: the address is there, and no Service is to be made. */
  readonly provideService?: boolean;
  readonly logger: Logger;
}

export interface Dns {
  /** Resolves once questions are answered. */
  readonly listening: Promise<{ port: number }>;
  stop(): Promise<void>;
}

const metricsPort = 9153;
const longestRetry = 30_000;
let sharedMetrics: DnsMetrics | undefined;

/**
 * The cluster DNS of this node: every node answers the DNS Service's address itself, on a link of its own, so that a query
 * crosses neither another node nor address translation.
 */
export async function startDns(options: DnsOptions): Promise<Dns> {
  const { client, listen, logger } = options;
  const provideService = options.provideService ?? true;
  sharedMetrics ??= createDnsMetrics(processMetrics);
  const informers = options.informers ?? createSharedInformers(client, logger);
  const view = new InformedClusterView(informers);
  let ready = false;
  const upstreams = options.upstreams;
  const resolver = new Resolver({
    zone: new ClusterZone(options.clusterDomain, view, listen.host),
    forwarder: new Forwarder({
      upstreams: upstreams === undefined ? hostResolvers([listen.host]) : () => upstreams,
      logger,
    }),
    cache: new AnswerCache({ capacity: 10_000, maximumTtl: 30 }),
    metrics: sharedMetrics,
    logger,
    server: `dns://:${listen.port}`,
    isReady: () => ready,
  });

  const stopping = new AbortController();
  const retry = async <T>(what: string, attempt: () => Promise<T>): Promise<T | undefined> => {
    for (let delay = 250; !stopping.signal.aborted; delay = Math.min(longestRetry, delay * 2)) {
      try {
        return await attempt();
      } catch (error) {
        logger.warn({ err: error }, what);
        await sleep(delay, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    }
    return undefined;
  };
  const started = informers.start().then(
    () => {
      ready = true;
    },
    (error: unknown) => logger.error({ err: error }, 'the DNS cannot read Services'),
  );
  const server = retry('the DNS cannot listen', async () => {
    if (provideService) await addServiceAddress(listen.host);
    const listening = await listenDns({ ...listen, resolver, logger });
    logger.info({ host: listen.host, port: listening.port }, 'cluster DNS answers');
    // The Service names this port.
    const metricsServer = provideService
      ? await serveMetrics({ host: listen.host, port: metricsPort, registry: processMetrics, logger })
      : undefined;
    return {
      port: listening.port,
      async close() {
        metricsServer?.close();
        await listening.close();
      },
    };
  });
  const service = provideService
    ? retry('the DNS Service cannot be made', () => ensureDnsService(client, listen.host))
    : undefined;
  const stop = async (): Promise<void> => {
    stopping.abort();
    view.stop();
    if (options.informers === undefined) await informers.stop();
    await Promise.all([started, service]);
    await (await server)?.close();
  };
  let stopped: Promise<void> | undefined;
  return {
    listening: Promise.all([server, started]).then(([listening]) => ({ port: listening?.port ?? 0 })),
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}
