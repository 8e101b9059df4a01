import { pino } from 'pino';
import t from 'tap';
import { SyncLoop } from './sync-loop.ts';

const logger = pino({ level: 'silent' });

/** Rounds that end when the test says so. */
function rounds() {
  const waiting: (() => void)[] = [];
  let begun = 0;
  let announce: () => void = () => {};
  return {
    sync: () =>
      new Promise<void>((resolve) => {
        begun++;
        waiting.push(resolve);
        announce();
      }),
    async begin(count: number) {
      while (begun < count) {
        await new Promise<void>((resolve) => {
          announce = resolve;
        });
      }
    },
    end: () => waiting.shift()?.(),
    get begun() {
      return begun;
    },
  };
}

t.test('requests during a round become one more round, never two at once', async (t) => {
  const state = rounds();
  let underWay = 0;
  let most = 0;
  const sync = async () => {
    underWay++;
    most = Math.max(most, underWay);
    await state.sync();
    underWay--;
  };
  const loop = new SyncLoop({ sync, minInterval: 1, maxInterval: 60_000, logger });
  loop.request();
  await state.begin(1);
  for (let count = 0; count < 5; count++) loop.request();
  state.end();
  await state.begin(2);
  loop.request();
  state.end();
  await state.begin(3);
  state.end();
  await loop.stop();
  t.equal(state.begun, 3);
  t.equal(most, 1);
});

t.test('a failed round is tried again without a request', async (t) => {
  let attempts = 0;
  await new Promise<void>((resolve) => {
    const loop = new SyncLoop({
      sync: async () => {
        attempts++;
        if (attempts < 3) throw new Error('not now');
        resolve();
      },
      minInterval: 1,
      maxInterval: 60_000,
      logger,
    });
    loop.request();
    t.teardown(() => loop.stop());
  });
  t.equal(attempts, 3);
});

t.test('without a request a round comes after the longest interval; none after the stop', async (t) => {
  const { sync, begin, end } = rounds();
  const loop = new SyncLoop({ sync, minInterval: 1, maxInterval: 5, logger });
  loop.request();
  await begin(1);
  end();
  await begin(2);
  const stopped = loop.stop();
  end();
  await stopped;
  loop.request();
  t.pass('stop waits for the round under way');
});
