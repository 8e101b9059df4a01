import t from 'tap';
import { apiError } from '../../apimachinery/api-error.ts';
import { findCondition } from '../../apimachinery/conditions.ts';
import { configmaps, namespaces, pods, secrets, serviceaccounts } from '../../apimachinery/types/resources.ts';
import { TestCluster } from '../testing/test-cluster.ts';

const settings = { resources: () => [configmaps, pods, secrets, namespaces] };

function terminating(cluster: TestCluster): void {
  cluster.client.seed(namespaces, {
    // The hold keeps the object in sight after the controller has let it go.
    metadata: { name: 'doomed', deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['test/hold'] },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  });
}

t.test('empties the namespace and lets it go', async (t) => {
  const cluster = new TestCluster({ controllers: ['namespace-controller'], ...settings });
  terminating(cluster);
  cluster.client.seed(
    configmaps,
    { metadata: { name: 'a', namespace: 'doomed' } },
    { metadata: { name: 'b', namespace: 'other' } },
  );
  cluster.client.seed(secrets, { metadata: { name: 's', namespace: 'doomed' } });
  await cluster.start();
  await cluster.advance(2);
  const namespace = await cluster.get(namespaces, 'doomed');
  t.equal(namespace.status?.phase, 'Terminating');
  t.same(namespace.spec?.finalizers, []);
  t.match(findCondition(namespace.status?.conditions, 'NamespaceContentRemaining'), {
    status: 'False',
    reason: 'ContentRemoved',
    message: 'All content successfully removed',
  });
  t.same(await cluster.names(configmaps), ['other/b']);
  t.same(await cluster.names(secrets), []);
  await cluster.stop();
});

t.test('pods go first and everything waits for their grace period', async (t) => {
  const cluster = new TestCluster({ controllers: ['namespace-controller'], ...settings });
  terminating(cluster);
  cluster.client.seed(configmaps, { metadata: { name: 'a', namespace: 'doomed' } });
  cluster.client.seed(pods, { metadata: { name: 'p', namespace: 'doomed' }, spec: { containers: [], nodeName: 'n' } });
  await cluster.start();
  await cluster.advance(2);
  const waiting = await cluster.get(namespaces, 'doomed');
  t.match(findCondition(waiting.status?.conditions, 'NamespaceContentRemaining'), {
    status: 'True',
    reason: 'SomeResourcesRemain',
    message: 'Some resources are remaining: pods. has 1 resource instances',
  });
  t.same(waiting.spec?.finalizers, ['kubernetes']);
  t.same(await cluster.names(configmaps), ['doomed/a']);
  await cluster.client.delete(pods, { namespace: 'doomed', name: 'p' }, { gracePeriodSeconds: 0 });
  await cluster.advance(30);
  t.same((await cluster.get(namespaces, 'doomed')).spec?.finalizers, []);
  await cluster.stop();
});

t.test('says which finalizers and which failures hold the namespace', async (t) => {
  const cluster = new TestCluster({ controllers: ['namespace-controller'], ...settings });
  terminating(cluster);
  cluster.client.seed(configmaps, { metadata: { name: 'a', namespace: 'doomed', finalizers: ['example.com/hold'] } });
  const heal = cluster.client.react((action) => {
    if (action.verb === 'deletecollection' && action.resource === 'secrets')
      throw apiError('InternalError', 'disk full');
  });
  cluster.client.seed(secrets, { metadata: { name: 's', namespace: 'doomed' } });
  await cluster.start();
  await cluster.advance(2);
  const { status } = await cluster.get(namespaces, 'doomed');
  t.match(findCondition(status?.conditions, 'NamespaceFinalizersRemaining'), {
    status: 'True',
    reason: 'SomeFinalizersRemain',
    message: 'Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances',
  });
  t.match(findCondition(status?.conditions, 'NamespaceDeletionContentFailure'), {
    status: 'True',
    reason: 'ContentDeletionFailed',
    message: /Failed to delete all resource types, 1 remaining: .*disk full/,
  });
  heal();
  const held = await cluster.get(configmaps, 'doomed/a');
  await cluster.client.update(configmaps, { ...held, metadata: { ...held.metadata, finalizers: [] } });
  await cluster.advance(20);
  t.same((await cluster.get(namespaces, 'doomed')).spec?.finalizers, []);
  await cluster.stop();
});

t.test('every active namespace has its service account and the root CA, again if deleted', async (t) => {
  const cluster = new TestCluster({
    controllers: ['serviceaccount-controller', 'root-ca-certificate-publisher-controller'],
    rootCa: 'PEM',
  });
  cluster.client.seed(namespaces, { metadata: { name: 'default' }, spec: {}, status: { phase: 'Active' } });
  await cluster.start();
  t.same(await cluster.names(serviceaccounts), ['default/default']);
  t.same((await cluster.get(configmaps, 'default/kube-root-ca.crt')).data, { 'ca.crt': 'PEM' });
  await cluster.client.delete(serviceaccounts, { namespace: 'default', name: 'default' });
  await cluster.client.delete(configmaps, { namespace: 'default', name: 'kube-root-ca.crt' });
  await cluster.settle();
  t.same(await cluster.names(serviceaccounts), ['default/default']);
  const map = await cluster.get(configmaps, 'default/kube-root-ca.crt');
  await cluster.client.update(configmaps, { ...map, data: { 'ca.crt': 'forged' } });
  await cluster.settle();
  t.same((await cluster.get(configmaps, 'default/kube-root-ca.crt')).data, { 'ca.crt': 'PEM' });
  await cluster.stop();
});
