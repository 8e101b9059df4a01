import t from 'tap';
import type { Pod, Service, ServiceSpec } from '../../apimachinery/types/core-v1.ts';
import { endpoints, endpointslices, pods, services } from '../../apimachinery/types/resources.ts';
import { TestCluster } from '../testing/test-cluster.ts';

const labels = { app: 'web' };

function service(spec: Partial<ServiceSpec> = {}): Service {
  return {
    metadata: { name: 'web', namespace: 'default', labels: { team: 'a' } },
    spec: {
      clusterIP: '10.96.0.7',
      clusterIPs: ['10.96.0.7'],
      ipFamilies: ['IPv4'],
      selector: labels,
      ports: [{ port: 80, targetPort: 'http', protocol: 'TCP' }],
      ...spec,
    },
  };
}

function pod(i: number, state: { ready?: boolean; port?: number; namespace?: string } = {}): Pod {
  const { ready = true, port = 8080 } = state;
  return {
    metadata: { name: `web-${i}`, namespace: 'default', labels },
    spec: {
      nodeName: 'n1',
      containers: [{ name: 'c', ports: [{ name: 'http', containerPort: port, protocol: 'TCP' }] }],
    },
    status: {
      phase: 'Running',
      podIPs: [{ ip: `10.244.${Math.floor(i / 250)}.${(i % 250) + 1}` }],
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: '2026-01-01T00:00:01Z' }],
    },
  };
}

async function started(seed: Service, members: readonly Pod[], ...controllers: string[]): Promise<TestCluster> {
  const cluster = new TestCluster({ controllers: controllers.length > 0 ? controllers : ['endpointslice-controller'] });
  cluster.seedNode('n1', { 'topology.kubernetes.io/zone': 'z1' });
  cluster.client.seed(services, seed);
  cluster.client.seed(pods, ...members);
  await cluster.start();
  return cluster;
}

