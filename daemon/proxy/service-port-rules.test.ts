import t from 'tap';
import type { Service } from '../apimachinery/types/core-v1.ts';
import type { Endpoint, EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import { healthCheckOf, isProxied, serviceRules } from './service-port-rules.ts';

const topology = { nodeName: 'here', zone: 'z1', nodeIps: ['192.0.2.1'] };

function service(spec: Partial<Service['spec']> = {}, ingress: object[] = []): Service {
  return {
    metadata: { name: 'web', namespace: 'default' },
    spec: { type: 'ClusterIP', clusterIP: '10.96.0.5', ports: [{ port: 80 }], ...spec } as Service['spec'] & object,
    status: { loadBalancer: { ingress } },
  };
}

function slice(endpoints: Endpoint[], extra: Partial<EndpointSlice> = {}): EndpointSlice {
  return {
    metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ port: 8080 }],
    endpoints,
    ...extra,
  };
}

const at = (ip: string, more: Partial<Endpoint> = {}): Endpoint => ({ addresses: [ip], nodeName: 'here', ...more });
const away = { nodeName: 'there' };
const terminating = { conditions: { ready: false, serving: true, terminating: true } };

const cluster = (spec: Partial<Service['spec']>, endpoints: Endpoint[]) =>
  serviceRules(service(spec), [slice(endpoints)], topology)[0]!.clusterEndpoints.map((endpoint) => endpoint.ip);
const local = (spec: Partial<Service['spec']>, endpoints: Endpoint[]) =>
  serviceRules(service(spec), [slice(endpoints)], topology)[0]!.localEndpoints.map((endpoint) => endpoint.ip);

t.test('which Services are proxied', async (t) => {
  t.ok(isProxied(service()));
  t.notOk(isProxied(service({ clusterIP: 'None' })));
  t.notOk(isProxied(service({ clusterIP: '' })));
  t.notOk(isProxied(service({ type: 'ExternalName' })));
  const other = service();
  other.metadata!.labels = { 'service.kubernetes.io/service-proxy-name': 'x' };
  t.notOk(isProxied(other));
});

t.test('ready endpoints, else those that still serve while terminating', async (t) => {
  t.same(cluster({}, [at('10.0.0.2'), at('10.0.0.1', away), at('10.0.0.3', { conditions: { ready: false } })]), [
    '10.0.0.1',
    '10.0.0.2',
  ]);
  t.same(cluster({}, [at('10.0.0.1', terminating), at('10.0.0.2')]), ['10.0.0.2']);
  t.same(cluster({}, [at('10.0.0.1', terminating), at('10.0.0.3', { conditions: { ready: false } })]), ['10.0.0.1']);
});

t.test('local endpoints under a Local policy only, with the same fallback', async (t) => {
  const spec = { internalTrafficPolicy: 'Local' };
  t.same(local({}, [at('10.0.0.1')]), []);
  t.same(local(spec, [at('10.0.0.1'), at('10.0.0.2', away)]), ['10.0.0.1']);
  t.same(local(spec, [at('10.0.0.1', terminating), at('10.0.0.2', away)]), ['10.0.0.1']);
  t.same(cluster(spec, [at('10.0.0.1')]), [], 'nothing uses the others');
  const external = { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ port: 80, nodePort: 30080 }] };
  t.same(cluster(external, [at('10.0.0.1'), at('10.0.0.2', away)]), ['10.0.0.1', '10.0.0.2']);
  t.same(local(external, [at('10.0.0.1'), at('10.0.0.2', away)]), ['10.0.0.1']);
});

