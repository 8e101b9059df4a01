import t from 'tap';
import { apiError } from '../apimachinery/api-error.ts';
import type { Event, Node, Pod } from '../apimachinery/types/core-v1.ts';
import {
  events,
  namespaces,
  nodes,
  persistentvolumeclaims,
  persistentvolumes,
  poddisruptionbudgets,
  pods,
  storageclasses,
} from '../apimachinery/types/resources.ts';
import { ManualClock } from '../client/clock.ts';
import { FakeClient } from '../client/fake-client.ts';
import { createSharedInformers } from '../client/shared-informers.ts';
import { createLogger } from '../log/logger.ts';
import { startScheduler } from './scheduler.ts';

const logger = createLogger('test', 'silent');

function node(name: string, more: { cpu?: string; labels?: Record<string, string>; spec?: Node['spec'] } = {}): Node {
  const amounts = { cpu: more.cpu ?? '4', memory: '8Gi', pods: '110' };
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...more.labels } },
    spec: more.spec ?? {},
    status: { allocatable: amounts, capacity: amounts },
  };
}

function pod(
  name: string,
  more: { cpu?: string; labels?: Record<string, string>; spec?: Partial<Pod['spec']> } = {},
): Pod {
  const resources = more.cpu === undefined ? {} : { resources: { requests: { cpu: more.cpu } } };
  return {
    metadata: { name, namespace: 'x', ...(more.labels === undefined ? {} : { labels: more.labels }) },
    spec: { containers: [{ name: 'c', image: 'busybox', ...resources }], ...more.spec },
  };
}

async function setUp(objects: { nodes?: Node[]; pods?: Pod[] } = {}, prepare?: (client: FakeClient) => void) {
  const clock = new ManualClock();
  const client = new FakeClient({ clock });
  client.seed(namespaces, { metadata: { name: 'x', labels: { team: 'a' } }, spec: {} });
  client.seed(nodes, ...(objects.nodes ?? []));
  client.seed(pods, ...(objects.pods ?? []));
  prepare?.(client);
  const informers = createSharedInformers(client, logger, { clock });
  const scheduler = await startScheduler({ client, informers, logger, clock, random: () => 0.5 });
  const settle = () => client.settle();
  await settle();
  return {
    client,
    clock,
    settle,
    async nodeOf(name: string) {
      await settle();
      return (await client.get(pods, { namespace: 'x', name })).spec.nodeName;
    },
    async condition(name: string) {
      await settle();
      const { status } = await client.get(pods, { namespace: 'x', name });
      return status?.conditions?.find(({ type }) => type === 'PodScheduled');
    },
    async events(reason: string): Promise<Event[]> {
      await settle();
      return (await client.list(events)).items.filter((event) => event.reason === reason);
    },
    async stop() {
      await scheduler.stop();
      await informers.stop();
    },
  };
}

t.test('a pod gets a node, and an event says so', async (t) => {
  const cluster = await setUp({ nodes: [node('n1')], pods: [pod('a')] });
  t.equal(await cluster.nodeOf('a'), 'n1');
  t.match(await cluster.events('Scheduled'), [
    {
      type: 'Normal',
      message: 'Successfully assigned x/a to n1',
      action: 'Binding',
      reportingComponent: 'default-scheduler',
      involvedObject: { kind: 'Pod', namespace: 'x', name: 'a' },
    },
  ]);
  t.match(await cluster.condition('a'), { status: 'True' });
  await cluster.client.create(pods, pod('b'));
  t.equal(await cluster.nodeOf('b'), 'n1');
  await cluster.client.create(pods, pod('other', { spec: { schedulerName: 'mine' } }));
  t.equal(await cluster.nodeOf('other'), undefined, 'left to its own scheduler');
  await cluster.stop();
});