t.test('one slice with the service labels, ports, conditions, zone and target', async (t) => {
  const cluster = await started(service(), [pod(1), pod(2, { ready: false })]);
  const slices = await cluster.all(endpointslices);
  t.equal(slices.length, 1);
  t.match(slices[0], {
    addressType: 'IPv4',
    metadata: {
      name: /^web-/,
      labels: {
        team: 'a',
        'kubernetes.io/service-name': 'web',
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
      annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': /Z$/ },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name: 'web', controller: true }],
    },
    ports: [{ name: '', port: 8080, protocol: 'TCP' }],
  });
  t.notOk(Object.hasOwn(slices[0]?.metadata.labels ?? {}, 'service.kubernetes.io/headless'));
  const byName = new Map(slices[0]?.endpoints?.map((endpoint) => [endpoint.targetRef?.name, endpoint]));
  t.match(byName.get('web-1'), {
    addresses: ['10.244.0.2'],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: 'n1',
    zone: 'z1',
    targetRef: { kind: 'Pod', namespace: 'default' },
  });
  t.match(byName.get('web-2')?.conditions, { ready: false, serving: false, terminating: false });
  await cluster.stop();
});

t.test('100 endpoints a slice; a change writes one slice only', async (t) => {
  const cluster = await started(
    service(),
    Array.from({ length: 250 }, (_, i) => pod(i)),
  );
  const sizes = (await cluster.all(endpointslices)).map((slice) => slice.endpoints?.length).sort();
  t.same(sizes, [100, 100, 50]);
  cluster.client.actions.length = 0;
  const changed = await cluster.get(pods, 'default/web-7');
  await cluster.client.update(
    pods,
    { ...changed, status: pod(7, { ready: false }).status! },
    { subresource: 'status' },
  );
  await cluster.settle();
  t.equal(cluster.client.actions.filter((action) => action.resource === 'endpointslices').length, 1);
  await cluster.stop();
});

t.test('pods with different named ports live in different slices', async (t) => {
  const cluster = await started(service(), [pod(1), pod(2, { port: 9090 })]);
  const ports = (await cluster.all(endpointslices)).map((slice) => slice.ports?.[0]?.port).sort();
  t.same(ports, [8080, 9090]);
  await cluster.stop();
});

t.test('a service without pods has one empty slice, reused for the first pod', async (t) => {
  const cluster = await started(service({ clusterIP: 'None', clusterIPs: ['None'] }), []);
  const [empty] = await cluster.all(endpointslices);
  t.same(empty?.endpoints, []);
  t.equal(empty?.metadata.labels?.['service.kubernetes.io/headless'], '');
  cluster.client.seed(pods, pod(1));
  await cluster.settle();
  const slices = await cluster.all(endpointslices);
  t.equal(slices.length, 1);
  t.equal(slices[0]?.metadata.uid, empty?.metadata.uid);
  t.equal(slices[0]?.endpoints?.length, 1);
  await cluster.stop();
});

t.test('a terminating pod that still serves says so; a gone one leaves', async (t) => {
  const cluster = await started(service(), [pod(1), pod(2)]);
  await cluster.client.delete(pods, { namespace: 'default', name: 'web-1' });
  await cluster.settle();
  const find = async () =>
    (await cluster.all(endpointslices))[0]?.endpoints?.find((e) => e.targetRef?.name === 'web-1');
  t.match((await find())?.conditions, { ready: false, serving: true, terminating: true });
  await cluster.client.delete(pods, { namespace: 'default', name: 'web-1' }, { gracePeriodSeconds: 0 });
  await cluster.settle();
  t.equal(await find(), undefined);
  await cluster.stop();
});

t.test('dual-stack: a slice per address family', async (t) => {
  const member = pod(1);
  member.status!.podIPs = [{ ip: '10.244.0.2' }, { ip: 'fd00::2' }];
  const cluster = await started(service({ ipFamilies: ['IPv4', 'IPv6'] }), [member]);
  const found = (await cluster.all(endpointslices))
    .map((slice) => [slice.addressType, slice.endpoints?.[0]?.addresses])
    .sort();
  t.same(found, [
    ['IPv4', ['10.244.0.2']],
    ['IPv6', ['fd00::2']],
  ]);
  await cluster.stop();
});

t.test('a slice changed by hand is put right; one without a selector is left alone', async (t) => {
  const cluster = await started(service(), [pod(1)]);
  const [slice] = await cluster.all(endpointslices);
  await cluster.client.update(endpointslices, { ...slice!, endpoints: [] });
  await cluster.settle();
  t.equal((await cluster.all(endpointslices))[0]?.endpoints?.length, 1);
  await cluster.client.delete(endpointslices, { namespace: 'default', name: slice?.metadata.name ?? '' });
  await cluster.settle();
  t.equal((await cluster.all(endpointslices)).length, 1);
  await cluster.stop();
});

t.test('restarts in the middle of changes neither lose nor double an endpoint', async (t) => {
  const cluster = await started(service(), []);
  for (let i = 0; i < 130; i++) {
    cluster.client.seed(pods, pod(i));
    if (i % 20 === 0) await cluster.restart();
    if (i % 7 === 3)
      await cluster.client.delete(pods, { namespace: 'default', name: `web-${i - 2}` }, { gracePeriodSeconds: 0 });
  }
  await cluster.settle();
  const names = (await cluster.all(endpointslices))
    .flatMap((slice) => slice.endpoints ?? [])
    .map((e) => `default/${e.targetRef?.name}`);
  t.same(names.sort(), await cluster.names(pods));
  await cluster.stop();
});

t.test('the Endpoints object: ready and not ready addresses, ports, and its end with the service', async (t) => {
  const ports = [
    { name: 'http', port: 80, targetPort: 'http', protocol: 'TCP' },
    { name: 'admin', port: 81, targetPort: 9000, protocol: 'TCP' },
  ];
  const cluster = await started(service({ ports }), [pod(1), pod(2, { ready: false })], 'endpoints-controller');
  const object = await cluster.get(endpoints, 'default/web');
  t.match(object.subsets, [
    {
      addresses: [{ ip: '10.244.0.2', nodeName: 'n1', targetRef: { kind: 'Pod', name: 'web-1' } }],
      notReadyAddresses: [{ ip: '10.244.0.3' }],
      ports: [
        { name: 'admin', port: 9000 },
        { name: 'http', port: 8080 },
      ],
    },
  ]);
  t.match(object.metadata.labels, { team: 'a', 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' });
  await cluster.client.delete(services, { namespace: 'default', name: 'web' });
  await cluster.settle();
  t.same(await cluster.names(endpoints), []);
  await cluster.stop();
});

t.test('Endpoints written by hand are mirrored until they go', async (t) => {
  const bare: Service = { metadata: { name: 'db', namespace: 'default' }, spec: { ports: [{ port: 5432 }] } };
  const cluster = await started(bare, [], 'endpointslice-mirroring-controller', 'endpointslice-controller');
  const [written] = cluster.client.seed(endpoints, {
    metadata: { name: 'db', namespace: 'default', labels: { by: 'hand' } },
    subsets: [
      {
        addresses: [{ ip: '192.0.2.1' }, { ip: '2001:db8::1' }],
        notReadyAddresses: [{ ip: '192.0.2.2' }],
        ports: [{ name: 'pg', port: 5432 }],
      },
    ],
  });
  await cluster.settle();
  const slices = (await cluster.all(endpointslices)).sort((a, b) => (a.addressType < b.addressType ? -1 : 1));
  t.same(
    slices.map((slice) => [slice.addressType, slice.endpoints?.map((e) => [e.addresses[0], e.conditions?.ready])]),
    [
      [
        'IPv4',
        [
          ['192.0.2.1', true],
          ['192.0.2.2', false],
        ],
      ],
      ['IPv6', [['2001:db8::1', true]]],
    ],
  );
  t.match(slices[0]?.metadata, {
    labels: {
      by: 'hand',
      'kubernetes.io/service-name': 'db',
      'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
    },
    ownerReferences: [{ kind: 'Endpoints', name: 'db' }],
  });
  await cluster.client.update(endpoints, {
    ...written!,
    subsets: [{ addresses: [{ ip: '192.0.2.9' }], ports: [{ port: 1 }] }],
  });
  await cluster.settle();
  t.same(
    (await cluster.all(endpointslices)).map((slice) => slice.endpoints?.[0]?.addresses),
    [['192.0.2.9']],
  );
  await cluster.client.delete(endpoints, { namespace: 'default', name: 'db' });
  await cluster.settle();
  t.same(await cluster.names(endpointslices), []);
  await cluster.stop();
});
