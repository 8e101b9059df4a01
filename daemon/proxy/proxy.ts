import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { Service } from '../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import { endpointslices, nodes, services } from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';
import type { SharedInformers } from '../client/informer.ts';
import { createSharedInformers } from '../client/shared-informers.ts';
import type { Logger } from '../log/logger.ts';
import { metrics as processMetrics } from '../metrics/metrics.ts';
import { serveMetrics } from '../metrics/metrics-server.ts';
import { cleanupBackends, type ProxyMode, selectBackend } from './backends.ts';
import { HealthCheckServers, healthzListener, ProxyHealth } from './health-server.ts';
import { createProxyMetrics, type ProxyMetrics } from './metrics.ts';
import { loadNetlink, type Netlink } from './netlink.ts';
import { internalEndpoints, type ServiceRules } from './service-rules.ts';
import { ServiceTable } from './service-table.ts';
import { forgetStaleConnections } from './stale-connections.ts';
import { SyncLoop } from './sync-loop.ts';

export interface ProxyOptions {
  readonly client: ApiClient;
  /** Shared with the other parts of this process; absent: informers of its own. */
  readonly informers?: SharedInformers;
  readonly nodeName: string;
  readonly nodeIps: readonly string[];
  /** One CIDR, or two separated by a comma in a dual-stack cluster. */
  readonly clusterPodCidr: string;
  readonly backend: ProxyMode;
  /** Where `/healthz` and `/livez` are; null: nowhere. Default: port 10256 of all addresses. */
  readonly health?: { readonly host: string; readonly port: number } | null;
  /** Where `/metrics` and `/proxyMode` are; null: nowhere. Default: port 10249 of localhost. */
  readonly metricsServer?: { readonly host: string; readonly port: number } | null;
  /** Milliseconds between two rounds of programming the kernel, and between two looks at whether it is still as written. */
  readonly minSyncInterval?: number;
  readonly maxSyncInterval?: number;
  readonly netlink?: Netlink;
  readonly logger: Logger;
}

export interface Proxy {
  /** Resolves once the kernel has been programmed for the first time. */
  readonly synced: Promise<void>;
  stop(): Promise<void>;
}

const changeTriggerAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time';
const excludeFromLoadBalancersTaint = 'ToBeDeletedByClusterAutoscaler';

let sharedMetrics: ProxyMetrics | undefined;