t.test('why a pod has no node is told in its condition and an event', async (t) => {
  const cluster = await setUp({ nodes: [node('n1')], pods: [pod('big', { cpu: '3' }), pod('huge', { cpu: '5' })] });
  await cluster.client.create(pods, pod('second', { cpu: '2' }));
  const insufficient =
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.';
  t.match(await cluster.condition('second'), { status: 'False', reason: 'Unschedulable', message: insufficient });
  t.equal(
    (await cluster.condition('huge'))?.message,
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
  );
  t.match(
    (await cluster.events('FailedScheduling')).map(({ type, message }) => ({ type, message })),
    [{ type: 'Warning' }, { type: 'Warning', message: insufficient }],
  );
  await cluster.client.delete(pods, { namespace: 'x', name: 'big' }, { gracePeriodSeconds: 0 });
  t.equal(await cluster.nodeOf('second'), 'n1', 'tried again when a pod leaves');
  await cluster.stop();
});

t.test('without any node', async (t) => {
  const cluster = await setUp({ pods: [pod('a')] });
  t.match(await cluster.condition('a'), {
    reason: 'Unschedulable',
    message: 'no nodes available to schedule pods',
  });
  await cluster.client.create(nodes, node('n1'));
  t.equal(await cluster.nodeOf('a'), 'n1');
  await cluster.stop();
});

t.test('filters', async (t) => {
  const taint = { key: 'only', value: 'gpu', effect: 'NoSchedule' };
  const cases: [string, Node, Pod, string][] = [
    ['cordoned', node('n', { spec: { unschedulable: true } }), pod('p'), '1 node(s) were unschedulable.'],
    ['tainted', node('n', { spec: { taints: [taint] } }), pod('p'), '1 node(s) had untolerated taint(s).'],
    [
      'selector',
      node('n'),
      pod('p', { spec: { nodeSelector: { disk: 'ssd' } } }),
      "1 node(s) didn't match Pod's node affinity/selector.",
    ],
    [
      'pod affinity',
      node('n'),
      pod('p', {
        spec: {
          affinity: {
            podAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: [
                { labelSelector: { matchLabels: { app: 'db' } }, topologyKey: 'kubernetes.io/hostname' },
              ],
            },
          },
        },
      }),
      "1 node(s) didn't match pod affinity rules.",
    ],
    [
      'spread over a label that is not there',
      node('n'),
      pod('p', {
        spec: { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'rack', whenUnsatisfiable: 'DoNotSchedule' }] },
      }),
      "1 node(s) didn't match pod topology spread constraints (missing required label).",
    ],
    [
      'claim',
      node('n'),
      pod('p', { spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'no' } }] } }),
      'persistentvolumeclaim "no" not found.',
    ],
  ];
  for (const [name, onlyNode, wanting, reason] of cases) {
    const cluster = await setUp({ nodes: [onlyNode], pods: [wanting] });
    t.equal(
      (await cluster.condition('p'))?.message,
      `0/1 nodes are available: ${reason} preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.`,
      name,
    );
    await cluster.stop();
  }
});

t.test('host ports', async (t) => {
  const withPort = (name: string, hostPort: number, hostIP?: string) =>
    pod(name, {
      spec: { containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort, ...(hostIP ? { hostIP } : {}) }] }] },
    });
  const cluster = await setUp({ nodes: [node('n')], pods: [withPort('a', 80)] });
  for (const next of [withPort('b', 80, '10.0.0.1'), withPort('c', 81, '10.0.0.1'), withPort('d', 81, '10.0.0.2')]) {
    await cluster.client.create(pods, next);
  }
  t.match(
    (await cluster.condition('b'))?.message,
    /^0\/1 nodes are available: 1 node\(s\) didn't have free ports for the requested pod ports\./,
  );
  t.equal(await cluster.nodeOf('c'), 'n');
  t.equal(await cluster.nodeOf('d'), 'n');
  await cluster.stop();
});

t.test('reasons of several nodes are counted and sorted', async (t) => {
  const cluster = await setUp({
    nodes: [node('n1', { spec: { unschedulable: true } }), node('n2', { cpu: '1' }), node('n3', { cpu: '1' })],
    pods: [pod('p', { cpu: '2' })],
  });
  t.match(
    (await cluster.condition('p'))?.message,
    /^0\/3 nodes are available: 1 node\(s\) were unschedulable, 2 Insufficient cpu\. preemption: 0\/3 nodes are available: 3 Preemption is not helpful for scheduling\.$/,
  );
  await cluster.stop();
});

