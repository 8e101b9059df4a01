import t from 'tap';
import { isApiError } from '../apimachinery/api-error.ts';
import type { ConfigMap, Pod } from '../apimachinery/types/core-v1.ts';
import { configmaps, deployments, nodes, pods } from '../apimachinery/types/resources.ts';
import { FakeClient } from './fake-client.ts';

const pod = (name: string, more: Partial<Pod> = {}): Pod => ({
  ...more,
  metadata: { name, namespace: 'x', ...more.metadata },
  spec: { containers: [{ name: 'c' }], ...more.spec },
});

t.test('create, conflict, generated names', async (t) => {
  const client = new FakeClient();
  const made = await client.create(pods, pod('a', { status: { phase: 'Running' } }));
  t.equal(made.status?.phase, 'Pending', 'status is not the creator’s to set');
  t.match(made, { apiVersion: 'v1', kind: 'Pod', metadata: { resourceVersion: '1', generation: 1, uid: String } });
  await t.rejects(client.create(pods, pod('a')), {
    message: 'pods "a" already exists',
    status: { reason: 'AlreadyExists' },
  });
  const generated = await client.create(pods, pod('', { metadata: { generateName: 'web-' } }));
  t.match(generated.metadata.name, /^web-[a-z0-9]{5}$/);
  await t.rejects(client.get(deployments, { namespace: 'x', name: 'no' }), {
    message: 'deployments.apps "no" not found',
    status: { code: 404 },
  });
});

t.test('update checks the version and parts spec from status', async (t) => {
  const client = new FakeClient();
  const old = await client.create(pods, pod('a'));
  const running = await client.update(pods, { ...old, status: { phase: 'Running' } }, { subresource: 'status' });
  t.equal(running.status?.phase, 'Running');
  t.equal(running.metadata.generation, 1);
  await t.rejects(client.update(pods, old), /the object has been modified/);
  const next = await client.update(pods, { ...running, spec: { ...running.spec, nodeName: 'n' }, status: {} });
  t.equal(next.status?.phase, 'Running');
  t.equal(next.metadata.generation, 2);
  const same = await client.update(pods, next);
  t.equal(same.metadata.resourceVersion, next.metadata.resourceVersion, 'a write without change makes no version');
  t.throws(() => {
    next.spec.nodeName = 'other';
  }, TypeError);
});

t.test('patches', async (t) => {
  const client = new FakeClient();
  client.seed(pods, pod('a', { metadata: { labels: { a: '1' } } }));
  const key = { namespace: 'x', name: 'a' };
  const merged = await client.patch(pods, key, { metadata: { labels: { a: null, b: '2' } } }, { type: 'merge' });
  t.same(merged.metadata.labels, { b: '2' });
  const strategic = { spec: { containers: [{ name: 'c', image: 'i' }, { name: 'd' }] } };
  const patched = await client.patch(pods, key, strategic, { type: 'strategic' });
  t.same(patched.spec.containers.map((container) => container.name).sort(), ['c', 'd']);
  const json = [{ op: 'replace', path: '/metadata/labels/b', value: '3' }];
  t.same((await client.patch(pods, key, json, { type: 'json' })).metadata.labels, { b: '3' });
  await t.rejects(client.patch(pods, { namespace: 'x', name: 'no' }, {}, { type: 'merge' }), /not found/);
});

t.test('deletion waits for grace and finalizers', async (t) => {
  const client = new FakeClient();
  client.seed(pods, pod('bound', { spec: { containers: [], nodeName: 'n' } }), pod('free'));
  client.seed(configmaps, { metadata: { name: 'held', namespace: 'x', finalizers: ['example.com/hold'] } });
  t.match(await client.delete(pods, { namespace: 'x', name: 'free' }), { status: 'Success' });
  const bound = { namespace: 'x', name: 'bound' };
  t.match(await client.delete(pods, bound), {
    metadata: { deletionGracePeriodSeconds: 30, deletionTimestamp: String },
  });
  t.match(await client.delete(pods, bound, { gracePeriodSeconds: 0 }), { status: 'Success' });
  const held = (await client.delete(configmaps, { namespace: 'x', name: 'held' })) as ConfigMap;
  t.type(held.metadata?.deletionTimestamp, 'string');
  await client.update(configmaps, { ...held, metadata: { ...held.metadata, finalizers: [] } });
  await t.rejects(client.get(configmaps, { namespace: 'x', name: 'held' }), /not found/);
  client.seed(pods, pod('free'));
  await t.rejects(
    client.delete(pods, { namespace: 'x', name: 'free' }, { preconditions: { uid: 'other' } }),
    /the UID in the precondition \(other\)/,
  );
});

