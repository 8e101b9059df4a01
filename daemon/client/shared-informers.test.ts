import fc from 'fast-check';
import t from 'tap';
import { apiError } from '../apimachinery/api-error.ts';
import { keyOf } from '../apimachinery/object-key.ts';
import type { ConfigMap } from '../apimachinery/types/core-v1.ts';
import { configmaps, pods } from '../apimachinery/types/resources.ts';
import { createLogger } from '../log/logger.ts';
import { ManualClock } from './clock.ts';
import { FakeClient } from './fake-client.ts';
import { createSharedInformers } from './shared-informers.ts';

const logger = createLogger('test', 'silent');
const map = (name: string, data: Record<string, string> = {}, namespace = 'x'): ConfigMap => ({
  metadata: { name, namespace },
  data,
});

function recorded() {
  const log: string[] = [];
  return {
    log,
    handler: {
      onAdd: (object: ConfigMap) => void log.push(`add ${keyOf(object)}`),
      onUpdate: (object: ConfigMap, old: ConfigMap) =>
        void log.push(`update ${keyOf(object)} ${JSON.stringify(old.data)}->${JSON.stringify(object.data)}`),
      onDelete: (object: ConfigMap) => void log.push(`delete ${keyOf(object)}`),
    },
  };
}

t.test('cache, handlers and indexes follow the API', async (t) => {
  const client = new FakeClient();
  client.seed(configmaps, map('a', { k: '1' }), map('b'), map('c', {}, 'y'));
  const informers = createSharedInformers(client, logger);
  const informer = informers.informer(configmaps);
  t.equal(informers.informer(configmaps), informer, 'shared by all who ask');
  t.not(informers.informer(configmaps, { namespace: 'y' }), informer);
  informer.addIndex('k', (object) => (object.data?.['k'] === undefined ? [] : [object.data['k']]));
  const early = recorded();
  informer.addHandler(early.handler);
  t.equal(informer.hasSynced(), false);
  await informers.start();
  t.equal(informer.hasSynced(), true);
  const late = recorded();
  const unsubscribe = informer.addHandler(late.handler);
  t.same(late.log, ['add x/a', 'add x/b', 'add y/c'], 'existing objects arrive at once');
  t.same(
    informer.lister.list('x').map((object) => object.metadata?.name),
    ['a', 'b'],
  );
  t.equal(informer.lister.list('z').length, 0);
  t.equal(informer.lister.size, 3);
  await client.patch(configmaps, { namespace: 'x', name: 'a' }, { data: { k: '2' } }, { type: 'merge' });
  await client.delete(configmaps, { namespace: 'x', name: 'b' });
  await client.settle();
  const expected = ['add x/a', 'add x/b', 'add y/c', 'update x/a {"k":"1"}->{"k":"2"}', 'delete x/b'];
  t.same(early.log, expected);
  t.same(late.log, expected);
  t.equal(informer.lister.byIndex('k', '1').length, 0);
  t.equal(informer.lister.byIndex('k', '2')[0]?.metadata?.name, 'a');
  t.throws(() => informer.lister.byIndex('no', ''), /no index/);
  unsubscribe();
  await client.create(configmaps, map('d'));
  await client.settle();
  t.equal(early.log.at(-1), 'add x/d');
  t.same(late.log, expected);
  t.equal(informer.lister.get('x/d')?.kind, 'ConfigMap');
  await informers.stop();
  await t.rejects(informers.start(), /once stopped/);
});

t.test('after a compaction it lists again and tells the difference', async (t) => {
  const clock = new ManualClock();
  const client = new FakeClient();
  client.seed(configmaps, map('same'), map('changed', { v: '1' }), map('gone'), map('anew'));
  const informers = createSharedInformers(client, logger, { clock });
  const { log, handler } = recorded();
  informers.informer(configmaps).addHandler(handler);
  await informers.start();
  await client.settle();
  log.length = 0;
  const remove = client.react((action) => {
    if (action.verb === 'watch') {
      throw apiError('Expired', 'too old resource version');
    }
  });
  client.dropWatches();
  await client.delete(configmaps, { namespace: 'x', name: 'gone' });
  await client.delete(configmaps, { namespace: 'x', name: 'anew' });
  await client.create(configmaps, map('anew'));
  await client.create(configmaps, map('new'));
  await client.patch(configmaps, { namespace: 'x', name: 'changed' }, { data: { v: '2' } }, { type: 'merge' });
  remove();
  client.compact();
  while (log.length < 5) {
    await client.settle();
    clock.advance(60_000);
  }
  t.same([...log].sort(), [
    'add x/anew',
    'add x/new',
    'delete x/anew',
    'delete x/gone',
    'update x/changed {"v":"1"}->{"v":"2"}',
  ]);
  await informers.stop();
});

