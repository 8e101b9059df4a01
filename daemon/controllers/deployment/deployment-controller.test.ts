import t from 'tap';
import { findCondition } from '../../apimachinery/conditions.ts';
import type { Deployment, ReplicaSet } from '../../apimachinery/types/apps-v1.ts';
import { deployments, pods, replicasets } from '../../apimachinery/types/resources.ts';
import { podTemplate, TestCluster } from '../testing/test-cluster.ts';
import { revisionAnnotation } from './revision.ts';

const labels = { app: 'web' };
const controllers = ['deployment-controller', 'replicaset-controller'];

function deployment(replicas: number, spec: Partial<Deployment['spec']> = {}): Deployment {
  return {
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: podTemplate(labels, 'app:1'),
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      ...spec,
    },
  };
}

async function started(seed: Deployment): Promise<TestCluster> {
  const cluster = new TestCluster({ controllers });
  cluster.client.seed(deployments, seed);
  await cluster.start();
  return cluster;
}

async function change(cluster: TestCluster, spec: Partial<Deployment['spec']>): Promise<void> {
  const current = await cluster.get(deployments, 'default/web');
  await cluster.client.update(deployments, { ...current, spec: { ...current.spec, ...spec } });
  await cluster.settle();
}

async function sets(cluster: TestCluster): Promise<ReplicaSet[]> {
  return (await cluster.all(replicasets)).sort((a, b) => revision(a) - revision(b));
}

const revision = (object: Deployment | ReplicaSet): number =>
  Number(object.metadata.annotations?.[revisionAnnotation] ?? 0);

t.test('creates a replica set and reports progress until all pods are available', async (t) => {
  const cluster = await started(deployment(3));
  const [set] = await sets(cluster);
  t.match(set?.metadata, {
    name: /^web-[bcdfghjklmnpqrstvwxz2456789]+$/,
    labels: { app: 'web', 'pod-template-hash': /.+/ },
    annotations: {
      'deployment.kubernetes.io/desired-replicas': '3',
      'deployment.kubernetes.io/max-replicas': '4',
      'deployment.kubernetes.io/revision': '1',
    },
  });
  const before = await cluster.get(deployments, 'default/web');
  t.equal(revision(before), 1);
  t.match(findCondition(before.status?.conditions, 'Available'), {
    status: 'False',
    reason: 'MinimumReplicasUnavailable',
    message: 'Deployment does not have minimum availability.',
  });
  t.equal(findCondition(before.status?.conditions, 'Progressing')?.status, 'True');
  await cluster.converge();
  const after = await cluster.get(deployments, 'default/web');
  t.match(after.status, {
    replicas: 3,
    updatedReplicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
    observedGeneration: 1,
  });
  t.match(findCondition(after.status?.conditions, 'Progressing'), {
    status: 'True',
    reason: 'NewReplicaSetAvailable',
    message: `ReplicaSet "${set?.metadata.name}" has successfully progressed.`,
  });
  t.match(findCondition(after.status?.conditions, 'Available'), { status: 'True', reason: 'MinimumReplicasAvailable' });
  t.ok(
    (await cluster.eventTexts()).includes(`ScalingReplicaSet Scaled up replica set ${set?.metadata.name} from 0 to 3`),
  );
  await cluster.stop();
});

