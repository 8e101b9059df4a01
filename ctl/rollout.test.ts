import t from 'tap';
import type { DaemonSet, Deployment, ReplicaSet, StatefulSet } from '../daemon/apimachinery/types/apps-v1.ts';
import { isCurrent, revisionsOf, rolloutProgress, undoTarget } from './rollout.ts';

const template = (image: string) => ({
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'web', image }] },
});
const deployment = (status: Deployment['status'], image = 'web:2'): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', uid: 'u1', generation: 2 },
  spec: { replicas: 3, selector: {}, template: template(image) },
  ...(status === undefined ? {} : { status }),
});

t.test("a Deployment's progress, in kubectl's words", async (t) => {
  const cases: [Deployment['status'], string, boolean][] = [
    [{ observedGeneration: 1 }, 'Waiting for deployment spec update to be observed...', false],
    [
      { observedGeneration: 2, updatedReplicas: 1 },
      'Waiting for deployment "web" rollout to finish: 1 out of 3 new replicas have been updated...',
      false,
    ],
    [
      { observedGeneration: 2, updatedReplicas: 3, replicas: 5 },
      'Waiting for deployment "web" rollout to finish: 2 old replicas are pending termination...',
      false,
    ],
    [
      { observedGeneration: 2, updatedReplicas: 3, replicas: 3, availableReplicas: 1 },
      'Waiting for deployment "web" rollout to finish: 1 of 3 updated replicas are available...',
      false,
    ],
    [
      { observedGeneration: 2, updatedReplicas: 3, replicas: 3, availableReplicas: 3 },
      'deployment "web" successfully rolled out',
      true,
    ],
  ];
  for (const [status, message, done] of cases)
    t.same(rolloutProgress(deployment(status)), { message, done, failed: false });
  const conditions = [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }];
  t.match(rolloutProgress(deployment({ observedGeneration: 2, conditions })), {
    message: 'deployment "web" exceeded its progress deadline',
    failed: true,
  });
});

t.test('a DaemonSet, a StatefulSet, and what does not roll out', async (t) => {
  const metadata = { name: 'web', generation: 1 };
  const status = { observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1 };
  t.match(rolloutProgress({ kind: 'DaemonSet', metadata, status } as unknown as DaemonSet), {
    message: 'Waiting for daemon set "web" rollout to finish: 1 of 2 updated pods are available...',
  });
  const set = (own: object) =>
    rolloutProgress({
      kind: 'StatefulSet',
      metadata,
      spec: { replicas: 2 },
      status: { observedGeneration: 1, readyReplicas: 2, currentReplicas: 2, currentRevision: 'web-1', ...own },
    } as unknown as StatefulSet);
  t.match(set({ readyReplicas: 1 }), { message: 'Waiting for 1 pods to be ready...', done: false });
  t.match(set({ updateRevision: 'web-2', updatedReplicas: 1 }), { done: false });
  t.match(set({ updateRevision: 'web-1' }), {
    message: 'statefulset rolling update complete 2 pods at revision web-1...',
    done: true,
  });
  t.throws(() => rolloutProgress({ kind: 'Pod', metadata } as unknown as DaemonSet), /a Pod does not roll out/);
});

const replicaSet = (revision: number, image: string, owner = 'u1'): ReplicaSet => {
  const made = template(image);
  return {
    metadata: {
      name: `web-${revision}`,
      annotations: { 'deployment.kubernetes.io/revision': String(revision) },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: owner }],
    },
    spec: {
      selector: {},
      template: { ...made, metadata: { labels: { ...made.metadata.labels, 'pod-template-hash': `h${revision}` } } },
    },
  };
};

t.test('history and undo', async (t) => {
  const sets = [replicaSet(10, 'web:2'), replicaSet(9, 'web:1'), replicaSet(11, 'other:1', 'u2')];
  const revisions = revisionsOf(deployment(undefined), sets);
  t.same(
    revisions.map(({ number, changeCause }) => [number, changeCause]),
    [
      [9, '<none>'],
      [10, '<none>'],
    ],
  );
  t.same(undoTarget('web', revisions, undefined).template, template('web:1'), 'without the hash of its pods');
  t.equal(undoTarget('web', revisions, 10).number, 10);
  t.ok(isCurrent(deployment(undefined), undoTarget('web', revisions, 10)));
  t.notOk(isCurrent(deployment(undefined), undoTarget('web', revisions, 9)));
  t.throws(() => undoTarget('web', revisions, 4), /unable to find specified revision 4 in history/);
  t.throws(() => undoTarget('web', revisions.slice(1), undefined), /no rollout history found for deployment "web"/);
});