/** The service proxy of this node, in the network namespace of this process. Its rules stay when it stops. */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const { client, logger, nodeName, nodeIps } = options;
  const netlink = options.netlink ?? loadNetlink();
  sharedMetrics ??= createProxyMetrics(processMetrics);
  const metrics = sharedMetrics;
  const backend = await selectBackend(options.backend, {
    netlink,
    logger,
    clusterPodCidrs: options.clusterPodCidr.split(','),
    nodeIps,
  });
  await allowLoopbackNodePorts(logger);

  const health = new ProxyHealth();
  const healthChecks = new HealthCheckServers(logger, health);
  const table = new ServiceTable({ nodeName, zone: '', nodeIps });
  let programmed: ServiceRules = { ports: new Map() };
  let triggers: number[] = [];
  let nodeEligible = true;
  let informersReady = false;
  let firstSync: () => void = () => {};
  const synced = new Promise<void>((resolve) => {
    firstSync = resolve;
  });

  const sync = async (): Promise<void> => {
    if (!informersReady) return;
    const start = performance.now();
    const seen = triggers;
    triggers = [];
    try {
      const desired = table.rules();
      // A round without a change is there to see whether another program interfered.
      if (desired.ports === programmed.ports && !(await backend.intact())) {
        logger.warn('the rules were changed by another program: writing them anew');
      }
      const applied = await backend.sync(desired);
      const forgotten = await forgetStaleConnections(netlink, programmed, desired, nodeIps);
      for (const [family, count] of forgotten) {
        metrics.cleanedConntrackEntries.inc({ ip_family: family === 'ip' ? 'IPv4' : 'IPv6' }, count);
      }
      programmed = desired;
      healthChecks.sync(table.healthChecks());
      const seconds = (performance.now() - start) / 1000;
      metrics.syncDuration.observe(seconds);
      (applied.full ? metrics.fullSyncDuration : metrics.partialSyncDuration).observe(seconds);
      for (const trigger of seen) metrics.programmingDuration.observe(Math.max(0, Date.now() - trigger) / 1000);
      metrics.lastSync.setToCurrentTime();
      metrics.endpointChangesPending.set(0);
      metrics.serviceChangesPending.set(0);
      countLocalPolicies(metrics, desired);
      health.updated();
      if (applied.added + applied.removed > 0) {
        logger.debug({ ...applied, ports: desired.ports.size, milliseconds: seconds * 1000 }, 'kernel programmed');
      }
      for (const port of applied.conflicts)
        logger.warn({ port }, 'another Service already has an address and port of it');
      firstSync();
    } catch (error) {
      triggers = [...seen, ...triggers];
      metrics.syncFailures.inc();
      throw error;
    }
  };
  const loop = new SyncLoop({
    sync,
    minInterval: options.minSyncInterval ?? 20,
    maxInterval: options.maxSyncInterval ?? 30_000,
    logger,
  });
  const request = () => {
    metrics.lastQueued.setToCurrentTime();
    health.queued();
    loop.request();
  };

  const informers = options.informers ?? createSharedInformers(client, logger);
  const serviceChanged = (change: () => void) => {
    change();
    metrics.serviceChangesTotal.inc();
    metrics.serviceChangesPending.inc();
    request();
  };
  const sliceChanged = (change: () => void) => {
    change();
    metrics.endpointChangesTotal.inc();
    metrics.endpointChangesPending.inc();
    request();
  };
  const remember = (slice: EndpointSlice) => {
    const trigger = Date.parse(slice.metadata.annotations?.[changeTriggerAnnotation] ?? '');
    // What happened before the start says nothing about how fast this proxy is.
    if (informersReady && !Number.isNaN(trigger)) triggers.push(trigger);
  };
  const nodeChanged = (node: Parameters<ServiceTable['setNode']>[0]) => {
    nodeEligible =
      node.metadata?.deletionTimestamp === undefined &&
      (node.spec?.taints ?? []).every((taint) => taint.key !== excludeFromLoadBalancersTaint);
    if (table.setNode(node)) request();
  };

  const unsubscribe = [
    informers.informer(services).addHandler({
      onAdd: (service: Service) => serviceChanged(() => table.setService(service)),
      onUpdate: (service: Service) => serviceChanged(() => table.setService(service)),
      onDelete: (service: Service) => serviceChanged(() => table.deleteService(service)),
    }),
    informers.informer(endpointslices).addHandler({
      onAdd: (slice) =>
        sliceChanged(() => {
          table.setSlice(slice);
          remember(slice);
        }),
      onUpdate: (slice, old) =>
        sliceChanged(() => {
          table.setSlice(slice, old);
          remember(slice);
        }),
      onDelete: (slice) => sliceChanged(() => table.deleteSlice(slice)),
    }),
    informers.informer(nodes, { fieldSelector: `metadata.name=${nodeName}` }).addHandler({
      onAdd: (node) => nodeChanged(node),
      onUpdate: (node) => nodeChanged(node),
    }),
  ];
  const healthServer = await listen(options, health, () => nodeEligible);
  const metricsServer =
    options.metricsServer === null
      ? undefined
      : await serveMetrics({
          ...(options.metricsServer ?? { host: '127.0.0.1', port: 10_249 }),
          registry: processMetrics,
          pages: { '/proxyMode': () => backend.name, '/healthz': () => 'ok' },
          logger,
        });
  const started = informers.start().then(
    () => {
      informersReady = true;
      logger.info({ backend: backend.name }, 'service proxy started');
      request();
    },
    (error: unknown) => logger.error({ err: error }, 'the proxy cannot read Services'),
  );
  return {
    synced,
    async stop() {
      for (const stop of unsubscribe) stop();
      if (options.informers === undefined) await informers.stop();
      await started;
      await loop.stop();
      healthChecks.stop();
      metricsServer?.close();
      healthServer?.close();
      healthServer?.closeAllConnections();
    },
  };
}

/** Takes away everything that any backend ever wrote in this network namespace. */
export async function removeProxyRules(logger: Logger): Promise<void> {
  await cleanupBackends(loadNetlink(), logger);
}

/**
 * Lets connections to a node port on 127.0.0.1 be sent to a pod. The backends drop packets that would abuse it (CVE-2020-8558).
 */
async function allowLoopbackNodePorts(logger: Logger): Promise<void> {
  try {
    await writeFile('/proc/sys/net/ipv4/conf/all/route_localnet', '1');
  } catch (error) {
    logger.warn({ err: error }, 'node ports will not answer on 127.0.0.1');
  }
}

function countLocalPolicies(metrics: ProxyMetrics, rules: ServiceRules): void {
  let internal = 0;
  let external = 0;
  for (const rule of rules.ports.values()) {
    if (!rule.hasAnyEndpoints) continue;
    if (rule.internalLocal && internalEndpoints(rule).length === 0) internal++;
    if (rule.externalLocal && rule.localEndpoints.length === 0) external++;
  }
  metrics.noLocalEndpoints.set({ traffic_policy: 'internal' }, internal);
  metrics.noLocalEndpoints.set({ traffic_policy: 'external' }, external);
}

async function listen(
  options: ProxyOptions,
  health: ProxyHealth,
  isEligible: () => boolean,
): Promise<Server | undefined> {
  if (options.health === null) return undefined;
  const { host, port } = options.health ?? { host: '0.0.0.0', port: 10256 };
  const server = createServer(healthzListener(health, isEligible));
  await new Promise<void>((resolve) => {
    server.once('listening', resolve);
    server.once('error', (error) => {
      options.logger.error({ err: error, host, port }, 'the health check of the proxy is not reachable');
      resolve();
    });
    server.listen(port, host);
  });
  return server;
}