t.test('pods of one node by name are tried there alone', async (t) => {
  const wanted = (name: string) => ({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }] }],
        },
      },
    },
  });
  const cluster = await setUp({
    nodes: [node('n1'), node('n2', { cpu: '1' })],
    pods: [pod('a', { spec: wanted('n1') })],
  });
  t.equal(await cluster.nodeOf('a'), 'n1');
  await cluster.client.create(pods, pod('b', { cpu: '2', spec: wanted('n2') }));
  t.match(
    (await cluster.condition('b'))?.message,
    /^0\/2 nodes are available: 1 Insufficient cpu, 1 node\(s\) didn't satisfy plugin\(s\) \[NodeAffinity\]\./,
  );
  await cluster.stop();
});

t.test('emptier nodes, preferred nodes and nodes away from siblings win', async (t) => {
  const cluster = await setUp({ nodes: [node('n1'), node('n2'), node('n3', { labels: { disk: 'ssd' } })] });
  for (const name of ['a', 'b', 'c']) {
    await cluster.client.create(pods, pod(name, { cpu: '1' }));
    await cluster.settle();
  }
  const used = new Set(await Promise.all(['a', 'b', 'c'].map((name) => cluster.nodeOf(name))));
  t.equal(used.size, 3);
  const preferred = {
    affinity: {
      nodeAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 100, preference: { matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] } },
        ],
      },
    },
  };
  await cluster.client.create(pods, pod('fast', { spec: preferred }));
  t.equal(await cluster.nodeOf('fast'), 'n3');
  await cluster.stop();
});

t.test('spread constraints keep the skew', async (t) => {
  const zones = (['a', 'a', 'b'] as const).map((zone, i) => node(`n${i}`, { labels: { zone } }));
  const cluster = await setUp({ nodes: zones });
  const spread = {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: { matchLabels: { app: 'w' } },
      },
    ],
  };
  const count = { a: 0, b: 0 };
  for (let i = 0; i < 6; i++) {
    await cluster.client.create(pods, pod(`p${i}`, { labels: { app: 'w' }, spec: spread }));
    const chosen = await cluster.nodeOf(`p${i}`);
    count[chosen === 'n2' ? 'b' : 'a']++;
    t.ok(Math.abs(count.a - count.b) <= 1, `skew after ${i + 1}`);
  }
  await cluster.stop();
});

t.test('anti-affinity of the pod and of those that are there', async (t) => {
  const apart = {
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchLabels: { app: 'w' } }, topologyKey: 'kubernetes.io/hostname' },
        ],
      },
    },
  };
  const cluster = await setUp({ nodes: [node('n1'), node('n2')] });
  for (const name of ['a', 'b', 'c']) {
    await cluster.client.create(pods, pod(name, { labels: { app: 'w' }, spec: apart }));
    await cluster.settle();
  }
  t.not(await cluster.nodeOf('a'), await cluster.nodeOf('b'));
  t.match(
    (await cluster.condition('c'))?.message,
    /^0\/2 nodes are available: 2 node\(s\) didn't match pod anti-affinity rules\./,
  );
  await cluster.client.create(pods, pod('d', { labels: { app: 'w' } }));
  t.match(
    (await cluster.condition('d'))?.message,
    /^0\/2 nodes are available: 2 node\(s\) didn't satisfy existing pods anti-affinity rules\./,
  );
  await cluster.client.delete(pods, { namespace: 'x', name: 'a' }, { gracePeriodSeconds: 0 });
  t.ok(await cluster.nodeOf('c'));
  await cluster.stop();
});

t.test('affinity of a group that wants to be together', async (t) => {
  const together = {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          {
            labelSelector: { matchLabels: { app: 'w' } },
            namespaceSelector: { matchLabels: { team: 'a' } },
            topologyKey: 'kubernetes.io/hostname',
          },
        ],
      },
    },
  };
  const cluster = await setUp({ nodes: [node('n1'), node('n2'), node('n3')] });
  const used = new Set();
  for (const name of ['a', 'b', 'c']) {
    await cluster.client.create(pods, pod(name, { labels: { app: 'w' }, spec: together }));
    used.add(await cluster.nodeOf(name));
  }
  t.equal(used.size, 1);
  await cluster.stop();
});

