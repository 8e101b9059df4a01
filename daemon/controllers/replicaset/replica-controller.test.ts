import t from 'tap';
import { apiError } from '../../apimachinery/api-error.ts';
import type { ReplicaSet } from '../../apimachinery/types/apps-v1.ts';
import { pods, replicasets, replicationcontrollers } from '../../apimachinery/types/resources.ts';
import { podTemplate, TestCluster } from '../testing/test-cluster.ts';

const labels = { app: 'web' };

function replicaSet(replicas: number, spec: Partial<ReplicaSet['spec']> = {}): ReplicaSet {
  return {
    metadata: { name: 'web', namespace: 'default' },
    spec: { replicas, selector: { matchLabels: labels }, template: podTemplate(labels), ...spec },
  };
}

t.test('creates the missing pods, owned and labelled, and reports them', async (t) => {
  const cluster = new TestCluster({ controllers: ['replicaset-controller'] });
  cluster.client.seed(replicasets, replicaSet(3));
  await cluster.start();
  const created = await cluster.all(pods);
  t.equal(created.length, 3);
  const set = await cluster.get(replicasets, 'default/web');
  t.match(created[0]?.metadata.ownerReferences, [
    { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: set.metadata.uid, controller: true },
  ]);
  t.match(created[0]?.metadata, { labels, name: /^web-/ });
  t.match(set.status, { replicas: 3, fullyLabeledReplicas: 3, observedGeneration: 1 });
  t.equal(set.status?.readyReplicas, undefined);
  await cluster.converge();
  t.match((await cluster.get(replicasets, 'default/web')).status, { readyReplicas: 3, availableReplicas: 3 });
  t.match((await cluster.eventTexts()).sort(), [/^SuccessfulCreate Created pod: web-/, /^Succ/, /^Succ/]);
  await cluster.stop();
});

t.test('scales down by rank and replaces what finished', async (t) => {
  const cluster = new TestCluster({ controllers: ['replicaset-controller'] });
  cluster.client.seed(replicasets, replicaSet(3));
  await cluster.start();
  await cluster.converge();
  const set = await cluster.get(replicasets, 'default/web');
  await cluster.client.update(replicasets, { ...set, spec: { ...set.spec, replicas: 4 } });
  await cluster.settle();
  const unscheduled = (await cluster.all(pods)).find((pod) => pod.spec.nodeName === undefined);
  const grown = await cluster.get(replicasets, 'default/web');
  await cluster.client.update(replicasets, { ...grown, spec: { ...grown.spec, replicas: 3 } });
  await cluster.settle();
  t.notOk(
    (await cluster.names(pods)).includes(`default/${unscheduled?.metadata.name}`),
    'the unscheduled one goes first',
  );

  const [failed] = await cluster.all(pods);
  await cluster.client.update(pods, { ...failed!, status: { phase: 'Failed' } }, { subresource: 'status' });
  await cluster.converge();
  t.equal((await cluster.all(pods)).filter((pod) => pod.status?.phase === 'Running').length, 3);
  await cluster.stop();
});

t.test('adopts matching orphans and releases pods whose labels were taken away', async (t) => {
  const cluster = new TestCluster({ controllers: ['replicaset-controller'] });
  cluster.client.seed(pods, {
    metadata: { name: 'orphan', namespace: 'default', labels },
    spec: { containers: [] },
    status: { phase: 'Running' },
  });
  cluster.client.seed(replicasets, replicaSet(2));
  await cluster.start();
  t.equal((await cluster.all(pods)).length, 2);
  const orphan = await cluster.get(pods, 'default/orphan');
  t.equal(orphan.metadata.ownerReferences?.[0]?.name, 'web');
  await cluster.client.update(pods, { ...orphan, metadata: { ...orphan.metadata, labels: { app: 'debug' } } });
  await cluster.settle();
  t.same((await cluster.get(pods, 'default/orphan')).metadata.ownerReferences ?? [], []);
  t.equal((await cluster.all(pods)).length, 3);
  await cluster.stop();
});

t.test('a quota that refuses pods shows as a ReplicaFailure and is retried', async (t) => {
  const cluster = new TestCluster({ controllers: ['replicaset-controller'] });
  let attempts = 0;
  const allow = cluster.client.react((action) => {
    if (action.verb !== 'create' || action.resource !== 'pods') return;
    attempts++;
    throw apiError('Forbidden', 'exceeded quota');
  });
  cluster.client.seed(replicasets, replicaSet(20));
  await cluster.start();
  t.ok(attempts <= 2, 'one attempt a round finds out');
  t.match((await cluster.get(replicasets, 'default/web')).status?.conditions, [
    { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota' },
  ]);
  t.ok((await cluster.eventTexts()).includes('FailedCreate Error creating: exceeded quota'));
  allow();
  await cluster.converge();
  const status = (await cluster.get(replicasets, 'default/web')).status;
  t.equal(status?.availableReplicas, 20);
  t.same(status?.conditions ?? [], []);
  await cluster.stop();
});

t.test('counts a pod as available once it has been ready for minReadySeconds', async (t) => {
  const cluster = new TestCluster({ controllers: ['replicaset-controller'] });
  cluster.client.seed(replicasets, replicaSet(1, { minReadySeconds: 10 }));
  await cluster.start();
  await cluster.runPods();
  await cluster.advance(5);
  t.match((await cluster.get(replicasets, 'default/web')).status, { readyReplicas: 1 });
  t.equal((await cluster.get(replicasets, 'default/web')).status?.availableReplicas, undefined);
  await cluster.advance(7);
  t.match((await cluster.get(replicasets, 'default/web')).status, { availableReplicas: 1 });
  await cluster.stop();
});

t.test('does not create twice while its cache lags behind', async (t) => {
  const cluster = new TestCluster({ controllers: ['replicaset-controller'] });
  cluster.client.seed(replicasets, replicaSet(5));
  await cluster.start();
  for (let i = 0; i < 10; i++) {
    const set = await cluster.get(replicasets, 'default/web');
    const touched = { ...set, metadata: { ...set.metadata, annotations: { touched: String(i) } } };
    await cluster.client.update(replicasets, touched);
  }
  await cluster.converge();
  t.equal(cluster.client.actions.filter((a) => a.verb === 'create' && a.resource === 'pods').length, 5);
  await cluster.stop();
});

t.test('replication controllers are kept the same way', async (t) => {
  const cluster = new TestCluster({ controllers: ['replicationcontroller-controller'] });
  cluster.client.seed(replicationcontrollers, {
    metadata: { name: 'old', namespace: 'default' },
    spec: { replicas: 2, selector: labels, template: podTemplate(labels) },
  });
  await cluster.start();
  await cluster.converge();
  t.match((await cluster.get(replicationcontrollers, 'default/old')).status, { replicas: 2, availableReplicas: 2 });
  t.equal((await cluster.all(pods))[0]?.metadata.ownerReferences?.[0]?.kind, 'ReplicationController');
  await cluster.stop();
});
