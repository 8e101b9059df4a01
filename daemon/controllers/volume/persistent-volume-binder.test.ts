import t from 'tap';
import type { PersistentVolume, PersistentVolumeClaim } from '../../apimachinery/types/core-v1.ts';
import { persistentvolumeclaims, persistentvolumes, pods, storageclasses } from '../../apimachinery/types/resources.ts';
import { TestCluster } from '../testing/test-cluster.ts';
import { selectedNode } from './volume-match.ts';

const controllers = [
  'persistentvolume-binder-controller',
  'persistentvolumeclaim-protection-controller',
  'persistentvolume-protection-controller',
  'ephemeral-volume-controller',
];

const volume = (name: string, storage: string, spec: Partial<PersistentVolume['spec']> = {}): PersistentVolume => ({
  metadata: { name },
  spec: { capacity: { storage }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' }, ...spec },
});
const claim = (
  name: string,
  storage: string,
  spec: Partial<PersistentVolumeClaim['spec']> = {},
): PersistentVolumeClaim => ({
  metadata: { name, namespace: 'default' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } }, storageClassName: '', ...spec },
});

async function started(seed: (cluster: TestCluster) => void): Promise<TestCluster> {
  const cluster = new TestCluster({ controllers });
  seed(cluster);
  await cluster.start();
  await cluster.advance(3);
  return cluster;
}

t.test('binds the smallest volume that fits, in both directions', async (t) => {
  const cluster = await started(({ client }) => {
    client.seed(persistentvolumes, volume('small', '1Gi'), volume('large', '9Gi'), volume('fits', '5Gi'));
    client.seed(persistentvolumeclaims, claim('data', '2Gi'));
  });
  t.match(await cluster.get(persistentvolumeclaims, 'default/data'), {
    metadata: {
      annotations: { 'pv.kubernetes.io/bind-completed': 'yes', 'pv.kubernetes.io/bound-by-controller': 'yes' },
      finalizers: ['kubernetes.io/pvc-protection'],
    },
    spec: { volumeName: 'fits' },
    status: { phase: 'Bound', capacity: { storage: '5Gi' }, accessModes: ['ReadWriteOnce'] },
  });
  t.match(await cluster.get(persistentvolumes, 'fits'), {
    spec: { claimRef: { kind: 'PersistentVolumeClaim', namespace: 'default', name: 'data' } },
    status: { phase: 'Bound' },
  });
  t.equal((await cluster.get(persistentvolumes, 'small')).status?.phase, 'Available');
  await cluster.client.delete(persistentvolumeclaims, { namespace: 'default', name: 'data' });
  await cluster.advance(3);
  t.equal((await cluster.get(persistentvolumes, 'fits')).status?.phase, 'Released');
  await cluster.stop();
});

t.test('a reserved volume goes to nobody else; a claim without a match waits and says why', async (t) => {
  const cluster = await started(({ client }) => {
    client.seed(persistentvolumes, volume('kept', '5Gi', { claimRef: { namespace: 'default', name: 'chosen' } }));
    client.seed(persistentvolumeclaims, claim('other', '1Gi'), claim('chosen', '1Gi'));
  });
  t.equal((await cluster.get(persistentvolumeclaims, 'default/chosen')).spec.volumeName, 'kept');
  t.equal((await cluster.get(persistentvolumeclaims, 'default/other')).status?.phase, 'Pending');
  t.ok(
    (await cluster.eventTexts()).includes(
      'FailedBinding no persistent volumes available for this claim and no storage class is set',
    ),
  );
  cluster.client.seed(persistentvolumes, volume('late', '1Gi'));
  await cluster.advance(3);
  t.equal((await cluster.get(persistentvolumeclaims, 'default/other')).spec.volumeName, 'late');
  await cluster.stop();
});

