import fc from 'fast-check';
import t from 'tap';
import { isApiError } from '../apimachinery/api-error.ts';
import { isPodActive } from '../apimachinery/conditions.ts';
import {
  deployments,
  endpointslices,
  pods,
  replicasets,
  services,
  statefulsets,
} from '../apimachinery/types/resources.ts';
import { desiredReplicas } from './deployment/rollout-limits.ts';
import { objectKey } from './object-key.ts';
import { podTemplate, TestCluster } from './testing/test-cluster.ts';

const controllers = [
  'deployment-controller',
  'replicaset-controller',
  'statefulset-controller',
  'endpointslice-controller',
  'garbage-collector-controller',
];
const web = { app: 'web' };
const db = { app: 'db' };

/** What users, nodes and crashes do. */
type Act =
  | { readonly kind: 'scale'; readonly replicas: number }
  | { readonly kind: 'image'; readonly version: number }
  | { readonly kind: 'deletePod' | 'failPod'; readonly index: number }
  | { readonly kind: 'restart' | 'dropWatches' | 'compact' | 'runPods' | 'orphanSet' }
  | { readonly kind: 'pass'; readonly seconds: number };

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ kind: fc.constant('scale' as const), replicas: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ kind: fc.constant('image' as const), version: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constantFrom('deletePod' as const, 'failPod' as const), index: fc.nat(20) }),
  fc.record({ kind: fc.constantFrom('restart', 'dropWatches', 'compact', 'runPods', 'orphanSet') }),
  fc.record({ kind: fc.constant('pass' as const), seconds: fc.integer({ min: 1, max: 3 }) }),
);

async function perform(cluster: TestCluster, act: Act): Promise<void> {
  const { client } = cluster;
  switch (act.kind) {
    case 'scale':
    case 'image': {
      for (const [resource, labels] of [
        [deployments, web],
        [statefulsets, db],
      ] as const) {
        const patch =
          act.kind === 'scale' ? { replicas: act.replicas } : { template: podTemplate(labels, `app:${act.version}`) };
        const key = { namespace: 'default', name: labels.app };
        await client.patch(resource as typeof deployments, key, { spec: patch }, { type: 'merge' });
      }
      return;
    }
    case 'deletePod':
    case 'failPod': {
      const all = await cluster.all(pods);
      const pod = all[act.index % Math.max(1, all.length)];
      if (pod === undefined) return;
      if (act.kind === 'deletePod') await client.delete(pods, objectKey(pod));
      else await client.update(pods, { ...pod, status: { ...pod.status, phase: 'Failed' } }, { subresource: 'status' });
      return;
    }
    case 'orphanSet': {
      // Someone takes the owner off a replica set: the deployment has to adopt it again.
      const [set] = await cluster.all(replicasets);
      if (set !== undefined)
        await client.patch(replicasets, objectKey(set), { metadata: { ownerReferences: null } }, { type: 'merge' });
      return;
    }
    case 'restart':
      return cluster.restart();
    case 'dropWatches':
      return client.dropWatches();
    case 'compact':
      return client.compact();
    case 'runPods':
      await cluster.runPods();
      return;
    case 'pass':
      return cluster.advance(act.seconds);
  }
}

async function newCluster(): Promise<TestCluster> {
  const cluster = new TestCluster({ controllers });
  cluster.seedNode('node-1');
  cluster.client.seed(deployments, {
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas: 3,
      selector: { matchLabels: web },
      template: podTemplate(web, 'app:1'),
      revisionHistoryLimit: 2,
      progressDeadlineSeconds: 600,
    },
  });
  cluster.client.seed(statefulsets, {
    metadata: { name: 'db', namespace: 'default' },
    spec: { replicas: 3, serviceName: 'db', selector: { matchLabels: db }, template: podTemplate(db, 'app:1') },
  });
  cluster.client.seed(services, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { clusterIP: '10.96.0.9', ipFamilies: ['IPv4'], selector: web, ports: [{ port: 80, targetPort: 8080 }] },
  });
  await cluster.start();
  return cluster;
}

/** What must hold once nothing moves any more, whatever has happened on the way; undefined when it does. */
async function fault(cluster: TestCluster): Promise<string | undefined> {
  const deployment = await cluster.get(deployments, 'default/web');
  const set = await cluster.get(statefulsets, 'default/db');
  const image = deployment.spec.template.spec?.containers[0]?.image;
  const all = await cluster.all(pods);
  const active = all.filter(isPodActive);
  const wanted = desiredReplicas(deployment);
  for (const app of ['web', 'db']) {
    const members = active.filter((pod) => pod.metadata.labels?.['app'] === app);
    if (members.length !== wanted) return `${members.length} pods of ${app} instead of ${wanted}`;
    if (members.some((pod) => pod.spec.containers[0]?.image !== image)) return `an old pod of ${app}`;
  }
  const { status } = deployment;
  if ((status?.availableReplicas ?? 0) !== wanted || (status?.replicas ?? 0) !== wanted) return 'deployment status';
  if ((set.status?.readyReplicas ?? 0) !== wanted || set.status?.currentRevision !== set.status?.updateRevision) {
    return 'stateful set status';
  }
  const sets = await cluster.all(replicasets);
  if (sets.some((each) => each.metadata.ownerReferences?.[0]?.uid !== deployment.metadata.uid)) return 'an orphan set';
  if (sets.filter((each) => (each.spec.replicas ?? 0) > 0).length > 1) return 'two sets with pods';
  if (sets.length > 3) return 'history beyond its limit';
  const listed = (await cluster.all(endpointslices)).flatMap((slice) => slice.endpoints ?? []);
  const names = active.filter((pod) => pod.metadata.labels?.['app'] === 'web').map((pod) => pod.metadata.name);
  const targets = listed.map((endpoint) => endpoint.targetRef?.name);
  if (targets.sort().join() !== names.sort().join()) return 'endpoints are not the pods';
  return undefined;
}

t.test(
  'property: whatever happens, and wherever the controllers are killed, they arrive at the same state',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 1, maxLength: 25 }), async (acts) => {
        const cluster = await newCluster();
        try {
          for (const each of acts) {
            await perform(cluster, each).catch((error: unknown) => {
              // What it was about has changed or gone meanwhile.
              if (!isApiError(error, 'Conflict') && !isApiError(error, 'NotFound')) throw error;
            });
          }
          await cluster.converge(600);
          const found = await fault(cluster);
          if (found !== undefined) throw new Error(found);
        } finally {
          await cluster.stop();
        }
      }),
      { numRuns: 40 },
    );
    t.pass('converged');
  },
);