t.test('gates hold a pod back without an attempt', async (t) => {
  const cluster = await setUp({ nodes: [node('n')], pods: [pod('p', { spec: { schedulingGates: [{ name: 'g' }] } })] });
  t.equal(await cluster.nodeOf('p'), undefined);
  t.equal((await cluster.events('FailedScheduling')).length, 0);
  const opened = [{ op: 'remove', path: '/spec/schedulingGates' }];
  await cluster.client.patch(pods, { namespace: 'x', name: 'p' }, opened, { type: 'json' });
  t.equal(await cluster.nodeOf('p'), 'n');
  await cluster.stop();
});

t.test('a pod of higher priority makes the least important leave', async (t) => {
  const low = (name: string, priority: number) => pod(name, { cpu: '2', spec: { priority, nodeName: 'n' } });
  const cluster = await setUp({ nodes: [node('n')], pods: [low('l1', 1), low('l2', 2)] });
  await cluster.client.create(pods, pod('high', { cpu: '2', spec: { priority: 10 } }));
  await cluster.settle();
  const high = await cluster.client.get(pods, { namespace: 'x', name: 'high' });
  t.equal(high.status?.nominatedNodeName, 'n');
  t.match((await cluster.condition('high'))?.message, /^0\/1 nodes are available: 1 Insufficient cpu\.$/);
  const victim = await cluster.client.get(pods, { namespace: 'x', name: 'l1' });
  t.type(victim.metadata.deletionTimestamp, 'string');
  t.match(victim.status?.conditions, [
    {
      type: 'DisruptionTarget',
      reason: 'PreemptionByScheduler',
      message: 'default-scheduler: preempting to accommodate a higher priority pod',
    },
  ]);
  t.equal((await cluster.client.get(pods, { namespace: 'x', name: 'l2' })).metadata.deletionTimestamp, undefined);
  t.match(await cluster.events('Preempted'), [
    { type: 'Normal', message: `Preempted by pod ${high.metadata.uid} on node n`, involvedObject: { name: 'l1' } },
  ]);
  await cluster.client.create(pods, pod('thief', { cpu: '1', spec: { priority: 5 } }));
  const relabelled = { metadata: { annotations: { retry: 'now' } } };
  await cluster.client.patch(pods, { namespace: 'x', name: 'high' }, relabelled, { type: 'merge' });
  t.match(
    (await cluster.condition('high'))?.message,
    /preemption: not eligible due to a terminating pod on the nominated node\.$/,
  );
  await cluster.client.delete(pods, { namespace: 'x', name: 'l1' }, { gracePeriodSeconds: 0 });
  t.equal(await cluster.nodeOf('high'), 'n');
  t.equal(await cluster.nodeOf('thief'), undefined, 'the room is kept for the one who made it');
  await cluster.stop();
});

