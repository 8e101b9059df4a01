import { Counter, Gauge, Histogram } from 'prom-client';
import { metrics } from '../../metrics/metrics.ts';
import type { RequestInfo } from './request-info.ts';

const requests = new Counter({
  name: 'apiserver_request_total',
  help: 'Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.',
  labelNames: ['verb', 'dry_run', 'group', 'version', 'resource', 'subresource', 'scope', 'component', 'code'],
  registers: [metrics],
});

const durations = new Histogram({
  name: 'apiserver_request_duration_seconds',
  help: 'Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.',
  labelNames: ['verb', 'dry_run', 'group', 'version', 'resource', 'subresource', 'scope', 'component'],
  buckets: [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60],
  registers: [metrics],
});

const inflight = new Gauge({
  name: 'apiserver_current_inflight_requests',
  help: 'Maximal number of currently used inflight request limit of this apiserver per request kind in last second.',
  labelNames: ['request_kind'],
  registers: [metrics],
});

const longRunning = new Gauge({
  name: 'apiserver_longrunning_requests',
  help: 'Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component.',
  labelNames: ['verb', 'group', 'version', 'resource', 'subresource', 'scope', 'component'],
  registers: [metrics],
});

interface Series {
  readonly counters: Map<number, { inc(): void }>;
  readonly observe: (seconds: number) => void;
}

const series = new Map<string, Series>();
const verbs: Readonly<Record<string, string>> = {
  get: 'GET',
  list: 'LIST',
  watch: 'WATCH',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETECOLLECTION',
  post: 'POST',
  put: 'PUT',
  head: 'GET',
  connect: 'CONNECT',
};
const maxSeries = 2000;

/** Counts requests under the names that dashboards for kube-apiserver use; the label sets are looked up once each. */
export function observeRequest(info: RequestInfo, known: boolean, code: number, seconds: number): void {
  const { resource } = info;
  const named = known && resource !== undefined;
  const scope = !named ? '' : resource.name !== '' ? 'resource' : resource.namespace !== '' ? 'namespace' : 'cluster';
  const key = named
    ? `${info.verb} ${resource.group}/${resource.version}/${resource.resource}/${resource.subresource} ${scope}`
    : `${info.verb} -`;
  let found = series.get(key);
  if (found === undefined) {
    if (series.size >= maxSeries) return;
    const labels = {
      verb: verbs[info.verb] ?? 'OTHER',
      dry_run: '',
      group: named ? resource.group : '',
      version: named ? resource.version : '',
      resource: named ? resource.resource : '',
      subresource: named ? resource.subresource : '',
      scope,
      component: 'apiserver',
    };
    const child = durations.labels(labels);
    found = { counters: new Map(), observe: (value) => child.observe(value) };
    const { counters } = found;
    series.set(key, found);
    counters.set(code, requests.labels({ ...labels, code: String(code) }));
    seriesLabels.set(found, labels);
  }
  let counter = found.counters.get(code);
  if (counter === undefined) {
    counter = requests.labels({ ...seriesLabels.get(found)!, code: String(code) });
    found.counters.set(code, counter);
  }
  counter.inc();
  if (info.verb !== 'watch') found.observe(seconds);
}

const seriesLabels = new WeakMap<Series, Record<string, string>>();

export const inflightRequests: {
  readonly readOnly: { inc(): void; dec(): void };
  readonly mutating: { inc(): void; dec(): void };
} = {
  readOnly: inflight.labels({ request_kind: 'readOnly' }),
  mutating: inflight.labels({ request_kind: 'mutating' }),
};

export function watchStarted(info: RequestInfo): () => void {
  const { resource } = info;
  const gauge = longRunning.labels({
    verb: 'WATCH',
    group: resource?.group ?? '',
    version: resource?.version ?? '',
    resource: resource?.resource ?? '',
    subresource: '',
    scope: resource?.namespace === '' ? 'cluster' : 'namespace',
    component: 'apiserver',
  });
  gauge.inc();
  return () => gauge.dec();
}
