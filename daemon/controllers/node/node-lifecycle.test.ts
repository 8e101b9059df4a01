import t from 'tap';
import { findCondition } from '../../apimachinery/conditions.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { Pod, Toleration } from '../../apimachinery/types/core-v1.ts';
import { leases, nodes, pods } from '../../apimachinery/types/resources.ts';
import { TestCluster } from '../testing/test-cluster.ts';

const controllers = ['node-lifecycle-controller', 'taint-eviction-controller', 'pod-garbage-collector-controller'];

function pod(name: string, nodeName: string, tolerations: Toleration[] = []): Pod {
  return {
    metadata: { name, namespace: 'default' },
    spec: { containers: [], nodeName, tolerations, terminationGracePeriodSeconds: 0 },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** As the API adds to every pod. */
const defaultTolerations: Toleration[] = ['not-ready', 'unreachable'].map((name) => ({
  key: `node.kubernetes.io/${name}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 300,
}));

async function renew(cluster: TestCluster, ...names: string[]): Promise<void> {
  for (const name of names) {
    const renewTime = formatTime(new Date(cluster.clock.now()));
    const lease = await cluster.get(leases, `kube-node-lease/${name}`).catch(() => undefined);
    if (lease === undefined) {
      cluster.client.seed(leases, { metadata: { name, namespace: 'kube-node-lease' }, spec: { renewTime } });
    } else {
      await cluster.client.update(leases, { ...lease, spec: { ...lease.spec, renewTime } });
    }
  }
}

/** Lets time pass while the named nodes stay alive. */
async function pass(cluster: TestCluster, seconds: number, ...alive: string[]): Promise<void> {
  for (let i = 0; i < seconds; i += 5) {
    await renew(cluster, ...alive);
    await cluster.advance(5);
  }
}

async function taints(cluster: TestCluster, name: string): Promise<string[]> {
  return ((await cluster.get(nodes, name)).spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`).sort();
}

t.test('a silent node becomes Unknown, is tainted, its pods not ready and evicted in time', async (t) => {
  const cluster = new TestCluster({ controllers });
  cluster.seedNode('alive');
  cluster.seedNode('silent');
  cluster.client.seed(
    pods,
    pod('web', 'silent', defaultTolerations),
    pod('intolerant', 'silent'),
    pod('stays', 'silent', [{ operator: 'Exists' }]),
    pod('elsewhere', 'alive'),
  );
  await cluster.start();
  await pass(cluster, 40, 'alive', 'silent');
  t.equal(findCondition((await cluster.get(nodes, 'silent')).status?.conditions, 'Ready')?.status, 'True');
  await pass(cluster, 60, 'alive');
  const node = await cluster.get(nodes, 'silent');
  t.match(findCondition(node.status?.conditions, 'Ready'), {
    status: 'Unknown',
    reason: 'NodeStatusUnknown',
    message: 'Kubelet stopped posting node status.',
  });
  t.same(await taints(cluster, 'silent'), [
    'node.kubernetes.io/unreachable:NoExecute',
    'node.kubernetes.io/unreachable:NoSchedule',
  ]);
  t.same(await taints(cluster, 'alive'), []);
  t.same(await cluster.names(pods), ['default/elsewhere', 'default/stays', 'default/web']);
  t.equal(findCondition((await cluster.get(pods, 'default/web')).status?.conditions, 'Ready')?.status, 'False');
  t.equal(findCondition((await cluster.get(pods, 'default/elsewhere')).status?.conditions, 'Ready')?.status, 'True');
  t.ok((await cluster.eventTexts()).includes('NodeNotReady Node silent status is now: NodeNotReady'));
  t.ok((await cluster.eventTexts()).includes('TaintManagerEviction Marking for deletion Pod default/intolerant'));
  await pass(cluster, 300, 'alive');
  t.same(await cluster.names(pods), ['default/elsewhere', 'default/stays']);
  await cluster.stop();
});

t.test('a node that comes back loses its taints and keeps its pods', async (t) => {
  const cluster = new TestCluster({ controllers });
  cluster.seedNode('alive');
  const node = cluster.seedNode('back');
  cluster.client.seed(pods, pod('web', 'back', defaultTolerations));
  await cluster.start();
  await pass(cluster, 90, 'alive');
  t.ok((await taints(cluster, 'back')).includes('node.kubernetes.io/unreachable:NoExecute'));
  const latest = await cluster.get(nodes, 'back');
  const heartbeat = formatTime(new Date(cluster.clock.now()));
  const conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime: heartbeat }];
  await cluster.client.update(nodes, { ...latest, status: { ...node.status, conditions } }, { subresource: 'status' });
  await pass(cluster, 400, 'alive', 'back');
  t.same(await taints(cluster, 'back'), []);
  t.same(await cluster.names(pods), ['default/web']);
  t.ok((await cluster.eventTexts()).includes('TaintManagerEviction Cancelling deletion of Pod default/web'));
  await cluster.stop();
});

t.test('when every node is silent nobody is evicted', async (t) => {
  const cluster = new TestCluster({ controllers });
  cluster.seedNode('only');
  cluster.client.seed(pods, pod('web', 'only'));
  await cluster.start();
  await pass(cluster, 600);
  t.same(await taints(cluster, 'only'), ['node.kubernetes.io/unreachable:NoSchedule']);
  t.same(await cluster.names(pods), ['default/web']);
  await cluster.stop();
});

t.test('nodes of a zone are tainted one per ten seconds', async (t) => {
  const cluster = new TestCluster({ controllers });
  const zone = { 'topology.kubernetes.io/zone': 'a' };
  for (const name of ['s1', 's2', 'a1', 'a2', 'a3']) cluster.seedNode(name, zone);
  await cluster.start();
  await pass(cluster, 55, 'a1', 'a2', 'a3');
  const evicting = async (): Promise<number> => {
    const all = await Promise.all(['s1', 's2'].map((name) => taints(cluster, name)));
    return all.filter((keys) => keys.includes('node.kubernetes.io/unreachable:NoExecute')).length;
  };
  t.equal(await evicting(), 1);
  await pass(cluster, 10, 'a1', 'a2', 'a3');
  t.equal(await evicting(), 2);
  await cluster.stop();
});

t.test('conditions and cordoning show as taints', async (t) => {
  const cluster = new TestCluster({ controllers });
  const node = cluster.seedNode('n');
  await cluster.start();
  const conditions = [...(node.status?.conditions ?? []), { type: 'DiskPressure', status: 'True' }];
  await cluster.client.update(nodes, { ...node, status: { conditions } }, { subresource: 'status' });
  const pressed = await cluster.get(nodes, 'n');
  await cluster.client.update(nodes, { ...pressed, spec: { ...pressed.spec, unschedulable: true } });
  await cluster.advance(1);
  t.same(await taints(cluster, 'n'), [
    'node.kubernetes.io/disk-pressure:NoSchedule',
    'node.kubernetes.io/unschedulable:NoSchedule',
  ]);
  await cluster.stop();
});

t.test('pods of a node that no longer exists are collected', async (t) => {
  const cluster = new TestCluster({ controllers: ['pod-garbage-collector-controller'], terminatedPodThreshold: 1 });
  cluster.seedNode('n');
  const finished = (name: string): Pod => ({ ...pod(name, 'n'), status: { phase: 'Succeeded' } });
  cluster.client.seed(pods, pod('lost', 'gone'), pod('fine', 'n'), finished('old-1'), finished('old-2'));
  await cluster.start();
  await cluster.advance(30);
  t.same(await cluster.names(pods), ['default/fine', 'default/lost', 'default/old-2']);
  await cluster.advance(40);
  t.same(await cluster.names(pods), ['default/fine', 'default/old-2']);
  await cluster.stop();
});
