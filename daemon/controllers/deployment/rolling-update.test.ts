import fc from 'fast-check';
import t from 'tap';
import type { Deployment, ReplicaSet } from '../../apimachinery/types/apps-v1.ts';
import { podTemplate } from '../testing/test-cluster.ts';
import { scaleSets } from './proportional-scaling.ts';
import {
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  newSetAnnotations,
  revisionAnnotation,
  revisionHistoryAnnotation,
} from './revision.ts';
import { resizeNew, resizeOld } from './rolling-update.ts';
import { maxSurge, maxUnavailable, replicasOf } from './rollout-limits.ts';

function deployment(replicas: number, surge: number | string, unavailable: number | string): Deployment {
  return {
    metadata: { name: 'd' },
    spec: {
      replicas,
      selector: {},
      template: podTemplate({}),
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: surge, maxUnavailable: unavailable } },
    },
  };
}

function set(
  name: string,
  replicas: number,
  available: number,
  annotated?: { desired: number; max: number },
): ReplicaSet {
  return {
    metadata: {
      name,
      uid: name,
      creationTimestamp: `2026-01-01T00:00:0${name.length}Z`,
      annotations:
        annotated === undefined
          ? {}
          : { [desiredReplicasAnnotation]: String(annotated.desired), [maxReplicasAnnotation]: String(annotated.max) },
    },
    spec: { replicas, selector: {} },
    status: { replicas, availableReplicas: available },
  };
}

t.test('surge rounds up, unavailable down, and never are both zero', async (t) => {
  t.equal(maxSurge(deployment(10, '25%', '25%')), 3);
  t.equal(maxUnavailable(deployment(10, '25%', '25%')), 2);
  t.equal(maxUnavailable(deployment(3, 0, '25%')), 1);
  t.equal(maxUnavailable(deployment(2, 1, 5)), 2, 'no more than there are');
  t.equal(maxUnavailable(deployment(0, 1, 5)), 0);
});

const share = fc.oneof(
  fc.nat(6),
  fc.nat(100).map((percent) => `${percent}%`),
);

t.test('property: no step of a rolling update leaves the bounds, and the steps lead to the end', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      share,
      share,
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      (replicas, surge, unavailable, chance) => {
        const d = deployment(replicas, surge, unavailable);
        let old = set('old', replicas, replicas);
        let fresh = set('fresh', 0, 0);
        const resize = (target: ReplicaSet, size: number): ReplicaSet =>
          set(target.metadata.name!, size, Math.min(target.status?.availableReplicas ?? 0, size));
        for (let step = 0; step < 500; step++) {
          const grown = resizeNew(d, [old, fresh], fresh);
          if (grown !== undefined) fresh = resize(fresh, grown.replicas);
          else for (const shrunk of resizeOld(d, [old], fresh)) old = resize(old, shrunk.replicas);
          if (replicasOf(old) + replicasOf(fresh) > replicas + maxSurge(d)) return false;
          const available = (old.status?.availableReplicas ?? 0) + (fresh.status?.availableReplicas ?? 0);
          if (available < replicas - maxUnavailable(d)) return false;
          if (replicasOf(old) === 0 && fresh.status?.availableReplicas === replicas) return true;
          // Some of the new pods become available.
          const waiting = replicasOf(fresh) - (fresh.status?.availableReplicas ?? 0);
          const ready = Math.ceil(waiting * chance.next().value);
          fresh = set('fresh', replicasOf(fresh), (fresh.status?.availableReplicas ?? 0) + ready);
        }
        return false;
      },
    ),
  );
});

t.test('old pods that are not available go first, whatever the bounds', async (t) => {
  const d = deployment(10, 0, 1);
  const resizes = resizeOld(d, [set('a', 4, 4), set('bb', 6, 2)], set('new', 0, 0));
  t.same(
    resizes.map(({ set: { metadata }, replicas }) => [metadata.name, replicas]),
    [['bb', 5]],
  );
});

t.test('property: scaling in mid-rollout adds up, and no set shrinks while others grow', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 4 }),
      fc.integer({ min: 0, max: 60 }),
      fc.nat(5),
      (sizes, desired, surge) => {
        const total = sizes.reduce((sum, size) => sum + size, 0);
        const sets = sizes.map((size, i) => set('s'.repeat(i + 1), size, size - 1, { desired: total, max: total }));
        const result = scaleSets(deployment(desired, surge, 1), sets[0], sets.slice(1));
        const after = result.reduce((sum, { replicas }) => sum + replicas, 0);
        const allowed = desired === 0 ? 0 : desired + maxSurge(deployment(desired, surge, 1));
        if (after !== allowed || result.some(({ replicas }) => replicas < 0)) return false;
        const moves = result.map(({ set: each, replicas }) => Math.sign(replicas - replicasOf(each)));
        return !(moves.includes(1) && moves.includes(-1));
      },
    ),
  );
});

t.test('revisions leave a trail of bounded length', async (t) => {
  const d: Deployment = {
    ...deployment(1, 1, 0),
    metadata: {
      name: 'd',
      annotations: { mine: 'yes', [revisionAnnotation]: '9', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    },
  };
  const fresh = newSetAnnotations(d, {}, 3);
  t.same(fresh, { mine: 'yes', [revisionAnnotation]: '3' });
  const back = newSetAnnotations(d, { ...fresh, [revisionHistoryAnnotation]: '1' }, 5);
  t.match(back, { [revisionAnnotation]: '5', [revisionHistoryAnnotation]: '1,3' });
  t.equal(newSetAnnotations(d, back, 4)[revisionAnnotation], '5', 'never back');
  let annotations: Readonly<Record<string, string>> = fresh;
  for (let revision = 4; revision < 2000; revision++) annotations = newSetAnnotations(d, annotations, revision);
  t.ok((annotations[revisionHistoryAnnotation] ?? '').length <= 2000);
  t.match(annotations[revisionHistoryAnnotation], /,1998$/);
});