t.test('lists select and page', async (t) => {
  const client = new FakeClient();
  client.seed(
    pods,
    pod('b', { metadata: { labels: { app: 'w' } } }),
    pod('a'),
    pod('c', { spec: { containers: [], nodeName: 'n' } }),
  );
  const names = async (options: object) => (await client.list(pods, options)).items.map((item) => item.metadata.name);
  t.same(await names({}), ['a', 'b', 'c']);
  t.same(await names({ labelSelector: 'app=w' }), ['b']);
  t.same(await names({ fieldSelector: 'spec.nodeName=' }), ['a', 'b']);
  t.same(await names({ namespace: 'y' }), []);
  const first = await client.list(pods, { limit: 2 });
  t.equal(first.metadata.remainingItemCount, 1);
  t.same(await names({ limit: 2, continue: first.metadata.continue }), ['c']);
});

t.test('watch from a version, into and out of a selector, and after compaction', async (t) => {
  const client = new FakeClient();
  client.seed(pods, pod('a', { metadata: { labels: { app: 'w' } } }));
  const abort = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    const options = { resourceVersion: '1', labelSelector: 'app=w', signal: abort.signal };
    for await (const event of client.watch(pods, options)) {
      const { metadata } = event.object as Pod;
      seen.push(`${event.type} ${metadata.name}`);
    }
  })();
  await client.create(pods, pod('b'));
  await client.patch(pods, { namespace: 'x', name: 'b' }, { metadata: { labels: { app: 'w' } } }, { type: 'merge' });
  await client.patch(pods, { namespace: 'x', name: 'a' }, { metadata: { labels: { app: null } } }, { type: 'merge' });
  await client.delete(pods, { namespace: 'x', name: 'b' });
  await client.settle();
  t.same(seen, ['ADDED b', 'DELETED a', 'DELETED b']);
  abort.abort();
  await watching;
  client.compact();
  const events = [];
  for await (const event of client.watch(pods, { resourceVersion: '1' })) {
    events.push(event);
  }
  t.match(events, [{ type: 'ERROR', object: { code: 410, reason: 'Expired' } }]);
});

t.test('binding, eviction and reactors', async (t) => {
  const client = new FakeClient();
  client.seed(nodes, { metadata: { name: 'n' }, spec: {} });
  client.seed(pods, pod('a'));
  const key = { namespace: 'x', name: 'a' };
  const binding = { metadata: { name: 'a' }, target: { kind: 'Node', name: 'n' } };
  await client.createSubresource(pods, key, 'binding', binding);
  t.match(await client.get(pods, key), { spec: { nodeName: 'n' }, status: { conditions: [{ type: 'PodScheduled' }] } });
  await t.rejects(client.createSubresource(pods, key, 'binding', binding), /already assigned to node "n"/);
  const remove = client.react(() => {
    throw new Error('down');
  });
  await t.rejects(client.createSubresource(pods, key, 'eviction', {}), /down/);
  remove();
  await client.createSubresource(pods, key, 'eviction', {});
  t.equal((await client.get(pods, key)).metadata.deletionGracePeriodSeconds, 30);
  t.same(
    client.actions.map((action) => `${action.verb} ${action.resource}/${action.subresource} ${action.key}`),
    ['create pods/binding x/a', 'create pods/binding x/a', 'create pods/eviction x/a', 'create pods/eviction x/a'],
  );
  t.ok(isApiError(await client.get(pods, { name: 'no', namespace: 'x' }).catch((error: unknown) => error), 'NotFound'));
});
