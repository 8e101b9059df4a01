import t from 'tap';
import type { StatefulSet, StatefulSetSpec } from '../../apimachinery/types/apps-v1.ts';
import { controllerrevisions, persistentvolumeclaims, pods, statefulsets } from '../../apimachinery/types/resources.ts';
import { podTemplate, TestCluster } from '../testing/test-cluster.ts';

const labels = { app: 'db' };

async function started(replicas: number, spec: Partial<StatefulSetSpec> = {}): Promise<TestCluster> {
  const cluster = new TestCluster({ controllers: ['statefulset-controller'] });
  cluster.client.seed(statefulsets, {
    metadata: { name: 'db', namespace: 'default' },
    spec: {
      replicas,
      serviceName: 'db',
      podManagementPolicy: 'OrderedReady',
      selector: { matchLabels: labels },
      template: podTemplate(labels, 'db:1'),
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      revisionHistoryLimit: 10,
      ...spec,
    },
  } satisfies StatefulSet);
  await cluster.start();
  return cluster;
}

async function change(cluster: TestCluster, spec: Partial<StatefulSetSpec>): Promise<void> {
  const set = await cluster.get(statefulsets, 'default/db');
  await cluster.client.update(statefulsets, { ...set, spec: { ...set.spec, ...spec } });
  await cluster.settle();
}

const images = async (cluster: TestCluster): Promise<Record<string, string | undefined>> =>
  Object.fromEntries((await cluster.all(pods)).map((pod) => [pod.metadata.name, pod.spec.containers[0]?.image]));

t.test('starts pods one after the other, each with its name and host name', async (t) => {
  const cluster = await started(3);
  t.same(await cluster.names(pods), ['default/db-0']);
  await cluster.runPods();
  t.same(await cluster.names(pods), ['default/db-0', 'default/db-1']);
  await cluster.converge();
  t.same(await cluster.names(pods), ['default/db-0', 'default/db-1', 'default/db-2']);
  const pod = await cluster.get(pods, 'default/db-2');
  t.match(pod.metadata.labels, {
    'statefulset.kubernetes.io/pod-name': 'db-2',
    'apps.kubernetes.io/pod-index': '2',
    'controller-revision-hash': /^db-/,
  });
  t.match(pod.spec, { hostname: 'db-2', subdomain: 'db' });
  const { status } = await cluster.get(statefulsets, 'default/db');
  t.match(status, { replicas: 3, readyReplicas: 3, availableReplicas: 3, currentReplicas: 3, updatedReplicas: 3 });
  t.equal(status?.currentRevision, status?.updateRevision);
  t.ok((await cluster.eventTexts()).includes('SuccessfulCreate create Pod db-0 in StatefulSet db successful'));
  await cluster.stop();
});

t.test('scales down from the last; Parallel starts all at once', async (t) => {
  const cluster = await started(3, { podManagementPolicy: 'Parallel' });
  t.equal((await cluster.all(pods)).length, 3);
  await cluster.converge();
  await change(cluster, { replicas: 1 });
  await cluster.converge();
  t.same(await cluster.names(pods), ['default/db-0']);
  await cluster.stop();

  const ordered = await started(2);
  await ordered.converge();
  await change(ordered, { replicas: 0 });
  const going = (await ordered.all(pods)).filter((pod) => pod.metadata.deletionTimestamp !== undefined);
  t.same(
    going.map((pod) => pod.metadata.name),
    ['db-1'],
  );
  await ordered.converge();
  t.same(await ordered.names(pods), []);
  await ordered.stop();
});

t.test('a rolling update goes from the last to the partition', async (t) => {
  const cluster = await started(3, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } });
  await cluster.converge();
  await change(cluster, { template: podTemplate(labels, 'db:2') });
  await cluster.converge();
  t.same(await images(cluster), { 'db-0': 'db:1', 'db-1': 'db:1', 'db-2': 'db:2' });
  const held = (await cluster.get(statefulsets, 'default/db')).status;
  t.match(held, { currentReplicas: 2, updatedReplicas: 1 });
  t.not(held?.currentRevision, held?.updateRevision);
  await cluster.client.delete(pods, { namespace: 'default', name: 'db-0' }, { gracePeriodSeconds: 0 });
  await cluster.converge();
  t.equal((await images(cluster))['db-0'], 'db:1', 'below the partition the old version comes back');
  await change(cluster, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } } });
  await cluster.converge();
  t.same(await images(cluster), { 'db-0': 'db:2', 'db-1': 'db:2', 'db-2': 'db:2' });
  const done = (await cluster.get(statefulsets, 'default/db')).status;
  t.equal(done?.currentRevision, done?.updateRevision);
  t.equal((await cluster.all(controllerrevisions)).length, 2);
  await cluster.stop();
});

t.test('rolling back numbers the old revision anew; OnDelete waits for the user', async (t) => {
  const cluster = await started(1, { updateStrategy: { type: 'OnDelete' } });
  await cluster.converge();
  await change(cluster, { template: podTemplate(labels, 'db:2') });
  await cluster.converge();
  t.same(await images(cluster), { 'db-0': 'db:1' });
  await cluster.client.delete(pods, { namespace: 'default', name: 'db-0' }, { gracePeriodSeconds: 0 });
  await cluster.converge();
  t.same(await images(cluster), { 'db-0': 'db:2' });
  await change(cluster, { template: podTemplate(labels, 'db:1') });
  await cluster.converge();
  t.same((await cluster.all(controllerrevisions)).map((revision) => revision.revision).sort(), [2, 3]);
  await cluster.stop();
});

t.test('claims are made before the pod and stay after it, unless they are to go', async (t) => {
  const volumeClaimTemplates = [
    {
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
  ];
  const cluster = await started(2, {
    volumeClaimTemplates,
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' },
  });
  await cluster.converge();
  t.same(await cluster.names(persistentvolumeclaims), ['default/data-db-0', 'default/data-db-1']);
  t.match((await cluster.get(pods, 'default/db-1')).spec.volumes, [
    { name: 'data', persistentVolumeClaim: { claimName: 'data-db-1' } },
  ]);
  t.match((await cluster.get(persistentvolumeclaims, 'default/data-db-0')).metadata.ownerReferences, [
    { kind: 'StatefulSet', name: 'db' },
  ]);
  await change(cluster, { replicas: 1 });
  await cluster.converge();
  t.same(await cluster.names(persistentvolumeclaims), ['default/data-db-0', 'default/data-db-1']);
  await cluster.stop();
});

t.test('a failed pod is replaced; restarts change nothing', async (t) => {
  const cluster = await started(2);
  await cluster.converge();
  const pod = await cluster.get(pods, 'default/db-0');
  await cluster.client.update(pods, { ...pod, status: { phase: 'Failed' } }, { subresource: 'status' });
  await cluster.restart();
  await cluster.converge();
  const fresh = await cluster.get(pods, 'default/db-0');
  t.not(fresh.metadata.uid, pod.metadata.uid);
  t.equal(fresh.status?.phase, 'Running');
  t.ok(
    (await cluster.eventTexts()).includes('RecreatingFailedPod StatefulSet default/db is recreating failed Pod db-0'),
  );
  await cluster.stop();
});
