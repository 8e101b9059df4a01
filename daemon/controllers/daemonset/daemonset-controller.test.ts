import t from 'tap';
import type { DaemonSet, DaemonSetSpec } from '../../apimachinery/types/apps-v1.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { daemonsets, nodes, pods } from '../../apimachinery/types/resources.ts';
import { podTemplate, TestCluster } from '../testing/test-cluster.ts';
import { targetNode } from './daemon-pod.ts';

const labels = { app: 'agent' };

async function started(nodeNames: readonly string[], spec: Partial<DaemonSetSpec> = {}): Promise<TestCluster> {
  const cluster = new TestCluster({ controllers: ['daemonset-controller'] });
  for (const name of nodeNames) cluster.seedNode(name, { disk: name.startsWith('ssd') ? 'ssd' : 'hdd' });
  cluster.client.seed(daemonsets, {
    metadata: { name: 'agent', namespace: 'default' },
    spec: {
      selector: { matchLabels: labels },
      template: podTemplate(labels, 'agent:1'),
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
      ...spec,
    },
  } satisfies DaemonSet);
  await cluster.start();
  return cluster;
}

/** The scheduler's part: a daemon's pod goes where its affinity says. */
async function schedule(cluster: TestCluster): Promise<void> {
  for (const pod of await cluster.all(pods)) {
    if (pod.spec.nodeName === undefined) {
      await cluster.client.update(pods, { ...pod, spec: { ...pod.spec, nodeName: targetNode(pod)! } });
    }
  }
  await cluster.settle();
}

async function converge(cluster: TestCluster): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await schedule(cluster);
    await cluster.runPods();
    await cluster.advance(1);
  }
}

const live = (all: readonly Pod[]): Pod[] => all.filter((pod) => pod.metadata.deletionTimestamp === undefined);

async function change(cluster: TestCluster, spec: Partial<DaemonSetSpec>): Promise<void> {
  const set = await cluster.get(daemonsets, 'default/agent');
  await cluster.client.update(daemonsets, { ...set, spec: { ...set.spec, ...spec } });
  await cluster.settle();
}

t.test('a pod for every node, with affinity to it and the tolerations of daemons', async (t) => {
  const cluster = await started(['a', 'b']);
  const created = await cluster.all(pods);
  t.same(created.map(targetNode).sort(), ['a', 'b']);
  t.match(
    created[0]?.spec.tolerations?.map(({ key }) => key),
    [
      'node.kubernetes.io/not-ready',
      'node.kubernetes.io/unreachable',
      'node.kubernetes.io/disk-pressure',
      'node.kubernetes.io/memory-pressure',
      'node.kubernetes.io/pid-pressure',
      'node.kubernetes.io/unschedulable',
    ],
  );
  await converge(cluster);
  t.match((await cluster.get(daemonsets, 'default/agent')).status, {
    desiredNumberScheduled: 2,
    currentNumberScheduled: 2,
    numberReady: 2,
    numberAvailable: 2,
    updatedNumberScheduled: 2,
    numberMisscheduled: 0,
  });
  cluster.seedNode('c');
  await converge(cluster);
  t.equal((await cluster.all(pods)).length, 3);
  await cluster.client.delete(nodes, { name: 'a' });
  await converge(cluster);
  t.same((await cluster.all(pods)).map(targetNode).sort(), ['b', 'c']);
  await cluster.stop();
});

t.test('node selector and taints decide where it runs', async (t) => {
  const template = podTemplate(labels);
  const cluster = await started(['ssd-1', 'ssd-2', 'hdd-1'], {
    template: { ...template, spec: { ...template.spec!, nodeSelector: { disk: 'ssd' } } },
  });
  await converge(cluster);
  t.same((await cluster.all(pods)).map(targetNode).sort(), ['ssd-1', 'ssd-2']);
  const node = await cluster.get(nodes, 'ssd-2');
  const taint = (effect: string) => ({ ...node, spec: { taints: [{ key: 'only', value: 'x', effect }] } });
  const repelling = await cluster.client.update(nodes, taint('NoSchedule'));
  await converge(cluster);
  t.equal(live(await cluster.all(pods)).length, 2, 'NoSchedule lets it stay');
  t.match((await cluster.get(daemonsets, 'default/agent')).status, {
    desiredNumberScheduled: 1,
    numberMisscheduled: 1,
  });
  await cluster.client.update(nodes, { ...taint('NoExecute'), metadata: repelling.metadata });
  await converge(cluster);
  t.same((await cluster.all(pods)).map(targetNode), ['ssd-1']);
  await cluster.stop();
});

t.test('a rolling update takes one node at a time', async (t) => {
  const cluster = await started(['a', 'b', 'c']);
  await converge(cluster);
  await change(cluster, { template: podTemplate(labels, 'agent:2') });
  for (let i = 0; i < 15; i++) {
    const ready = live(await cluster.all(pods)).filter((pod) => pod.status?.conditions?.[0]?.status === 'True');
    t.ok(ready.length >= 2, 'at most one is away');
    await schedule(cluster);
    await cluster.runPods();
    await cluster.advance(1);
  }
  await converge(cluster);
  t.ok((await cluster.all(pods)).every((pod) => pod.spec.containers[0]?.image === 'agent:2'));
  t.equal((await cluster.all(pods)).length, 3);
  await cluster.stop();
});

t.test('with surge the new pod comes before the old one goes', async (t) => {
  const cluster = await started(['a', 'b'], {
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
  });
  await converge(cluster);
  await change(cluster, { template: podTemplate(labels, 'agent:2') });
  t.equal(live(await cluster.all(pods)).length, 3);
  await converge(cluster);
  t.ok((await cluster.all(pods)).every((pod) => pod.spec.containers[0]?.image === 'agent:2'));
  t.equal((await cluster.all(pods)).length, 2);
  await cluster.stop();
});

t.test('OnDelete waits; a failed pod is replaced, more and more slowly', async (t) => {
  const cluster = await started(['a'], { updateStrategy: { type: 'OnDelete' } });
  await converge(cluster);
  await change(cluster, { template: podTemplate(labels, 'agent:2') });
  await converge(cluster);
  const [pod] = await cluster.all(pods);
  t.equal(pod?.spec.containers[0]?.image, 'agent:1');
  await cluster.client.update(pods, { ...pod!, status: { phase: 'Failed' } }, { subresource: 'status' });
  await converge(cluster);
  const [fresh] = await cluster.all(pods);
  t.not(fresh?.metadata.uid, pod?.metadata.uid);
  t.equal(fresh?.spec.containers[0]?.image, 'agent:2');
  t.ok(
    (await cluster.eventTexts()).some((text) => text.startsWith('FailedDaemonPod Found failed daemon pod default/')),
  );
  await cluster.stop();
});
