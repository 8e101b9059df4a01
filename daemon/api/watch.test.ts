import fc from 'fast-check';
import t from 'tap';
import { isApiError } from '../apimachinery/api-error.ts';
import type { ConfigMap } from '../apimachinery/types/core-v1.ts';
import { configmaps, namespaces } from '../apimachinery/types/resources.ts';
import type { ApiClient, ListOptions } from '../client/api-client.ts';
import { startTestingServer } from './testing-server.ts';

const server = await startTestingServer();
t.teardown(() => server.stop());
t.setTimeout(120_000);
const client = server.api.clientFor({ name: 'tester', groups: ['system:masters'] });

type Change =
  | { readonly do: 'create'; readonly name: string }
  | { readonly do: 'delete'; readonly name: string }
  | { readonly do: 'label'; readonly name: string; readonly value: string };

const names = ['a', 'b', 'c', 'd', 'e'];
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ do: fc.constant('create' as const), name: fc.constantFrom(...names) }),
  fc.record({ do: fc.constant('delete' as const), name: fc.constantFrom(...names) }),
  fc.record({ do: fc.constant('label' as const), name: fc.constantFrom(...names), value: fc.constantFrom('x', 'y') }),
);

async function apply(to: ApiClient, namespace: string, what: Change): Promise<void> {
  try {
    if (what.do === 'create') {
      await to.create(configmaps, { metadata: { namespace, name: what.name, labels: { color: 'x' } } });
    } else if (what.do === 'delete') await to.delete(configmaps, { namespace, name: what.name });
    else {
      const patch = { metadata: { labels: { color: what.value } } };
      await to.patch(configmaps, { namespace, name: what.name }, patch, { type: 'merge' });
    }
  } catch (error) {
    // Which of them exist is left to chance.
    if (!isApiError(error, 'NotFound') && !isApiError(error, 'AlreadyExists')) throw error;
  }
}

const versions = (objects: Iterable<ConfigMap>) =>
  [...objects].map(({ metadata }) => `${metadata!.name}@${metadata!.resourceVersion}`).sort();

/** Follows a watch from `resourceVersion` until the end marker is deleted; the state is what it ends with. */
async function follow(
  state: Map<string, ConfigMap>,
  options: ListOptions & { resourceVersion: string },
): Promise<void> {
  for await (const event of client.watch(configmaps, options)) {
    if (event.type === 'ERROR') throw new Error(event.object.message);
    const name = event.object.metadata!.name!;
    const known = state.has(name);
    if (event.type === 'ADDED' && known) throw new Error(`${name} was added twice`);
    if (event.type !== 'ADDED' && !known) throw new Error(`${name} was ${event.type} and never added`);
    if (event.type === 'DELETED') state.delete(name);
    else state.set(name, event.object);
    if (event.type === 'DELETED' && name === 'end') return;
  }
}

let run = 0;

t.test('a list and the events after it give the list at the end', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 25 }),
      fc.array(change, { maxLength: 25 }),
      fc.constantFrom(undefined, 'color=x', 'color!=x', 'color in (y)'),
      fc.constantFrom(undefined, 'metadata.name!=b'),
      async (before, after, labelSelector, fieldSelector) => {
        const namespace = `run-${run++}`;
        await client.create(namespaces, { metadata: { name: namespace }, spec: {} });
        const selectors = { ...(labelSelector && { labelSelector }), ...(fieldSelector && { fieldSelector }) };
        const options = { namespace, ...selectors };
        const starts: { state: Map<string, ConfigMap>; resourceVersion: string }[] = [];
        const take = async () => {
          const list = await client.list(configmaps, options);
          starts.push({
            state: new Map(list.items.map((item) => [item.metadata!.name!, item])),
            resourceVersion: list.metadata.resourceVersion!,
          });
        };
        await take();
        for (const what of before) await apply(client, namespace, what);
        await take();
        // Some watches run while the changes are made, some start when all is over.
        const live = starts.map(({ state, resourceVersion }) =>
          follow(new Map(state), { ...options, resourceVersion }),
        );
        for (const what of after) await apply(client, namespace, what);
        const late = starts.map(({ state, resourceVersion }) => follow(state, { ...options, resourceVersion }));
        const expected = versions((await client.list(configmaps, options)).items);
        for (const color of ['x', 'y']) {
          await client.create(configmaps, { metadata: { namespace, name: 'end', labels: { color } } });
          await client.delete(configmaps, { namespace, name: 'end' });
        }
        await Promise.all([...live, ...late]);
        for (const { state } of starts) {
          if (String(versions(state.values())) !== String(expected)) {
            throw new Error(`${versions(state.values())} is not ${expected}`);
          }
        }
      },
    ),
    { numRuns: 60 },
  );
  t.pass();
});

t.test('pages of a list show one moment, whatever is written between them', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 20 }),
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.array(change, { maxLength: 4 }), { minLength: 1, maxLength: 6 }),
      async (before, limit, between) => {
        const namespace = `run-${run++}`;
        await client.create(namespaces, { metadata: { name: namespace }, spec: {} });
        for (const what of before) await apply(client, namespace, what);
        const whole = await client.list(configmaps, { namespace });
        const pages: ConfigMap[] = [];
        let token: string | undefined;
        let turn = 0;
        do {
          const page = await client.list(configmaps, {
            namespace,
            limit,
            ...(token === undefined ? {} : { continue: token }),
          });
          pages.push(...page.items);
          token = page.metadata.continue;
          for (const what of between[turn++ % between.length]!) await apply(client, namespace, what);
        } while (token !== undefined);
        if (String(versions(pages)) !== String(versions(whole.items))) {
          throw new Error(`${versions(pages)} is not ${versions(whole.items)}`);
        }
      },
    ),
    { numRuns: 60 },
  );
  t.pass();
});

t.test('a page from before a compaction is Expired, and the list can go on all the same', async (t) => {
  const namespace = 'compacted';
  await client.create(namespaces, { metadata: { name: namespace }, spec: {} });
  for (const name of names) await client.create(configmaps, { metadata: { namespace, name } });
  const first = await client.list(configmaps, { namespace, limit: 2 });
  await client.delete(configmaps, { namespace, name: 'e' });
  await server.store.compact((await server.store.status()).revision);
  const error = await client
    .list(configmaps, { namespace, limit: 2, continue: first.metadata.continue! })
    .catch((e) => e);
  t.ok(isApiError(error, 'Expired'));
  t.equal(error.code, 410);
  const rest = await client.list(configmaps, { namespace, continue: error.status.metadata.continue });
  t.same(
    rest.items.map(({ metadata }) => metadata!.name),
    ['c', 'd'],
  );
});
