import fc from 'fast-check';
import t from 'tap';
import { ManualClock } from './clock.ts';
import { createWorkQueue } from './work-queue.ts';

/** Lets everything that is ready to run do so. */
const turn = async () => {
  for (let i = 0; i < 3; i++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
};

t.test('many additions before a key is handled count as one', async (t) => {
  const queue = createWorkQueue('test');
  queue.add('a');
  queue.add('b');
  queue.add('a');
  t.equal(queue.length, 2);
  const handled: string[] = [];
  queue.run(async (key) => void handled.push(key), 1);
  await turn();
  t.same(handled, ['a', 'b']);
  t.throws(() => queue.run(async () => {}, 1), /already runs/);
  await queue.shutDown();
  queue.add('c');
  t.equal(queue.length, 0);
});

t.test('a key added while it is handled is handled once more, never twice at a time', async (t) => {
  const queue = createWorkQueue('test');
  const releases: (() => void)[] = [];
  let active = 0;
  let most = 0;
  queue.run(async () => {
    most = Math.max(most, ++active);
    await new Promise<void>((resolve) => releases.push(resolve));
    active--;
  }, 4);
  queue.add('a');
  await turn();
  queue.add('a');
  queue.add('a');
  await turn();
  t.equal(releases.length, 1);
  releases[0]!();
  await turn();
  t.equal(releases.length, 2);
  releases[1]!();
  await turn();
  t.equal(releases.length, 2);
  t.equal(most, 1);
  await queue.shutDown();
});

t.test('failures come back with growing delays until success', async (t) => {
  const clock = new ManualClock();
  const queue = createWorkQueue('test', { clock });
  let runs = 0;
  queue.run(async () => {
    if (++runs < 4) {
      throw new Error('not yet');
    }
  }, 1);
  queue.add('a');
  await turn();
  for (const delay of [5, 10, 20]) {
    const before = runs;
    clock.advance(delay - 1);
    await turn();
    t.equal(runs, before, `waits ${delay} ms`);
    clock.advance(1);
    await turn();
    t.equal(runs, before + 1);
  }
  t.equal(queue.failures('a'), 0);
  t.equal(clock.pending, 0);
  await queue.shutDown();
});

t.test('a reconcile that asks for a retry itself keeps its failures', async (t) => {
  const clock = new ManualClock();
  const queue = createWorkQueue('test', { clock });
  queue.run(async (key) => queue.addRateLimited(key), 1);
  queue.add('a');
  await turn();
  clock.advance(5);
  await turn();
  t.equal(queue.failures('a'), 2);
  queue.forget('a');
  t.equal(queue.failures('a'), 0);
  await queue.shutDown();
  t.equal(clock.pending, 0);
});

t.test('the earliest delay of a key wins', async (t) => {
  const clock = new ManualClock();
  const queue = createWorkQueue('test', { clock });
  queue.addAfter('a', 100);
  queue.addAfter('a', 50);
  queue.addAfter('a', 70);
  queue.addAfter('b', 0);
  t.equal(queue.length, 1);
  clock.advance(50);
  t.equal(queue.length, 2);
  t.equal(clock.pending, 0);
  await queue.shutDown();
});

t.test('shutting down waits for what runs', async (t) => {
  const queue = createWorkQueue('test');
  let release: () => void = () => {};
  queue.run(() => new Promise<void>((resolve) => (release = resolve)), 1);
  queue.add('a');
  queue.add('b');
  await turn();
  let done = false;
  const closing = queue.shutDown().then(() => {
    done = true;
  });
  await turn();
  t.equal(done, false);
  release();
  await closing;
  t.equal(queue.length, 0);
});

t.test('every key added is handled after its last addition', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(5), { maxLength: 50 }), fc.integer({ min: 1, max: 3 }), async (keys, workers) => {
      const queue = createWorkQueue('test');
      const version = new Map<string, number>();
      const seen = new Map<string, number>();
      queue.run(async (key) => {
        const at = version.get(key)!;
        await undefined;
        seen.set(key, at);
      }, workers);
      for (const [i, key] of keys.entries()) {
        version.set(String(key), i);
        queue.add(String(key));
        if (i % 3 === 0) {
          await undefined;
        }
      }
      while (queue.length > 0) {
        await turn();
      }
      await turn();
      await queue.shutDown();
      return [...version].every(([key, at]) => seen.get(key) === at);
    }),
    { numRuns: 50 },
  );
});