t.test('a watch that breaks goes on from the last version without a list', async (t) => {
  const client = new FakeClient();
  client.recordReads = true;
  const clock = new ManualClock();
  client.seed(configmaps, map('a'));
  const informers = createSharedInformers(client, logger, { clock });
  const { log, handler } = recorded();
  informers.informer(configmaps).addHandler(handler);
  await informers.start();
  await client.create(configmaps, map('b'));
  await client.settle();
  client.dropWatches();
  await client.create(configmaps, map('c'));
  while (log.length < 3) {
    await client.settle();
    clock.advance(60_000);
  }
  t.same(log, ['add x/a', 'add x/b', 'add x/c']);
  t.equal(client.actions.filter((action) => action.verb === 'list').length, 1);
  t.equal(client.actions.filter((action) => action.verb === 'watch').length, 2);
  await informers.stop();
});

t.test('failures are retried with growing, jittered delays', async (t) => {
  const client = new FakeClient();
  const clock = new ManualClock();
  let lists = 0;
  client.react((action) => {
    if (action.verb === 'list' && ++lists < 4) {
      throw apiError('ServiceUnavailable', 'starting');
    }
  });
  const informers = createSharedInformers(client, logger, { clock, random: () => 0.5 });
  informers.informer(pods);
  const started = informers.start();
  for (const delay of [1200, 2400, 4800]) {
    const before = lists;
    await client.settle();
    clock.advance(delay - 1);
    await client.settle();
    t.equal(lists, Math.max(before, 1));
    clock.advance(1);
    await client.settle();
    t.equal(lists, Math.max(before, 1) + 1);
  }
  await started;
  await informers.stop();
  t.equal(clock.pending, 0);
});

t.test('a handler that throws harms no other', async (t) => {
  const client = new FakeClient();
  client.seed(configmaps, map('a'));
  const informers = createSharedInformers(client, logger);
  const { log, handler } = recorded();
  informers.informer(configmaps).addHandler({
    onAdd: () => {
      throw new Error('broken');
    },
  });
  informers.informer(configmaps).addHandler(handler);
  await informers.start();
  t.same(log, ['add x/a']);
  await informers.stop();
});

t.test('whatever happens, the cache comes to what the API holds', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('write' as const), name: fc.constantFrom('a', 'b', 'c'), value: fc.string() }),
    fc.record({ do: fc.constant('delete' as const), name: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ do: fc.constantFrom('drop' as const, 'compact' as const, 'settle' as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const client = new FakeClient();
      const clock = new ManualClock();
      const informers = createSharedInformers(client, logger, { clock });
      const informer = informers.informer(configmaps);
      const mirror = new Map<string, string | undefined>();
      const keep = (object: ConfigMap) => void mirror.set(keyOf(object), object.metadata?.resourceVersion);
      informer.addHandler({ onAdd: keep, onUpdate: keep, onDelete: (object) => void mirror.delete(keyOf(object)) });
      await informers.start();
      for (const action of steps) {
        if (action.do === 'write') {
          client.seed(configmaps, map(action.name, { v: action.value }));
        } else if (action.do === 'delete') {
          await client.delete(configmaps, { namespace: 'x', name: action.name }).catch(() => undefined);
        } else if (action.do === 'drop') {
          client.dropWatches();
        } else if (action.do === 'compact') {
          client.compact();
        } else {
          await client.settle();
        }
      }
      for (let i = 0; i < 4; i++) {
        await client.settle();
        clock.advance(60_000);
      }
      await client.settle();
      const want = (await client.list(configmaps)).items.map((object) => [
        keyOf(object),
        object.metadata?.resourceVersion,
      ]);
      const got = informer.lister.list().map((object) => [keyOf(object), object.metadata?.resourceVersion]);
      await informers.stop();
      return (
        JSON.stringify(got.sort()) === JSON.stringify(want.sort()) &&
        JSON.stringify([...mirror].sort()) === JSON.stringify(want)
      );
    }),
    { numRuns: 60 },
  );
});