t.test('preemption spares what a disruption budget protects, and respects Never', async (t) => {
  const low = (name: string, app: string) =>
    pod(name, { cpu: '4', labels: { app }, spec: { priority: 1, nodeName: name } });
  const cluster = await setUp(
    { nodes: [node('kept'), node('free')], pods: [low('kept', 'guarded'), low('free', 'other')] },
    (client) => {
      client.seed(poddisruptionbudgets, {
        metadata: { name: 'b', namespace: 'x' },
        spec: { selector: { matchLabels: { app: 'guarded' } } },
        status: { disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
      });
    },
  );
  await cluster.client.create(pods, pod('meek', { cpu: '4', spec: { priority: 10, preemptionPolicy: 'Never' } }));
  t.match((await cluster.condition('meek'))?.message, /preemption: not eligible due to preemptionPolicy=Never\.$/);
  await cluster.client.create(pods, pod('high', { cpu: '4', spec: { priority: 10 } }));
  await cluster.settle();
  t.equal((await cluster.client.get(pods, { namespace: 'x', name: 'high' })).status?.nominatedNodeName, 'free');
  t.equal((await cluster.client.get(pods, { namespace: 'x', name: 'kept' })).metadata.deletionTimestamp, undefined);
  await cluster.stop();
});

t.test('a binding that fails gives the room back and is tried again after its back-off', async (t) => {
  const cluster = await setUp({ nodes: [node('n')] });
  let failures = 1;
  cluster.client.react((action) => {
    if (action.subresource === 'binding' && failures-- > 0) {
      throw apiError('InternalError', 'store is busy');
    }
  });
  await cluster.client.create(pods, pod('a', { cpu: '4' }));
  t.match(await cluster.condition('a'), { reason: 'SchedulerError', message: 'store is busy' });
  t.equal(await cluster.nodeOf('a'), undefined);
  cluster.clock.advance(999);
  t.equal(await cluster.nodeOf('a'), undefined);
  cluster.clock.advance(1);
  t.equal(await cluster.nodeOf('a'), 'n');
  await cluster.stop();
});

t.test('volumes', async (t) => {
  const claiming = (name: string, claimName: string) =>
    pod(name, { spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }] } });
  const claim = (name: string, storageClassName: string, volumeName?: string) => ({
    metadata: {
      name,
      namespace: 'x',
      ...(volumeName === undefined ? {} : { annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } }),
    },
    spec: {
      storageClassName,
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '1Gi' } },
      ...(volumeName === undefined ? {} : { volumeName }),
    },
  });
  const onNode = (name: string) => ({
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [name] }] }],
    },
  });
  const cluster = await setUp({ nodes: [node('n1'), node('n2')] }, (client) => {
    client.seed(
      storageclasses,
      { metadata: { name: 'late' }, provisioner: 'example.com/disk', volumeBindingMode: 'WaitForFirstConsumer' },
      {
        metadata: { name: 'local' },
        provisioner: 'kubernetes.io/no-provisioner',
        volumeBindingMode: 'WaitForFirstConsumer',
      },
    );
    client.seed(
      persistentvolumes,
      { metadata: { name: 'pv1' }, spec: { capacity: { storage: '1Gi' }, nodeAffinity: onNode('n2') } },
      {
        metadata: { name: 'pv2' },
        spec: {
          capacity: { storage: '2Gi' },
          accessModes: ['ReadWriteOnce'],
          storageClassName: 'local',
          nodeAffinity: onNode('n1'),
        },
        status: { phase: 'Available' },
      },
    );
    client.seed(
      persistentvolumeclaims,
      claim('bound', '', 'pv1'),
      claim('now', ''),
      claim('later', 'late'),
      claim('disk', 'local'),
    );
  });
  const { client } = cluster;
  await client.create(pods, claiming('a', 'bound'));
  t.equal(await cluster.nodeOf('a'), 'n2', 'follows its volume');
  await client.create(pods, claiming('b', 'now'));
  t.match(
    (await cluster.condition('b'))?.message,
    /^0\/2 nodes are available: pod has unbound immediate PersistentVolumeClaims\. /,
  );
  await client.create(pods, claiming('c', 'later'));
  t.equal(await cluster.nodeOf('c'), undefined);
  const later = await client.get(persistentvolumeclaims, { namespace: 'x', name: 'later' });
  const chosen = later.metadata.annotations?.['volume.kubernetes.io/selected-node'];
  t.match(chosen, /^n[12]$/);
  const bound = {
    metadata: { annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } },
    spec: { volumeName: 'made' },
  };
  await client.patch(persistentvolumeclaims, { namespace: 'x', name: 'later' }, bound, { type: 'merge' });
  t.equal(await cluster.nodeOf('c'), chosen);
  await client.create(pods, claiming('d', 'disk'));
  await cluster.settle();
  const pv2 = await client.get(persistentvolumes, { name: 'pv2' });
  t.match(pv2.spec?.claimRef, { kind: 'PersistentVolumeClaim', namespace: 'x', name: 'disk' });
  await client.patch(
    persistentvolumeclaims,
    { namespace: 'x', name: 'disk' },
    { ...bound, spec: { volumeName: 'pv2' } },
    { type: 'merge' },
  );
  t.equal(await cluster.nodeOf('d'), 'n1');
  await cluster.stop();
});
