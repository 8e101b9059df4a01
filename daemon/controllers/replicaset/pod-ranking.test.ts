import fc from 'fast-check';
import t from 'tap';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { deletionCost, podDeletionCostAnnotation, podsToDelete } from './pod-ranking.ts';

const now = new Date('2026-01-01T12:00:00Z');
const ago = (seconds: number): string => new Date(now.getTime() - seconds * 1000).toISOString();

interface Traits {
  node?: string;
  phase?: string;
  ready?: number;
  cost?: string;
  restarts?: number;
  created?: number;
}

function pod(
  name: string,
  { node = 'n', phase = 'Running', ready, cost, restarts = 0, created = 1000 }: Traits = {},
): Pod {
  const since = ready === undefined ? {} : { lastTransitionTime: ago(ready) };
  return {
    metadata: {
      name,
      uid: name,
      creationTimestamp: ago(created),
      ...(cost === undefined ? {} : { annotations: { [podDeletionCostAnnotation]: cost } }),
    },
    spec: { containers: [], ...(node === '' ? {} : { nodeName: node }) },
    status: {
      phase,
      conditions: [{ type: 'Ready', status: ready === undefined ? 'False' : 'True', ...since }],
      containerStatuses: [{ name: 'c', image: '', imageID: '', ready: true, restartCount: restarts }],
    },
  };
}

const first = (pods: readonly Pod[], related: readonly Pod[] = pods): string | undefined =>
  podsToDelete(pods, related, 1, now)[0]?.metadata.name;

t.test('each criterion decides where those before it do not', async (t) => {
  t.equal(first([pod('a', { ready: 5 }), pod('unscheduled', { node: '' })]), 'unscheduled');
  t.equal(first([pod('a', { ready: 5 }), pod('pending', { phase: 'Pending' })]), 'pending');
  t.equal(first([pod('a', { ready: 5 }), pod('unready')]), 'unready');
  t.equal(first([pod('a', { ready: 5, cost: '5' }), pod('cheap', { ready: 500, cost: '-1' })]), 'cheap');
  t.equal(
    first([pod('a', { ready: 5, node: 'm' }), pod('b', { ready: 500 }), pod('c', { ready: 3000 })]),
    'b',
    'doubled up',
  );
  t.equal(first([pod('a', { ready: 900, node: 'm' }), pod('short', { ready: 5 })]), 'short');
  t.equal(first([pod('a', { ready: 60, node: 'm' }), pod('restarted', { ready: 60, restarts: 3 })]), 'restarted');
  t.equal(first([pod('a', { ready: 60, node: 'm', created: 900 }), pod('young', { ready: 60, created: 70 })]), 'young');
});

t.test('pods of the sibling sets count for who shares a node', async (t) => {
  const own = [pod('a', { ready: 60, node: 'm' }), pod('b', { ready: 60, node: 'n' })];
  t.equal(first(own, [...own, pod('other', { ready: 60, node: 'n' })]), 'b');
  t.equal(first(own, [...own, pod('other', { ready: 60, node: 'm' })]), 'a');
});

t.test('a cost that is no 32-bit integer counts as none', async (t) => {
  for (const bad of ['+1', '01', '1.5', 'x', '2147483648', '']) t.equal(deletionCost(pod('p', { cost: bad })), 0, bad);
  t.equal(deletionCost(pod('p', { cost: '-2147483648' })), -2147483648);
});

t.test(
  'property: the choice is a subset, of the asked size, and the same in whatever order the pods come',
  async () => {
    const traits = fc.record(
      {
        node: fc.constantFrom('', 'm', 'n'),
        phase: fc.constantFrom('Pending', 'Running', 'Unknown'),
        ready: fc.option(fc.integer({ min: 1, max: 100_000 }), { nil: undefined }),
        cost: fc.option(fc.integer({ min: -3, max: 3 }).map(String), { nil: undefined }),
        restarts: fc.nat(3),
        created: fc.integer({ min: 1, max: 100_000 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.array(traits, { maxLength: 20 }),
        fc.nat(20),
        fc.infiniteStream(fc.nat()),
        (all, count, shuffle) => {
          const pods = all.map((each, i) =>
            pod(`p${i}`, Object.fromEntries(Object.entries(each).filter(([, v]) => v !== undefined))),
          );
          const chosen = podsToDelete(pods, pods, count, now);
          const shuffled = pods
            .map((each) => ({ each, key: shuffle.next().value }))
            .sort((a, b) => a.key - b.key)
            .map(({ each }) => each);
          const again = podsToDelete(shuffled, shuffled, count, now);
          const names = (list: readonly Pod[]): string =>
            list
              .map(({ metadata }) => metadata.name)
              .sort()
              .join();
          return chosen.length === Math.min(count, pods.length) && names(chosen) === names(again);
        },
      ),
    );
  },
);