t.test('local-path waits for the node, makes the volume, and takes it back', async (t) => {
  const cluster = await started(({ client }) => {
    client.seed(storageclasses, {
      metadata: { name: 'local-path' },
      provisioner: 'balsa.io/local-path',
      reclaimPolicy: 'Delete',
      volumeBindingMode: 'WaitForFirstConsumer',
    });
    client.seed(persistentvolumeclaims, claim('data', '1Gi', { storageClassName: 'local-path' }));
  });
  t.equal((await cluster.get(persistentvolumeclaims, 'default/data')).status?.phase, 'Pending');
  t.same(await cluster.eventTexts(), ['WaitForFirstConsumer waiting for first consumer to be created before binding']);
  const waiting = await cluster.get(persistentvolumeclaims, 'default/data');
  await cluster.client.update(persistentvolumeclaims, {
    ...waiting,
    metadata: { ...waiting.metadata, annotations: { [selectedNode]: 'node-1' } },
  });
  await cluster.advance(3);
  const bound = await cluster.get(persistentvolumeclaims, 'default/data');
  const name = `pvc-${bound.metadata.uid}`;
  t.match(bound, { spec: { volumeName: name }, status: { phase: 'Bound' } });
  t.match((await cluster.get(persistentvolumes, name)).spec, {
    hostPath: { path: new RegExp(`${name}_default_data$`), type: 'DirectoryOrCreate' },
    nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ values: ['node-1'] }] }] } },
  });
  await cluster.client.delete(persistentvolumeclaims, { namespace: 'default', name: 'data' });
  await cluster.advance(3);
  t.same(await cluster.names(persistentvolumes), []);
  await cluster.stop();
});

t.test('a claim in use outlives its deletion; a bound volume too; a lost volume shows', async (t) => {
  const cluster = await started(({ client }) => {
    client.seed(persistentvolumes, volume('v', '1Gi'));
    client.seed(persistentvolumeclaims, claim('data', '1Gi'));
    client.seed(pods, {
      metadata: { name: 'user', namespace: 'default' },
      spec: { nodeName: 'n', containers: [], volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }] },
    });
  });
  await cluster.client.delete(persistentvolumeclaims, { namespace: 'default', name: 'data' });
  await cluster.client.delete(persistentvolumes, { name: 'v' });
  await cluster.advance(3);
  t.same(
    [...(await cluster.names(persistentvolumeclaims)), ...(await cluster.names(persistentvolumes))],
    ['default/data', 'v'],
  );
  await cluster.client.delete(pods, { namespace: 'default', name: 'user' }, { gracePeriodSeconds: 0 });
  await cluster.advance(5);
  t.same([...(await cluster.names(persistentvolumeclaims)), ...(await cluster.names(persistentvolumes))], []);
  await cluster.stop();

  const lost = await started(({ client }) => {
    const bound = claim('data', '1Gi', { volumeName: 'gone' });
    client.seed(persistentvolumeclaims, {
      ...bound,
      metadata: { ...bound.metadata, annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } },
    });
  });
  t.equal((await lost.get(persistentvolumeclaims, 'default/data')).status?.phase, 'Lost');
  t.same(await lost.eventTexts(), ['ClaimLost Bound claim has lost its PersistentVolume. Data on the volume is lost!']);
  await lost.stop();
});

t.test('an ephemeral volume gets a claim that the pod owns', async (t) => {
  const cluster = await started(({ client }) => {
    const volumeClaimTemplate = {
      metadata: { labels: { a: 'b' } },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName: '' },
    };
    client.seed(pods, {
      metadata: { name: 'p', namespace: 'default' },
      spec: { containers: [], volumes: [{ name: 'scratch', ephemeral: { volumeClaimTemplate } }] },
    });
  });
  t.match((await cluster.get(persistentvolumeclaims, 'default/p-scratch')).metadata, {
    labels: { a: 'b' },
    ownerReferences: [{ kind: 'Pod', name: 'p', controller: true }],
  });
  await cluster.stop();
});
