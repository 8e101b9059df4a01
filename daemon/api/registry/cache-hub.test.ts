import t from 'tap';
import { configmaps, services } from '../../apimachinery/types/resources.ts';
import { createLogger } from '../../log/logger.ts';
import { MemoryStore } from '../../store/memory.ts';
import type { Store, WatchHandler } from '../../store/store.ts';
import { defineRow } from '../resources/define-row.ts';
import { CacheHub, storeKey } from './cache-hub.ts';

const configMapRow = defineRow(configmaps);
const serviceRow = defineRow(services, { storage: 'services/specs' });
const logger = createLogger('test', 'silent');

/** A store whose watches the test can end, as a compaction or a restored snapshot does. */
function breakable(store: Store): { store: Store; breakWatches: () => void } {
  const handlers: WatchHandler[] = [];
  const wrapped = new Proxy(store, {
    get(target, name) {
      if (name === 'watch') {
        return (request: Parameters<Store['watch']>[0], handler: WatchHandler) => {
          handlers.push(handler);
          return target.watch(request, handler);
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return {
    store: wrapped,
    breakWatches: () => {
      for (const handler of handlers.splice(0)) handler.onCancel(undefined);
    },
  };
}

const text = (name: string, data: string) =>
  Buffer.from(
    `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"${name}","namespace":"n"},"data":{"a":"${data}"}}`,
  );

async function started(store: Store): Promise<CacheHub> {
  const hub = new CacheHub(store, [configMapRow, serviceRow], logger);
  await hub.start();
  return hub;
}

t.test('caches hold what the store holds, with the revision spliced in', async (t) => {
  const store = new MemoryStore();
  await store.put({ key: storeKey(configMapRow, 'n/one'), value: text('one', '1') });
  const hub = await started(store);
  t.teardown(() => hub.stop());
  const cache = hub.cacheOf(configMapRow);
  const { revision } = await store.put({ key: storeKey(configMapRow, 'n/two'), value: text('two', '2') });
  t.ok(await hub.waitFor(revision, 1000));
  t.same(
    cache.list('').map(({ key }) => key),
    ['n/one', 'n/two'],
  );
  t.equal(
    cache.get('n/two')!.json.toString(),
    `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"${revision}","name":"two","namespace":"n"},"data":{"a":"2"}}`,
  );
  t.equal(cache.get('n/two')!.object.metadata?.resourceVersion, String(revision));
  const deleted = await store.deleteRange({ key: storeKey(configMapRow, 'n/one') });
  t.ok(await hub.waitFor(deleted.revision, 1000));
  t.equal(cache.get('n/one'), undefined);
  t.match(cache.since(revision), [{ type: 'DELETED', revision: deleted.revision }]);
});

t.test('text written in another order, or damaged, is served all the same', async (t) => {
  const store = new MemoryStore();
  const foreign = Buffer.from('{"metadata":{"name":"odd"},"apiVersion":"v1","kind":"ConfigMap"}');
  await store.put({ key: storeKey(configMapRow, 'n/odd'), value: foreign });
  await store.put({ key: storeKey(configMapRow, 'n/broken'), value: Buffer.from('{"metadata":}') });
  await store.put({ key: storeKey(configMapRow, 'n/numeric'), value: Buffer.from('{"metadata":5}') });
  await store.put({ key: storeKey(configMapRow, 'n/garbage'), value: Buffer.from('k8s\0...') });
  const hub = await started(store);
  t.teardown(() => hub.stop());
  const cache = hub.cacheOf(configMapRow);
  t.match(JSON.parse(cache.get('n/odd')!.json.toString()), { kind: 'ConfigMap', metadata: { resourceVersion: /\d/ } });
  t.match(cache.get('n/broken')!.object, { metadata: { name: 'broken', namespace: 'n' } });
  t.match(JSON.parse(cache.get('n/broken')!.json.toString()), { metadata: { name: 'broken' } });
  t.match(cache.get('n/numeric')!.object, { metadata: { name: 'numeric' } });
  t.equal(cache.get('n/garbage'), undefined);
});

t.test('when the watch of the store ends, caches load anew and watchers are told', async (t) => {
  const memory = new MemoryStore();
  const { store, breakWatches } = breakable(memory);
  const hub = await started(store);
  t.teardown(() => hub.stop());
  const cache = hub.cacheOf(configMapRow);
  let resets = 0;
  cache.onReset(() => resets++);
  breakWatches();
  t.equal(hub.ready, false);
  const { revision } = await memory.put({ key: storeKey(configMapRow, 'n/late'), value: text('late', '1') });
  t.ok(await hub.waitFor(revision, 5000));
  t.ok(cache.get('n/late'));
  t.equal(resets, 1);
  t.equal(cache.since(revision - 1), undefined, 'what happened in between is not known');
  t.same(cache.since(revision), []);
});

t.test('keys of two levels find their cache', async (t) => {
  const store = new MemoryStore();
  const hub = await started(store);
  t.teardown(() => hub.stop());
  const value = Buffer.from('{"kind":"Service","apiVersion":"v1","metadata":{"name":"s","namespace":"n"}}');
  const { revision } = await store.put({ key: Buffer.from('/registry/services/specs/n/s'), value });
  t.ok(await hub.waitFor(revision, 1000));
  t.equal(hub.cacheOf(serviceRow).get('n/s')?.name, 's');
  t.equal(hub.cacheOf(serviceRow).get('n/s')?.namespace, 'n');
});
