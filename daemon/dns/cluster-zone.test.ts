import type { Answer } from 'dns-packet';
import t from 'tap';
import type { Service } from '../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import type { ClusterView } from './cluster-view.ts';
import { ClusterZone } from './cluster-zone.ts';

const service = (name: string, spec: Service['spec']): Service => ({ metadata: { name, namespace: 'default' }, spec });

const slice = (name: string, endpoints: EndpointSlice['endpoints'], ports: EndpointSlice['ports']): EndpointSlice => ({
  metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
  addressType: 'IPv4',
  ...(endpoints !== undefined && { endpoints }),
  ...(ports !== undefined && { ports }),
});

const services = [
  service('web', {
    clusterIP: '10.96.0.20',
    clusterIPs: ['10.96.0.20', 'fd00::20'],
    ports: [
      { name: 'http', port: 80, protocol: 'TCP' },
      { name: 'quic', port: 80, protocol: 'UDP' },
    ],
  }),
  service('four', { clusterIP: '10.96.0.21', clusterIPs: ['10.96.0.21'], ports: [{ port: 80 }] }),
  service('db', { clusterIP: 'None', clusterIPs: ['None'], ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }] }),
  service('empty', { clusterIP: 'None', clusterIPs: ['None'], ports: [{ name: 'sql', port: 5432 }] }),
  service('alias', { type: 'ExternalName', externalName: 'www.Example.com.' }),
  service('inner', { type: 'ExternalName', externalName: 'web.default.svc.cluster.local' }),
];

const slices = [
  slice(
    'db',
    [
      { addresses: ['10.244.0.5'], hostname: 'db-0', conditions: { ready: true } },
      { addresses: ['10.244.0.6'], conditions: { ready: true } },
      { addresses: ['10.244.0.7'], hostname: 'db-2', conditions: { ready: false } },
    ],
    [{ name: 'sql', port: 5432, protocol: 'TCP' }],
  ),
  slice('web', [{ addresses: ['10.244.0.9'] }], [{ name: 'http', port: 8080 }]),
];

const keyOf = (object: { metadata?: { labels?: Record<string, string> } }) =>
  object.metadata?.labels?.['kubernetes.io/service-name'];

const view: ClusterView = {
  serial: 7,
  hasNamespace: (name) => name === 'default',
  service: (namespace, name) =>
    services.find((candidate) => candidate.metadata?.name === name && candidate.metadata.namespace === namespace),
  slicesOf: (_namespace, name) => slices.filter((candidate) => keyOf(candidate) === name),
  servicesByIp: (ip) => services.filter((candidate) => candidate.spec?.clusterIPs?.includes(ip)),
  slicesByIp: (ip) =>
    slices.filter((candidate) => candidate.endpoints?.some((endpoint) => endpoint.addresses.includes(ip))),
};

const zone = new ClusterZone('cluster.local', view, '10.96.0.10');

/** Answers in short, `NODATA`, a response code, or undefined for a name that is not the zone's. */
function ask(name: string, type: string): string[] | string | undefined {
  const answer = zone.resolve(name, type);
  if (answer === undefined) return undefined;
  if (answer.code !== 'NOERROR') return answer.code;
  return answer.answers.length === 0 ? 'NODATA' : answer.answers.map(brief);
}

function brief(answer: Answer): string {
  if (answer.type === 'SRV') {
    const { priority, weight, port, target } = answer.data;
    return `SRV ${priority} ${weight} ${port} ${target}`;
  }
  return `${answer.type} ${'data' in answer ? String(answer.data) : ''}`;
}

t.test('services with a cluster IP', async (t) => {
  t.same(ask('web.default.svc.cluster.local', 'A'), ['A 10.96.0.20']);
  t.same(ask('web.default.svc.cluster.local', 'AAAA'), ['AAAA fd00::20']);
  t.same(ask('four.default.svc.cluster.local', 'AAAA'), 'NODATA');
  t.same(ask('four.default.svc.cluster.local', 'MX'), 'NODATA');
  t.same(ask('none.default.svc.cluster.local', 'A'), 'NXDOMAIN');
  t.same(ask('web.other.svc.cluster.local', 'A'), 'NXDOMAIN');
  t.same(ask('x.web.default.svc.cluster.local', 'A'), 'NXDOMAIN');
});

