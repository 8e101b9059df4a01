import fc from 'fast-check';
import t from 'tap';
import type { Node, Pod } from '../apimachinery/types/core-v1.ts';
import { ManualClock } from '../client/clock.ts';
import { Heap } from './heap.ts';
import type { SchedulerPlugin } from './plugin.ts';
import { SchedulingQueue } from './scheduling-queue.ts';

const pod = (name: string, priority = 0, spec: Partial<Pod['spec']> = {}): Pod => ({
  metadata: { name, namespace: 'x', uid: name },
  spec: { containers: [], priority, ...spec },
});
const node: Node = { metadata: { name: 'n' }, spec: {} };

const plugins: SchedulerPlugin[] = [
  { name: 'Gate', weight: 0, interests: [], admits: ({ spec }) => (spec.schedulingGates ?? []).length === 0 },
  { name: 'OnNodes', weight: 0, interests: [{ on: ['NodeAdd'] }] },
  {
    name: 'OnBigPods',
    weight: 0,
    interests: [
      { on: ['AssignedPodDelete'], hint: (_pod, event) => 'pod' in event && event.pod.metadata.name === 'big' },
    ],
  },
];

function setUp() {
  const clock = new ManualClock();
  let wakes = 0;
  const queue = new SchedulingQueue(plugins, clock, () => wakes++);
  const popped = () => queue.pop()?.info.uid;
  return { clock, queue, popped, wakes: () => wakes };
}

t.test('by priority, then in order of arrival', async (t) => {
  const { queue, popped } = setUp();
  for (const [name, priority] of [
    ['a', 0],
    ['b', 5],
    ['c', 0],
    ['d', 5],
  ] as const) {
    queue.add(pod(name, priority));
  }
  queue.add(pod('a', 9));
  t.same([popped(), popped(), popped(), popped(), popped()], ['b', 'd', 'a', 'c', undefined]);
});

t.test('a rejected pod waits for an event that its plugins care about', async (t) => {
  const { clock, queue, popped } = setUp();
  queue.add(pod('a'));
  popped();
  queue.unschedulable('a', new Set(['OnBigPods']));
  clock.advance(60_000);
  t.equal(popped(), undefined);
  queue.handle({ kind: 'NodeAdd', node });
  queue.handle({ kind: 'AssignedPodDelete', pod: pod('small') });
  t.equal(popped(), undefined);
  queue.handle({ kind: 'AssignedPodDelete', pod: pod('big') });
  t.equal(popped(), 'a');
  queue.unschedulable('a', new Set());
  queue.handle({ kind: 'VolumeChange' });
  t.equal(popped(), 'a', 'with no plugin to ask, any event will do');
});

t.test('back-off doubles, but what is ready is not held up when there is nothing else to do', async (t) => {
  const { clock, queue, popped } = setUp();
  queue.add(pod('a'));
  for (const wait of [1000, 2000, 4000, 8000, 10_000, 10_000]) {
    t.equal(popped(), 'a');
    queue.failed('a');
    clock.advance(wait - 1);
    t.equal(popped(), undefined, `failed: waits ${wait} ms`);
    clock.advance(1);
  }
  t.equal(popped(), 'a');
  queue.unschedulable('a', new Set(['OnNodes']));
  queue.handle({ kind: 'NodeAdd', node });
  t.equal(queue.sizeOf('backoff'), 1);
  queue.add(pod('b', -1));
  t.same([popped(), popped()], ['b', 'a']);
});

t.test('nobody is forgotten: after five minutes all are tried again', async (t) => {
  const { clock, queue, popped } = setUp();
  queue.add(pod('a'));
  popped();
  queue.unschedulable('a', new Set(['Gate']));
  clock.advance(299_000);
  t.equal(popped(), undefined);
  clock.advance(31_000);
  t.equal(popped(), 'a');
  queue.done('a');
  clock.advance(60_000);
  t.equal(clock.pending, 0);
});

t.test('gates, updates and deletions', async (t) => {
  const { clock, queue, popped } = setUp();
  const gated = pod('a', 0, { schedulingGates: [{ name: 'g' }] });
  queue.add(gated);
  t.equal(popped(), undefined);
  t.equal(queue.sizeOf('gated'), 1);
  queue.update(pod('a'), gated);
  t.equal(popped(), 'a');
  queue.unschedulable('a', new Set(['OnNodes']));
  queue.update({ ...pod('a'), status: { phase: 'Pending' } }, pod('a'));
  t.equal(popped(), undefined, 'status is no reason to try again');
  queue.update(pod('a', 0, { tolerations: [{ operator: 'Exists' }] }), pod('a'));
  t.equal(popped(), 'a');
  queue.delete('a');
  queue.unschedulable('a', new Set());
  queue.failed('a');
  t.equal(queue.has('a'), false);
  queue.add(pod('b'));
  queue.delete('b');
  t.equal(popped(), undefined);
  queue.close();
  queue.add(pod('c'));
  t.equal(popped(), undefined);
  t.equal(clock.pending, 0);
});

t.test('heap', async () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (numbers) => {
      const heap = new Heap<number>((a, b) => a < b);
      for (const number of numbers) {
        heap.push(number);
      }
      const sorted: number[] = [];
      for (let next = heap.pop(); next !== undefined; next = heap.pop()) {
        sorted.push(next);
      }
      return JSON.stringify(sorted) === JSON.stringify([...numbers].sort((a, b) => a - b));
    }),
  );
});

t.test('whatever happens, each pod is in one place, and none is given out twice', async () => {
  const step = fc.record({
    do: fc.constantFrom('add', 'pop', 'fail', 'reject', 'node', 'delete', 'wait', 'done'),
    name: fc.constantFrom('a', 'b', 'c'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { clock, queue } = setUp();
      const inFlight = new Set<string>();
      const known = new Set<string>();
      for (const { do: action, name } of steps) {
        if (action === 'add') {
          queue.add(pod(name));
          known.add(name);
        } else if (action === 'pop') {
          const uid = queue.pop()?.info.uid;
          if (uid !== undefined && (inFlight.has(uid) || !known.has(uid))) {
            return false;
          }
          if (uid !== undefined) {
            inFlight.add(uid);
          }
        } else if (action === 'fail' || action === 'reject') {
          if (inFlight.delete(name)) {
            action === 'fail' ? queue.failed(name) : queue.unschedulable(name, new Set(['OnNodes']));
          }
        } else if (action === 'node') {
          queue.handle({ kind: 'NodeAdd', node });
        } else if (action === 'wait') {
          clock.advance(5_000);
        } else {
          queue.delete(name);
          inFlight.delete(name);
          known.delete(name);
        }
        const places = ['active', 'backoff', 'unschedulable', 'gated', 'inflight'] as const;
        const total = places.reduce((sum, place) => sum + queue.sizeOf(place), 0);
        if (total !== known.size || queue.sizeOf('inflight') !== inFlight.size) {
          return false;
        }
      }
      // In the end everyone gets a turn.
      for (const uid of [...inFlight]) {
        queue.failed(uid);
      }
      clock.advance(400_000);
      const given = new Set<string>();
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        given.add(next.info.uid);
      }
      return given.size === known.size;
    }),
    { numRuns: 300 },
  );
});
