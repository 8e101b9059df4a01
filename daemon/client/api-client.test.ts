import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { startTestingServer } from '../api/testing-server.ts';
import { ApiError } from '../apimachinery/api-error.ts';
import type { ConfigMap, Pod } from '../apimachinery/types/core-v1.ts';
import {
  configmaps,
  namespaces,
  nodes,
  pods,
  selfsubjectaccessreviews,
  serviceaccounts,
} from '../apimachinery/types/resources.ts';
import type { ApiClient } from './api-client.ts';
import { FakeClient } from './fake-client.ts';
import { createHttpsClient } from './https-client.ts';

const namespace = 'contract';

const map = (name: string, more: Partial<ConfigMap> = {}): ConfigMap => ({
  ...more,
  metadata: { name, namespace, ...more.metadata },
});
const pod = (name: string): Pod => ({
  metadata: { name, namespace },
  spec: { containers: [{ name: 'c', image: 'busybox' }], automountServiceAccountToken: false },
});

async function failure(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiError)) {
    throw new Error(`expected an ApiError, got ${String(error)}`);
  }
  return error;
}

/** What every client of the API keeps to, the one for tests included. */
async function contract(t: Test, client: ApiClient): Promise<void> {
  const key = { namespace, name: 'a' };

  await t.test('objects', async (t) => {
    const made = await client.create(configmaps, map('a', { data: { k: '1' } }));
    t.match(made, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a', uid: String, resourceVersion: String },
    });
    t.same(await client.get(configmaps, key), made);
    const exists = await failure(client.create(configmaps, map('a')));
    t.equal(exists.code, 409);
    t.equal(exists.reason, 'AlreadyExists');
    t.equal(exists.message, 'configmaps "a" already exists');
    const updated = await client.update(configmaps, { ...made, data: { k: '2' } });
    t.not(updated.metadata?.resourceVersion, made.metadata?.resourceVersion);
    const conflict = await failure(client.update(configmaps, made));
    t.equal(conflict.reason, 'Conflict');
    t.match(
      conflict.message,
      /the object has been modified; please apply your changes to the latest version and try again$/,
    );
    const generated = await client.create(configmaps, map('', { metadata: { generateName: 'g-' } }));
    t.match(generated.metadata?.name, /^g-[a-z0-9]{5}$/);
    const missing = await failure(client.get(configmaps, { namespace, name: 'no' }));
    t.equal(missing.code, 404);
    t.equal(missing.message, 'configmaps "no" not found');
    t.match(missing.status.details, { name: 'no', kind: 'configmaps' });
  });

  await t.test('patches', async (t) => {
    const merged = await client.patch(configmaps, key, { data: { k: null, l: '1' } }, { type: 'merge' });
    t.same(merged.data, { l: '1' });
    const json = [{ op: 'add', path: '/data/m', value: '2' }];
    t.same((await client.patch(configmaps, key, json, { type: 'json' })).data, { l: '1', m: '2' });
    const strategic = { metadata: { labels: { app: 'w' } } };
    t.same((await client.patch(configmaps, key, strategic, { type: 'strategic' })).metadata?.labels, { app: 'w' });
  });

  await t.test('lists', async (t) => {
    const all = await client.list(configmaps, { namespace, labelSelector: 'app=w' });
    t.equal(all.kind, 'ConfigMapList');
    t.same(
      all.items.map((item) => item.metadata?.name),
      ['a'],
    );
    t.match(all.metadata.resourceVersion, /^\d+$/);
    const byName = await client.list(configmaps, { fieldSelector: 'metadata.name=a' });
    t.equal(byName.items.length, 1);
    const page = await client.list(configmaps, { namespace, limit: 1 });
    t.equal(page.items.length, 1);
    const rest = await client.list(configmaps, {
      namespace,
      ...(page.metadata.continue ? { continue: page.metadata.continue } : {}),
    });
    t.equal(rest.items.length, 1);
  });

  await t.test('watch', async (t) => {
    const { metadata } = await client.list(configmaps, { namespace });
    const abort = new AbortController();
    const seen: string[] = [];
    let enough = (): void => {};
    const watching = (async () => {
      const options = { namespace, resourceVersion: metadata.resourceVersion ?? '', signal: abort.signal };
      for await (const { type, object } of client.watch(configmaps, options)) {
        seen.push(`${type} ${(object as ConfigMap).metadata?.name}`);
        if (type === 'DELETED') {
          enough();
        }
      }
    })();
    const deleted = new Promise<void>((resolve) => {
      enough = resolve;
    });
    await client.create(configmaps, map('w', { data: { text: 'ü\n' } }));
    await client.patch(configmaps, { namespace, name: 'w' }, { data: { k: '1' } }, { type: 'merge' });
    await client.delete(configmaps, { namespace, name: 'w' });
    await deleted;
    abort.abort();
    await watching;
    t.same(seen, ['ADDED w', 'MODIFIED w', 'DELETED w']);
  });

  await t.test('status, binding and deletion of a pod', async (t) => {
    await client.create(serviceaccounts, { metadata: { name: 'default', namespace } });
    await client.create(nodes, { metadata: { name: 'n' }, spec: {} });
    const made = await client.create(pods, { ...pod('p'), status: { phase: 'Running' } });
    t.equal(made.status?.phase, 'Pending');
    const podKey = { namespace, name: 'p' };
    const binding = { metadata: { name: 'p', namespace }, target: { kind: 'Node', name: 'n' } };
    await client.createSubresource(pods, podKey, 'binding', binding);
    t.match(await client.get(pods, podKey), {
      spec: { nodeName: 'n' },
      status: { conditions: [{ type: 'PodScheduled', status: 'True' }] },
    });
    const twice = await failure(client.createSubresource(pods, podKey, 'binding', binding));
    t.equal(twice.reason, 'Conflict');
    t.match(twice.message, /pod p is already assigned to node "n"/);
    const status = { status: { phase: 'Running' } };
    const running = await client.patch(pods, podKey, status, { type: 'strategic', subresource: 'status' });
    t.equal(running.status?.phase, 'Running');
    t.match(await client.delete(pods, podKey), {
      metadata: { deletionGracePeriodSeconds: 30, deletionTimestamp: String },
    });
    const wrong = await failure(client.delete(pods, podKey, { preconditions: { uid: 'other' } }));
    t.equal(wrong.reason, 'Conflict');
    t.match(wrong.message, /the UID in the precondition \(other\) does not match the UID in record /);
    await client.delete(pods, podKey, { gracePeriodSeconds: 0 });
    t.equal((await failure(client.get(pods, podKey))).code, 404);
  });

  await t.test('finalizers hold a deletion up', async (t) => {
    await client.create(configmaps, map('held', { metadata: { finalizers: ['example.com/hold'] } }));
    const heldKey = { namespace, name: 'held' };
    t.match(await client.delete(configmaps, heldKey), { metadata: { deletionTimestamp: String } });
    await client.patch(configmaps, heldKey, { metadata: { finalizers: null } }, { type: 'merge' });
    t.equal((await failure(client.get(configmaps, heldKey))).code, 404);
    await client.deleteCollection(configmaps, { namespace });
    t.equal((await client.list(configmaps, { namespace })).items.length, 0);
  });

  await t.test('virtual resources', async (t) => {
    await client.create(serviceaccounts, { metadata: { name: 'sa', namespace } });
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [] } };
    t.match(await client.createSubresource(serviceaccounts, { namespace, name: 'sa' }, 'token', request), {
      status: { token: String },
    });
    const review = { metadata: {}, spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } };
    t.match(await client.review(selfsubjectaccessreviews, review), { status: { allowed: true } });
  });
}