t.test('a rolling update never leaves its bounds and keeps the old set', async (t) => {
  const cluster = await started(deployment(8));
  await cluster.converge();
  await change(cluster, { template: podTemplate(labels, 'app:2') });
  for (let round = 0; round < 30; round++) {
    const all = (await cluster.all(pods)).filter((pod) => pod.metadata.deletionTimestamp === undefined);
    const ready = all.filter((pod) => pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'));
    t.ok(all.length <= 10, `at most replicas + maxSurge pods, are ${all.length}`);
    t.ok(ready.length >= 6, `at least replicas - maxUnavailable ready, are ${ready.length}`);
    await cluster.runPods();
    await cluster.advance(1);
  }
  await cluster.converge();
  const [old, current] = await sets(cluster);
  t.equal(old?.spec.replicas, 0);
  t.equal(current?.spec.replicas, 8);
  t.equal(revision(await cluster.get(deployments, 'default/web')), 2);
  t.ok((await cluster.all(pods)).every((pod) => pod.spec.containers[0]?.image === 'app:2'));
  await cluster.stop();
});

t.test('rolling back reuses the old set under the next revision', async (t) => {
  const cluster = await started(deployment(2));
  await cluster.converge();
  await change(cluster, { template: podTemplate(labels, 'app:2') });
  await cluster.converge();
  const [first] = await sets(cluster);
  await change(cluster, { template: podTemplate(labels, 'app:1') });
  await cluster.converge();
  const all = await sets(cluster);
  t.equal(all.length, 2);
  const back = all.find((set) => set.metadata.uid === first?.metadata.uid);
  t.equal(back?.spec.replicas, 2);
  t.equal(revision(back!), 3);
  t.equal(back?.metadata.annotations?.['deployment.kubernetes.io/revision-history'], '1');
  t.equal(revision(await cluster.get(deployments, 'default/web')), 3);
  await cluster.stop();
});

t.test('Recreate lets the last old pod go before the first new one comes', async (t) => {
  const cluster = await started(deployment(3, { strategy: { type: 'Recreate' } }));
  await cluster.converge();
  await change(cluster, { template: podTemplate(labels, 'app:2') });
  for (let round = 0; round < 10; round++) {
    const images = new Set((await cluster.all(pods)).map((pod) => pod.spec.containers[0]?.image));
    t.ok(images.size <= 1, 'only one version at a time');
    await cluster.runPods();
    await cluster.advance(1);
  }
  await cluster.converge();
  t.equal((await cluster.all(pods)).filter((pod) => pod.spec.containers[0]?.image === 'app:2').length, 3);
  await cluster.stop();
});

t.test('scaling in the middle of a rollout is spread over the sets in proportion', async (t) => {
  const cluster = await started(
    deployment(10, { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } } }),
  );
  await cluster.converge();
  cluster.becomesReady = (pod) => pod.spec.containers[0]?.image !== 'app:bad';
  await change(cluster, { template: podTemplate(labels, 'app:bad') });
  await cluster.converge();
  const before = (await sets(cluster)).map((set) => set.spec.replicas);
  t.same(before, [8, 5]);
  await change(cluster, { replicas: 15 });
  await cluster.settle();
  t.same(
    (await sets(cluster)).map((set) => set.spec.replicas),
    [11, 7],
  );
  await cluster.stop();
});

t.test('a rollout without progress times out', async (t) => {
  const cluster = await started(deployment(1, { progressDeadlineSeconds: 10 }));
  cluster.becomesReady = () => false;
  await cluster.runPods();
  await cluster.advance(15);
  const name = (await sets(cluster))[0]?.metadata.name;
  const { status } = await cluster.get(deployments, 'default/web');
  t.match(findCondition(status?.conditions, 'Progressing'), {
    status: 'False',
    reason: 'ProgressDeadlineExceeded',
    message: `ReplicaSet "${name}" has timed out progressing.`,
  });
  cluster.becomesReady = () => true;
  await cluster.converge();
  const healed = await cluster.get(deployments, 'default/web');
  t.match(findCondition(healed.status?.conditions, 'Progressing'), {
    status: 'True',
    reason: 'NewReplicaSetAvailable',
  });
  await cluster.stop();
});

t.test('paused: scales, does not roll out; resumed: rolls out', async (t) => {
  const cluster = await started(deployment(2));
  await cluster.converge();
  await change(cluster, { paused: true, template: podTemplate(labels, 'app:2'), replicas: 4 });
  await cluster.converge();
  const paused = await cluster.get(deployments, 'default/web');
  t.same(
    (await sets(cluster)).map((set) => set.spec.replicas),
    [4],
  );
  t.match(findCondition(paused.status?.conditions, 'Progressing'), {
    status: 'Unknown',
    reason: 'DeploymentPaused',
    message: 'Deployment is paused',
  });
  await change(cluster, { paused: false });
  await cluster.converge();
  t.same(
    (await sets(cluster)).map((set) => set.spec.replicas),
    [0, 4],
  );
  await cluster.stop();
});

t.test('deletes history beyond the limit', async (t) => {
  const cluster = await started(deployment(1, { revisionHistoryLimit: 1 }));
  await cluster.converge();
  for (const image of ['app:2', 'app:3', 'app:4']) {
    await change(cluster, { template: podTemplate(labels, image) });
    await cluster.converge();
  }
  t.same((await sets(cluster)).map(revision), [3, 4]);
  await cluster.stop();
});

t.test('a name taken by another template moves the hash', async (t) => {
  const cluster = await started(deployment(1));
  const [own] = await sets(cluster);
  await cluster.stop();

  const other = new TestCluster({ controllers });
  other.client.seed(replicasets, {
    metadata: { name: own!.metadata.name!, namespace: 'default', labels: { app: 'someone-else' } },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: 'someone-else' } },
      template: podTemplate({ app: 'someone-else' }),
    },
  });
  other.client.seed(deployments, deployment(1));
  await other.start();
  await other.converge();
  t.equal((await other.get(deployments, 'default/web')).status?.collisionCount, 1);
  t.equal((await other.all(pods)).length, 1);
  await other.stop();
});
