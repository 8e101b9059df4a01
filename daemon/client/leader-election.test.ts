import t from 'tap';
import { apiError } from '../apimachinery/api-error.ts';
import { leases } from '../apimachinery/types/resources.ts';
import { createLogger } from '../log/logger.ts';
import { ManualClock } from './clock.ts';
import { FakeClient } from './fake-client.ts';
import { startLeaderElection } from './leader-election.ts';

const logger = createLogger('test', 'silent');
const key = { namespace: 'kube-system', name: 'manager' };

function setUp() {
  const clock = new ManualClock(Date.parse('2026-01-01T00:00:00Z'));
  const client = new FakeClient({ clock });
  const log: string[] = [];
  const candidate = (identity: string) =>
    startLeaderElection({
      client,
      ...key,
      identity,
      logger,
      clock,
      random: () => 0,
      onStartedLeading: () => log.push(`${identity} leads`),
      onStoppedLeading: () => log.push(`${identity} stops`),
    });
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 500) {
      clock.advance(500);
      await client.settle();
    }
  };
  return { clock, client, log, candidate, pass };
}

t.test('one leads, and the next when it gives up', async (t) => {
  const { client, log, candidate, pass } = setUp();
  const a = candidate('a');
  await client.settle();
  const b = candidate('b');
  await pass(30_000);
  t.same(log, ['a leads']);
  t.ok(a.isLeader);
  t.match(await client.get(leases, key), {
    spec: {
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
      acquireTime: '2026-01-01T00:00:00.000000Z',
    },
  });
  await a.stop();
  await pass(3_000);
  t.same(log, ['a leads', 'a stops', 'b leads']);
  t.match(await client.get(leases, key), { spec: { holderIdentity: 'b', leaseTransitions: 1 } });
  await b.stop();
});

t.test('a leader that cannot renew stops before another may start', async (t) => {
  const { client, log, candidate, pass } = setUp();
  const a = candidate('a');
  await client.settle();
  const b = candidate('b');
  client.react((action) => {
    const { spec } = (action.body ?? {}) as { spec?: { holderIdentity?: string } };
    if (spec?.holderIdentity === 'a') {
      throw apiError('ServiceUnavailable', 'cut off');
    }
  });
  await pass(10_000);
  t.same(log, ['a leads', 'a stops']);
  await pass(10_000);
  t.same(log, ['a leads', 'a stops', 'b leads']);
  await Promise.all([a.stop(), b.stop()]);
});

t.test('a leader whose renewal hangs stops all the same', async (t) => {
  const { client, clock, log, candidate, pass } = setUp();
  const a = candidate('a');
  await client.settle();
  const get = client.get.bind(client);
  let release = (): void => {};
  client.get = (async (...args: Parameters<typeof get>) => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return get(...args);
  }) as typeof client.get;
  await pass(10_000);
  t.same(log, ['a leads', 'a stops']);
  t.equal(a.isLeader, false);
  release();
  await a.stop();
  t.equal(clock.pending, 0);
});

t.test('periods that cannot work are refused', async (t) => {
  const { client } = setUp();
  const nothing = () => {};
  t.throws(
    () =>
      startLeaderElection({
        client,
        ...key,
        identity: 'a',
        logger,
        leaseDurationMs: 10,
        onStartedLeading: nothing,
        onStoppedLeading: nothing,
      }),
    /outlast/,
  );
});
