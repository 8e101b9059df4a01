import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** CoreDNS's metric names, so that its dashboards and alerts work. */
export function createDnsMetrics(registry: Registry) {
  const registers = [registry];
  const server = ['server', 'zone', 'view'];
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `coredns_${name}`, help, labelNames, registers });
  const histogram = (name: string, help: string, labelNames: string[], buckets: number[]) =>
    new Histogram({ name: `coredns_${name}`, help, labelNames, buckets, registers });
  /** 0.25 ms to 8 s. */
  const seconds = Array.from({ length: 16 }, (_, power) => 0.00025 * 2 ** power);
  const bytes = [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000];
  return {
    requests: counter('dns_requests_total', 'Queries', [...server, 'proto', 'family', 'type']),
    responses: counter('dns_responses_total', 'Answers by response code', [...server, 'rcode', 'plugin']),
    duration: histogram('dns_request_duration_seconds', 'Time from query to answer', server, seconds),
    requestSize: histogram('dns_request_size_bytes', 'Size of queries', [...server, 'proto'], bytes),
    responseSize: histogram('dns_response_size_bytes', 'Size of answers', [...server, 'proto'], bytes),
    panics: counter('panics_total', 'Queries whose handling failed unexpectedly', []),
    cacheHits: counter('cache_hits_total', 'Queries answered from the cache', ['server', 'type', 'zones', 'view']),
    cacheMisses: counter('cache_misses_total', 'Queries that the cache could not answer', ['server', 'zones', 'view']),
    cacheEntries: new Gauge({
      name: 'coredns_cache_entries',
      help: 'Answers in the cache',
      labelNames: ['server', 'type', 'zones', 'view'],
      registers,
    }),
    forwardDuration: histogram(
      'proxy_request_duration_seconds',
      'Time an upstream took',
      ['proxy_name', 'to', 'rcode'],
      seconds,
    ),
  };
}

export type DnsMetrics = ReturnType<typeof createDnsMetrics>;
