import t from 'tap';
import type { Taint } from '../../apimachinery/types/core-v1.ts';
import { evictionTime } from '../node/eviction-time.ts';
import { evictionRate, zoneState } from '../node/zone-disruption.ts';
import { Expectations, expectationsTimeoutMs } from './expectations.ts';
import { equalIgnoringHash, templateHash } from './pod-template.ts';
import { slowStart } from './slow-start.ts';
import { sameStatus } from './status-equal.ts';

t.test('expectations hold until all is seen, or for five minutes', async (t) => {
  let now = 0;
  const expectations = new Expectations(() => new Date(now));
  t.ok(expectations.satisfied('k'));
  expectations.expectCreations('k', 2);
  expectations.creationObserved('k');
  t.notOk(expectations.satisfied('k'));
  expectations.creationObserved('k');
  expectations.creationObserved('k');
  t.ok(expectations.satisfied('k'));
  expectations.expectDeletions('k', ['a', 'b']);
  expectations.deletionObserved('k', 'a');
  expectations.deletionObserved('k', 'a');
  t.notOk(expectations.satisfied('k'), 'one deletion seen twice is one');
  now = expectationsTimeoutMs + 1;
  t.ok(expectations.satisfied('k'));
});

t.test('batches double until one fails', async (t) => {
  const batches: number[] = [];
  let open = 0;
  const outcome = await slowStart(10, async (i) => {
    open++;
    if (open === 1) {
      queueMicrotask(() => {
        batches.push(open);
        open = 0;
      });
    }
    if (i === 5) throw new Error('no more');
  });
  t.match(outcome, { successes: 6, error: { message: 'no more' } });
  t.same(batches, [1, 2, 4]);
  t.match(await slowStart(0, async () => {}), { successes: 0, error: undefined });
});

t.test('templates are the same but for the hash label, hashes differ by collision', async (t) => {
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const hashed = { ...template, metadata: { labels: { a: 'b', 'pod-template-hash': 'x' } } };
  t.ok(equalIgnoringHash(template, hashed));
  t.notOk(equalIgnoringHash(template, { ...template, metadata: { labels: { a: 'c' } } }));
  t.equal(templateHash(template), templateHash({ spec: template.spec, metadata: template.metadata }));
  t.not(templateHash(template), templateHash(template, 1));
});

t.test('statuses are the same whether zeros are written or not', async (t) => {
  t.ok(sameStatus({ replicas: 0, conditions: [], message: '' }, undefined));
  t.ok(sameStatus({ replicas: 2 }, { replicas: 2, readyReplicas: 0 }));
  t.notOk(sameStatus({ replicas: 2 }, { replicas: 1 }));
});

t.test('a pod leaves when the shortest toleration of a taint runs out, or at once', async (t) => {
  const now = new Date('2026-01-01T00:10:00Z');
  const taint: Taint = { key: 'k', effect: 'NoExecute', timeAdded: '2026-01-01T00:09:00Z' };
  const pod = (tolerations: object[]) => ({
    metadata: {},
    spec: { containers: [], tolerations: tolerations as never },
  });
  t.equal(evictionTime(pod([]), [taint], now), 0);
  t.equal(evictionTime(pod([]), [{ ...taint, effect: 'NoSchedule' }], now), undefined);
  t.equal(evictionTime(pod([{ key: 'k', operator: 'Exists' }]), [taint], now), undefined);
  const both = [
    { key: 'k', operator: 'Exists', tolerationSeconds: 90 },
    { operator: 'Exists', tolerationSeconds: 300 },
  ];
  t.equal(evictionTime(pod(both), [taint], now), Date.parse('2026-01-01T00:10:30Z'));
});

t.test('zones are disrupted by most of their nodes, at least three', async (t) => {
  t.equal(zoneState(['Unknown', 'True']), 'Normal');
  t.equal(zoneState(['Unknown', 'Unknown', 'False', 'True', 'True']), 'PartialDisruption');
  t.equal(zoneState(['Unknown', 'Unknown']), 'FullDisruption');
  t.equal(evictionRate('PartialDisruption', 10, false), 0);
  t.equal(evictionRate('PartialDisruption', 60, false), 0.01);
  t.equal(evictionRate('FullDisruption', 5, false), 0.1);
  t.equal(evictionRate('FullDisruption', 5, true), 0);
});