t.test('the fake client', async (t) => {
  const client = new FakeClient();
  client.seed(namespaces, { metadata: { name: namespace }, spec: {} });
  await contract(t, client);
});

t.test('the HTTPS client', async (t) => {
  const server = await startTestingServer();
  const client = createHttpsClient({ servers: [server.api.url], ca: server.ca, ...server.admin });
  t.teardown(async () => {
    client.close();
    await server.stop();
  });
  t.same(client.identity, { name: 'admin', groups: ['system:masters'] });
  await client.create(namespaces, { metadata: { name: namespace }, spec: {} });
  await contract(t, client);

  await t.test('goes on to a server that can be reached', async (t) => {
    const other = createHttpsClient({
      servers: ['https://127.0.0.1:1', server.api.url],
      ca: server.ca,
      ...server.admin,
    });
    t.match(await other.get(namespaces, { name: namespace }), { kind: 'Namespace' });
    other.close();
    t.equal((await failure(other.get(namespaces, { name: namespace }))).reason, 'ServiceUnavailable');
  });

  await t.test('says who is refused, and why', async (t) => {
    const nobody = createHttpsClient({ servers: [server.api.url], ca: server.ca, token: 'wrong' });
    const unauthorized = await failure(nobody.get(namespaces, { name: namespace }));
    t.equal(unauthorized.code, 401);
    t.equal(unauthorized.message, 'Unauthorized');
    nobody.close();
    const user = server.clientCertificate('ann', ['devs']);
    const ann = createHttpsClient({ servers: [server.api.url], ca: server.ca, ...user });
    t.same(ann.identity, { name: 'ann', groups: ['devs'] });
    const forbidden = await failure(ann.list(pods, { namespace }));
    t.equal(forbidden.reason, 'Forbidden');
    t.match(forbidden.message, /^pods is forbidden: User "ann" cannot list resource "pods"/);
    ann.close();
  });

  await t.test('without any server', async (t) => {
    const lost = createHttpsClient({ servers: ['https://127.0.0.1:1'], ca: server.ca });
    const error = await failure(lost.get(namespaces, { name: namespace }));
    t.equal(error.reason, 'ServiceUnavailable');
    t.match(error.message, /no server can be reached: .*ECONNREFUSED/);
    lost.close();
    const plain = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.address() as { port: number };
    const cut = createHttpsClient({ servers: [`https://127.0.0.1:${port}`], ca: server.ca });
    t.equal((await failure(cut.get(namespaces, { name: namespace }))).reason, 'ServiceUnavailable');
    cut.close();
    plain.close();
    t.throws(() => createHttpsClient({ servers: [], ca: server.ca }), /at least one server/);
  });

  await t.test('a watch ends with its server', async (t) => {
    const events = client.watch(configmaps, { namespace })[Symbol.asyncIterator]();
    const first = events.next();
    await client.create(configmaps, map('last'));
    t.match(await first, { value: { type: 'ADDED' } });
    const end = events.next();
    client.close();
    t.match(await end, { done: true });
  });
});
