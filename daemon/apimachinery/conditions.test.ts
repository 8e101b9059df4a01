import t from 'tap';
import { isPodActive, isPodAvailable, isPodReady, withCondition } from './conditions.ts';
import { keyOf, splitKey } from './object-key.ts';
import { controllerOf, isControlledBy, makeControllerReference } from './owner-reference.ts';
import type { Pod, PodCondition } from './types/core-v1.ts';
import { pods, replicasets } from './types/resources.ts';

const first = new Date('2026-01-01T00:00:00Z');
const later = new Date('2026-01-01T01:00:00Z');

t.test('a condition changes its transition time only with its status', async (t) => {
  const one = withCondition<PodCondition>(undefined, { type: 'Ready', status: 'False', reason: 'A' }, first);
  t.same(one, [{ type: 'Ready', status: 'False', reason: 'A', lastTransitionTime: '2026-01-01T00:00:00Z' }]);
  t.equal(withCondition(one, { type: 'Ready', status: 'False', reason: 'A' }, later), one);
  const two = withCondition(one, { type: 'Ready', status: 'False', reason: 'B' }, later);
  t.same(two, [{ type: 'Ready', status: 'False', reason: 'B', lastTransitionTime: '2026-01-01T00:00:00Z' }]);
  const three = withCondition(two, { type: 'Ready', status: 'True' }, later);
  t.same(three, [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T01:00:00Z' }]);
});

t.test('pods', async (t) => {
  const pod: Pod = {
    metadata: { name: 'a', namespace: 'x' },
    spec: { containers: [] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }],
    },
  };
  t.ok(isPodReady(pod));
  t.ok(isPodAvailable(pod, 0));
  t.ok(isPodAvailable(pod, 10, first.getTime() + 10_000));
  t.notOk(isPodAvailable(pod, 10, first.getTime() + 9_999));
  t.ok(isPodActive(pod));
  t.notOk(isPodActive({ ...pod, status: { phase: 'Failed' } }));
  t.notOk(isPodActive({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }));
});

t.test('owners and keys', async (t) => {
  const owner = { metadata: { name: 'rs', namespace: 'x', uid: 'u1' } };
  const reference = makeControllerReference(replicasets, owner);
  t.same(reference, {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    name: 'rs',
    uid: 'u1',
    controller: true,
    blockOwnerDeletion: true,
  });
  const owned = { metadata: { name: 'p', ownerReferences: [reference] } };
  t.equal(controllerOf(owned)?.name, 'rs');
  t.ok(isControlledBy(owned, owner));
  t.throws(() => makeControllerReference(pods, { metadata: { name: 'x' } }), /uid/);
  t.equal(keyOf(owner), 'x/rs');
  t.same(splitKey('x/rs'), { namespace: 'x', name: 'rs' });
  t.same(splitKey('rs'), { name: 'rs' });
});
