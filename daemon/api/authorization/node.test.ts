import t from 'tap';
import type { Pod, Secret } from '../../apimachinery/types/core-v1.ts';
import { configmaps, nodes, pods, secrets, serviceaccounts } from '../../apimachinery/types/resources.ts';
import { startTestingServer } from '../testing-server.ts';

const server = await startTestingServer();
t.teardown(() => server.stop());
const admin = server.api.clientFor({ name: 'admin', groups: ['system:masters'] });
const kubelet = server.api.clientFor({ name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] });
const namespace = 'default';
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => '',
    (error: Error) => error.message,
  );

t.test('a kubelet reads what its pods refer to, and writes what is its own', async (t) => {
  await admin.create(serviceaccounts, { metadata: { namespace, name: 'default' } });
  for (const name of ['used', 'unused']) {
    await admin.create(secrets, { metadata: { namespace, name } } as Secret);
    await admin.create(configmaps, { metadata: { namespace, name } });
  }
  const spec = {
    nodeName: 'n1',
    containers: [{ name: 'c', image: 'i', envFrom: [{ secretRef: { name: 'used' } }] }],
    volumes: [{ name: 'v', configMap: { name: 'used' } }],
  };
  const mine = await admin.create(pods, { metadata: { namespace, name: 'mine' }, spec } as Pod);
  const other = await admin.create(pods, {
    metadata: { namespace, name: 'other' },
    spec: { ...spec, nodeName: 'n2' },
  } as Pod);

  t.equal(await failure(kubelet.get(secrets, { namespace, name: 'used' })), '');
  t.equal(await failure(kubelet.get(configmaps, { namespace, name: 'used' })), '');
  t.equal(await failure(kubelet.list(secrets, { namespace, fieldSelector: 'metadata.name=used' })), '');
  t.equal(
    await failure(kubelet.get(secrets, { namespace, name: 'unused' })),
    `secrets "unused" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node 'n1' and this object`,
  );
  t.match(await failure(kubelet.list(secrets, { namespace })), 'No Object name found');
  t.match(await failure(kubelet.delete(secrets, { namespace, name: 'used' })), 'can only read resources of this type');
  const token = (podName: string, uid: string | undefined) => {
    const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: podName, uid };
    const key = { namespace, name: 'default' };
    return failure(kubelet.createSubresource(serviceaccounts, key, 'token', { spec: { boundObjectRef } }));
  };
  t.equal(await token('mine', mine.metadata.uid), '');
  t.match(await token('other', other.metadata.uid), 'bound to a pod scheduled on a different node');

  t.equal(await failure(kubelet.create(nodes, { metadata: { name: 'n1' }, spec: {} })), '');
  t.match(
    await failure(kubelet.create(nodes, { metadata: { name: 'n2' }, spec: {} })),
    'is not allowed to modify node "n2"',
  );
  const status = { status: { phase: 'Running' } };
  const options = { type: 'merge', subresource: 'status' } as const;
  t.equal(await failure(kubelet.patch(pods, { namespace, name: 'mine' }, status, options)), '');
  t.match(
    await failure(kubelet.patch(pods, { namespace, name: 'other' }, status, options)),
    'can only update pod status for pods with spec.nodeName set to itself',
  );
  t.match(await failure(kubelet.delete(pods, { namespace, name: 'other' })), 'can only delete pods');

  await admin.delete(pods, { namespace, name: 'mine' }, { gracePeriodSeconds: 0 });
  t.match(await failure(kubelet.get(secrets, { namespace, name: 'used' })), 'no relationship found');
});
