import t from 'tap';
import { makeControllerReference, makeOwnerReference } from '../../apimachinery/owner-reference.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { ConfigMap } from '../../apimachinery/types/core-v1.ts';
import { configmaps, deployments, nodes, pods, replicasets } from '../../apimachinery/types/resources.ts';
import { podTemplate, TestCluster } from '../testing/test-cluster.ts';

const settings = { resources: () => [configmaps, deployments, replicasets, pods, nodes] };

function cluster(...others: string[]): TestCluster {
  return new TestCluster({ controllers: ['garbage-collector-controller', ...others], ...settings });
}

function map(name: string, ...owners: KubernetesObject[]): ConfigMap {
  const ownerReferences = owners.map((owner) => ({
    ...makeOwnerReference(configmaps, owner),
    blockOwnerDeletion: true,
  }));
  return { metadata: { name, namespace: 'default', ownerReferences }, data: {} };
}

t.test('deletes what has lost its owner, and what that owned in turn', async (t) => {
  const c = cluster('deployment-controller', 'replicaset-controller');
  c.client.seed(deployments, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template: podTemplate({ app: 'web' }) },
  });
  await c.start();
  await c.converge();
  t.equal((await c.all(pods)).length, 2);
  await c.client.delete(deployments, { namespace: 'default', name: 'web' }, { propagationPolicy: 'Background' });
  await c.converge();
  t.same(await c.names(replicasets), []);
  t.same(await c.names(pods), []);
  await c.stop();
});

t.test('an object whose owner went before the collector started is found by asking for the owner', async (t) => {
  const c = cluster();
  c.client.seed(configmaps, map('child', { metadata: { name: 'gone', uid: 'no-such-uid' } }));
  await c.start();
  await c.advance(1);
  t.same(await c.names(configmaps), []);
  await c.stop();
});

t.test('a new owner of the old name is not the owner', async (t) => {
  const c = cluster();
  c.client.seed(configmaps, map('owner'), map('child', { metadata: { name: 'owner', uid: 'an-earlier-one' } }));
  await c.start();
  await c.advance(1);
  t.same(await c.names(configmaps), ['default/owner']);
  await c.stop();
});

t.test('one owner left keeps the object and loses the reference to the other', async (t) => {
  const c = cluster();
  const [first, second] = c.client.seed(configmaps, map('first'), map('second'));
  c.client.seed(configmaps, map('child', first!, second!));
  await c.start();
  await c.client.delete(configmaps, { namespace: 'default', name: 'first' });
  await c.advance(1);
  const child = await c.get(configmaps, 'default/child');
  t.same(
    child.metadata.ownerReferences?.map((reference) => reference.name),
    ['second'],
  );
  await c.stop();
});

t.test('orphaning lets the dependents live', async (t) => {
  const c = cluster();
  const [owner] = c.client.seed(configmaps, map('owner'));
  c.client.seed(configmaps, map('child', owner!));
  await c.start();
  await c.client.delete(configmaps, { namespace: 'default', name: 'owner' }, { propagationPolicy: 'Orphan' });
  await c.advance(2);
  t.same(await c.names(configmaps), ['default/child']);
  t.same((await c.get(configmaps, 'default/child')).metadata.ownerReferences, []);
  await c.stop();
});

t.test('foreground deletion: the owner goes last', async (t) => {
  const c = cluster();
  const [owner] = c.client.seed(configmaps, map('owner'));
  const child = map('child', owner!);
  c.client.seed(configmaps, { ...child, metadata: { ...child.metadata, finalizers: ['example.com/hold'] } });
  await c.start();
  await c.client.delete(configmaps, { namespace: 'default', name: 'owner' }, { propagationPolicy: 'Foreground' });
  await c.advance(2);
  t.same(await c.names(configmaps), ['default/child', 'default/owner'], 'the child is held by a finalizer');
  const held = await c.get(configmaps, 'default/child');
  t.ok(held.metadata.deletionTimestamp);
  await c.client.update(configmaps, { ...held, metadata: { ...held.metadata, finalizers: [] } });
  await c.advance(2);
  t.same(await c.names(configmaps), []);
  await c.stop();
});

t.test('a circle of blocking owners is deleted in the foreground all the same', async (t) => {
  const c = cluster();
  const uid = (name: string) => ({ metadata: { name, namespace: 'default', uid: `uid-of-${name}` } });
  const inCircle = (name: string, owner: string): ConfigMap => {
    const object = map(name, uid(owner));
    return { ...object, metadata: { ...object.metadata, uid: `uid-of-${name}` } };
  };
  c.client.seed(configmaps, inCircle('a', 'b'), inCircle('b', 'a'));
  await c.start();
  await c.client.delete(configmaps, { namespace: 'default', name: 'a' }, { propagationPolicy: 'Foreground' });
  await c.advance(5);
  t.same(await c.names(configmaps), []);
  await c.stop();
});

t.test('a cluster-scoped object with a namespaced owner is left alone', async (t) => {
  const c = cluster();
  c.client.seed(nodes, {
    metadata: {
      name: 'n',
      ownerReferences: [makeControllerReference(configmaps, { metadata: { name: 'x', uid: 'x' } })],
    },
    spec: {},
  });
  await c.start();
  await c.advance(5);
  t.same(await c.names(nodes), ['n']);
  await c.stop();
});
