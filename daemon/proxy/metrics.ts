import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** kube-proxy's metric names, so that its dashboards and alerts work. */
export interface ProxyMetrics {
  readonly syncDuration: Histogram;
  readonly fullSyncDuration: Histogram;
  readonly partialSyncDuration: Histogram;
  readonly syncFailures: Counter;
  readonly programmingDuration: Histogram;
  readonly lastSync: Gauge;
  readonly lastQueued: Gauge;
  readonly endpointChangesPending: Gauge;
  readonly endpointChangesTotal: Counter;
  readonly serviceChangesPending: Gauge;
  readonly serviceChangesTotal: Counter;
  readonly cleanedConntrackEntries: Counter;
  readonly noLocalEndpoints: Gauge;
}

const prefix = 'kubeproxy_';
/** 1 ms to 16 s. */
const durations = Array.from({ length: 15 }, (_, power) => 0.001 * 2 ** power);

export function createProxyMetrics(registry: Registry): ProxyMetrics {
  const registers = [registry];
  const histogram = (name: string, help: string, buckets = durations) =>
    new Histogram({ name: prefix + name, help, buckets, registers });
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: prefix + name, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: prefix + name, help, labelNames, registers });
  return {
    syncDuration: histogram('sync_proxy_rules_duration_seconds', 'Latency of one round of programming the kernel'),
    fullSyncDuration: histogram('sync_full_proxy_rules_duration_seconds', 'Latency of rounds that wrote everything'),
    partialSyncDuration: histogram(
      'sync_partial_proxy_rules_duration_seconds',
      'Latency of rounds that wrote only changes',
    ),
    syncFailures: counter('sync_proxy_rules_failures_total', 'Rounds that failed'),
    programmingDuration: histogram(
      'network_programming_duration_seconds',
      'Time from a change of endpoints to the kernel acting on it',
      [0.25, 0.5, 1, 2, 3, 4, 5, 10, 20, 30, 60, 120, 300],
    ),
    lastSync: gauge('sync_proxy_rules_last_timestamp_seconds', 'When the kernel was last programmed successfully'),
    lastQueued: gauge('sync_proxy_rules_last_queued_timestamp_seconds', 'When a round was last asked for'),
    endpointChangesPending: gauge(
      'sync_proxy_rules_endpoint_changes_pending',
      'Changes of endpoints not yet in the kernel',
    ),
    endpointChangesTotal: counter('sync_proxy_rules_endpoint_changes_total', 'Changes of endpoints'),
    serviceChangesPending: gauge(
      'sync_proxy_rules_service_changes_pending',
      'Changes of Services not yet in the kernel',
    ),
    serviceChangesTotal: counter('sync_proxy_rules_service_changes_total', 'Changes of Services'),
    cleanedConntrackEntries: counter('conntrack_reconciler_deleted_entries_total', 'Stale connections forgotten', [
      'ip_family',
    ]),
    noLocalEndpoints: gauge(
      'sync_proxy_rules_no_local_endpoints_total',
      'Services with a Local traffic policy and no endpoint on this node',
      ['traffic_policy'],
    ),
  };
}