t.test('hints hold when every ready endpoint has one and one is for here', async (t) => {
  const zone = (name: string) => ({ hints: { forZones: [{ name }] } });
  const node = (name: string) => ({ hints: { forNodes: [{ name }], forZones: [{ name: 'z1' }] } });
  t.same(cluster({}, [at('10.0.0.1', zone('z1')), at('10.0.0.2', zone('z2'))]), ['10.0.0.1']);
  t.same(cluster({}, [at('10.0.0.1', zone('z1')), at('10.0.0.2')]), ['10.0.0.1', '10.0.0.2']);
  t.same(cluster({}, [at('10.0.0.1', zone('z3')), at('10.0.0.2', zone('z2'))]), ['10.0.0.1', '10.0.0.2']);
  t.same(cluster({}, [at('10.0.0.1', node('here')), at('10.0.0.2', node('there'))]), ['10.0.0.1']);
  t.same(cluster({}, [at('10.0.0.1', node('x')), at('10.0.0.2', node('y'))]), ['10.0.0.1', '10.0.0.2'], 'by zone then');
});

t.test('ports are matched by name and protocol, addresses by family, each endpoint counted once', async (t) => {
  const spec = {
    clusterIPs: ['10.96.0.5', 'fd00::5'],
    ports: [
      { name: 'a', port: 80, protocol: 'TCP' },
      { name: 'b', port: 53, protocol: 'UDP' },
    ],
  };
  const ports = [
    { name: 'a', port: 8080, protocol: 'TCP' },
    { name: 'b', port: 5353, protocol: 'UDP' },
  ];
  const rules = serviceRules(
    service(spec),
    [
      slice([at('10.0.0.1')], { ports }),
      slice([at('10.0.0.1')], { ports, metadata: { name: 'web-2', labels: {} } }),
      slice([at('fd00::1')], { ports, addressType: 'IPv6' }),
    ],
    topology,
  );
  t.same(
    rules.map((rule) => [rule.key, rule.clusterEndpoints.map((endpoint) => `${endpoint.ip} ${endpoint.port}`)]),
    [
      ['default/web:a/TCP/ip', ['10.0.0.1 8080']],
      ['default/web:b/UDP/ip', ['10.0.0.1 5353']],
      ['default/web:a/TCP/ip6', ['fd00::1 8080']],
      ['default/web:b/UDP/ip6', ['fd00::1 5353']],
    ],
  );
});

t.test('addresses from outside: family, ipMode and source ranges', async (t) => {
  const [rule] = serviceRules(
    service({ externalIPs: ['192.0.2.9', 'fd00::9'], loadBalancerSourceRanges: ['10.0.0.0/8 ', 'fd00::/8'] }, [
      { ip: '203.0.113.1' },
      { ip: '203.0.113.2', ipMode: 'Proxy' },
      { hostname: 'x' },
    ]),
    [],
    topology,
  );
  t.match(rule, {
    externalIps: ['192.0.2.9'],
    loadBalancerIps: ['203.0.113.1'],
    sourceRanges: ['10.0.0.0/8'],
    hasAnyEndpoints: false,
  });
});

t.test('affinity timeout', async (t) => {
  t.equal(serviceRules(service({ sessionAffinity: 'ClientIP' }), [], topology)[0]!.affinitySeconds, 10800);
  const config = { clientIP: { timeoutSeconds: 7 } };
  const spec = { sessionAffinity: 'ClientIP', sessionAffinityConfig: config };
  t.equal(serviceRules(service(spec), [], topology)[0]!.affinitySeconds, 7);
});

t.test('health check node port', async (t) => {
  const spec = {
    type: 'LoadBalancer',
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 31000,
    ports: [
      { name: 'a', port: 80, nodePort: 30080 },
      { name: 'b', port: 81, nodePort: 30081 },
    ],
  };
  const web = service(spec);
  const ports = [
    { name: 'a', port: 1 },
    { name: 'b', port: 2 },
  ];
  const rules = serviceRules(web, [slice([at('10.0.0.1'), at('10.0.0.2', away)], { ports })], topology);
  t.same(healthCheckOf(web, rules), { port: 31000, namespace: 'default', name: 'web', localEndpoints: 1 });
  t.equal(healthCheckOf(service({ ...spec, externalTrafficPolicy: 'Cluster' }), rules), undefined);
});
