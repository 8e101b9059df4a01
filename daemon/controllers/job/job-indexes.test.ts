import fc from 'fast-check';
import t from 'tap';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { remainingBackoffMs } from './job-backoff.ts';
import { firstPendingIndexes, formatIndexes, parseIndexes } from './job-indexes.ts';
import { matchFailurePolicy } from './pod-failure-policy.ts';
import { matchSuccessPolicy } from './success-policy.ts';

t.test('property: indexes survive being written and read', async (t) => {
  t.equal(formatIndexes([5, 1, 2, 4, 7, 9, 8]), '1,2,4,5,7-9');
  t.same([...parseIndexes('1,3-5,junk,9-', 5)], [1, 3, 4]);
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(200)), (indexes) => {
      const read = parseIndexes(formatIndexes(indexes), 201);
      return read.size === indexes.length && indexes.every((index) => read.has(index));
    }),
  );
  t.same(firstPendingIndexes(6, 3, [new Set([0, 2]), new Set([3])]), [1, 4, 5]);
});

t.test('failures back off from the last success on, and no further than ten minutes', async (t) => {
  const now = new Date('2026-01-01T01:00:00Z');
  const ended = (secondsAgo: number): Pod => ({
    metadata: { name: `p${secondsAgo}` },
    spec: { containers: [] },
    status: {
      containerStatuses: [
        {
          name: 'c',
          image: '',
          imageID: '',
          ready: false,
          restartCount: 0,
          state: { terminated: { exitCode: 1, finishedAt: new Date(now.getTime() - secondsAgo * 1000).toISOString() } },
        },
      ],
    },
  });
  t.equal(remainingBackoffMs([], [], now), 0);
  t.equal(remainingBackoffMs([ended(4)], [], now), 6_000);
  t.equal(remainingBackoffMs([ended(60), ended(50), ended(4)], [], now), 36_000);
  t.equal(remainingBackoffMs([ended(60), ended(50), ended(4)], [ended(30)], now), 6_000);
  t.equal(
    remainingBackoffMs(
      Array.from({ length: 20 }, () => ended(0)),
      [],
      now,
    ),
    600_000,
  );
});

t.test('the first matching rule decides; conditions match as codes do', async (t) => {
  const pod: Pod = {
    metadata: { namespace: 'ns', name: 'p' },
    spec: { containers: [] },
    status: { phase: 'Failed', conditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  };
  const onPodConditions = [{ type: 'DisruptionTarget', status: 'True' }];
  t.match(
    matchFailurePolicy(
      {
        rules: [
          { action: 'Ignore', onPodConditions },
          { action: 'FailJob', onPodConditions },
        ],
      },
      pod,
    ),
    { action: 'Ignore', counts: false },
  );
  t.match(
    matchFailurePolicy(
      {
        rules: [
          { action: 'Whatever', onPodConditions },
          { action: 'FailJob', onPodConditions },
        ],
      },
      pod,
    ),
    {
      action: 'FailJob',
      message: 'Pod ns/p has condition DisruptionTarget matching FailJob rule at index 1',
    },
  );
  t.match(matchFailurePolicy({ rules: [] }, pod), { action: undefined, counts: true });
});

t.test('success policies by index and by count', async (t) => {
  const done = new Set([0, 2, 3]);
  t.equal(matchSuccessPolicy({ rules: [{ succeededIndexes: '0,2' }] }, 5, done), 'Matched rules at index 0');
  t.equal(
    matchSuccessPolicy({ rules: [{ succeededIndexes: '0-1' }, { succeededCount: 3 }] }, 5, done),
    'Matched rules at index 1',
  );
  t.equal(matchSuccessPolicy({ rules: [{ succeededIndexes: '1,2,4', succeededCount: 2 }] }, 5, done), undefined);
});