t.test('headless services: ready endpoints, by host name or address', async (t) => {
  t.same(ask('db.default.svc.cluster.local', 'A'), ['A 10.244.0.5', 'A 10.244.0.6']);
  t.same(ask('db-0.db.default.svc.cluster.local', 'A'), ['A 10.244.0.5']);
  t.same(ask('10-244-0-6.db.default.svc.cluster.local', 'A'), ['A 10.244.0.6']);
  t.same(ask('db-2.db.default.svc.cluster.local', 'A'), 'NXDOMAIN', 'not ready');
  t.same(ask('empty.default.svc.cluster.local', 'A'), 'NXDOMAIN');
});

t.test('SRV records of named ports', async (t) => {
  t.same(ask('_http._tcp.web.default.svc.cluster.local', 'SRV'), ['SRV 0 100 80 web.default.svc.cluster.local']);
  t.same(ask('_http._udp.web.default.svc.cluster.local', 'SRV'), 'NXDOMAIN');
  t.same(ask('_http._tcp.web.default.svc.cluster.local', 'A'), 'NODATA');
  t.same(ask('_sql._tcp.db.default.svc.cluster.local', 'SRV'), [
    'SRV 0 50 5432 db-0.db.default.svc.cluster.local',
    'SRV 0 50 5432 10-244-0-6.db.default.svc.cluster.local',
  ]);
  t.same(zone.resolve('_sql._tcp.db.default.svc.cluster.local', 'SRV')?.additionals.map(brief), [
    'A 10.244.0.5',
    'A 10.244.0.6',
  ]);
});

t.test('pods by address', async (t) => {
  t.same(ask('10-244-0-5.default.pod.cluster.local', 'A'), ['A 10.244.0.5']);
  t.same(ask('fd00--5.default.pod.cluster.local', 'AAAA'), ['AAAA fd00::5']);
  t.same(ask('10-244-0-5.default.pod.cluster.local', 'AAAA'), 'NODATA');
  t.same(ask('10-244-0-5.other.pod.cluster.local', 'A'), 'NXDOMAIN');
  t.same(ask('nonsense.default.pod.cluster.local', 'A'), 'NXDOMAIN');
});

t.test('external names', async (t) => {
  t.same(ask('alias.default.svc.cluster.local', 'A'), ['CNAME www.example.com']);
  t.equal(zone.resolve('alias.default.svc.cluster.local', 'A')?.chase, 'www.example.com');
  t.equal(zone.resolve('alias.default.svc.cluster.local', 'CNAME')?.chase, undefined);
  t.same(ask('inner.default.svc.cluster.local', 'A'), ['CNAME web.default.svc.cluster.local', 'A 10.96.0.20']);
});

t.test('reverse names', async (t) => {
  t.same(ask('20.0.96.10.in-addr.arpa', 'PTR'), ['PTR web.default.svc.cluster.local']);
  t.same(ask('5.0.244.10.in-addr.arpa', 'PTR'), ['PTR db-0.db.default.svc.cluster.local']);
  const six = '0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa';
  t.same(ask(six, 'PTR'), ['PTR web.default.svc.cluster.local']);
  t.equal(ask('1.1.1.1.in-addr.arpa', 'PTR'), undefined, 'the world knows others');
});

t.test('the zone itself', async (t) => {
  t.match(ask('cluster.local', 'SOA'), ['SOA [object Object]']);
  t.same(ask('cluster.local', 'NS'), ['NS ns.dns.cluster.local']);
  t.same(ask('ns.dns.cluster.local', 'A'), ['A 10.96.0.10']);
  t.same(ask('dns-version.cluster.local', 'TXT'), ['TXT 1.1.0']);
  for (const name of ['cluster.local', 'svc.cluster.local', 'pod.cluster.local', 'default.svc.cluster.local']) {
    t.same(ask(name, 'A'), 'NODATA', name);
  }
  t.same(ask('nonsense.cluster.local', 'A'), 'NXDOMAIN');
  t.equal(ask('example.com', 'A'), undefined);
  t.equal(ask('notcluster.local', 'A'), undefined);
});

t.test('every negative answer says how long it holds', async (t) => {
  for (const name of ['none.default.svc.cluster.local', 'four.default.svc.cluster.local']) {
    t.match(zone.resolve(name, 'AAAA')?.authorities, [
      { type: 'SOA', name: 'cluster.local', ttl: 5, data: { mname: 'ns.dns.cluster.local', serial: 7, minimum: 5 } },
    ]);
  }
});
