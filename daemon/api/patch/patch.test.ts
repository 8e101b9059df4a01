import fc from 'fast-check';
import t from 'tap';
import { ApiError } from '../../apimachinery/api-error.ts';
import { equalJson } from './json-value.ts';
import { applyPatch } from './patch.ts';

const definition = 'io.k8s.api.core.v1.Pod';
interface Podlike {
  metadata: { finalizers: string[] };
  spec: { containers: unknown[] };
}
const strategic = (object: unknown, patch: unknown, of = definition) =>
  applyPatch<Podlike>({ object: object as Podlike, type: 'strategic', patch, definition: of });
const pod = (...containers: unknown[]) => ({ metadata: { name: 'p' }, spec: { containers } });
const failure = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof ApiError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'no failure';
};

t.test('JSON patch', (t) => {
  const object = { a: [1, 2], b: { c: 'x' } };
  t.same(
    applyPatch({
      type: 'json',
      object,
      definition: '',
      patch: [
        { op: 'test', path: '/b/c', value: 'x' },
        { op: 'add', path: '/a/-', value: 3 },
        { op: 'move', from: '/b/c', path: '/d' },
      ],
    }),
    { a: [1, 2, 3], b: {}, d: 'x' },
  );
  t.same(object, { a: [1, 2], b: { c: 'x' } }, 'the object is left alone');
  const rejected = '422 the server rejected our request due to an error in our request';
  const json = (patch: unknown) => failure(() => applyPatch({ type: 'json', object, definition: '', patch }));
  t.equal(json([{ op: 'remove', path: '/none' }]), rejected);
  t.equal(json([{ op: 'test', path: '/b/c', value: 'y' }]), rejected);
  t.equal(json([{ op: 'add', path: '/__proto__/x', value: 1 }]), rejected);
  t.equal(json([{ op: 'replace', path: '', value: 1 }]), rejected);
  t.equal(json({}), '400 error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  t.end();
});

t.test('merge patch', (t) => {
  const merge = (object: unknown, patch: unknown) => applyPatch({ type: 'merge', object, patch, definition: '' });
  t.same(merge({ a: { b: 1, c: [1] }, d: 1 }, { a: { b: null, c: [2] }, e: { f: null, g: 1 } }), {
    a: { c: [2] },
    d: 1,
    e: { g: 1 },
  });
  t.equal(
    failure(() => merge({}, [])),
    '400 error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}',
  );
  t.end();
});

t.test('strategic merge of keyed lists', (t) => {
  const before = pod({ name: 'a', image: 'x', args: ['1'] }, { name: 'b', image: 'y' });
  t.same(
    strategic(before, { spec: { containers: [{ name: 'b', image: 'z' }] } }),
    pod({ name: 'a', image: 'x', args: ['1'] }, { name: 'b', image: 'z' }),
  );
  t.same(
    strategic(before, { spec: { containers: [{ name: 'c', image: 'n', tty: null }] } }),
    pod({ name: 'c', image: 'n' }, { name: 'a', image: 'x', args: ['1'] }, { name: 'b', image: 'y' }),
    'a new element goes first',
  );
  t.same(
    strategic(before, { spec: { containers: [{ name: 'a', $patch: 'delete' }] } }),
    pod({ name: 'b', image: 'y' }),
  );
  t.same(strategic(before, { spec: { containers: [{ $patch: 'replace' }, { name: 'q' }] } }), pod({ name: 'q' }));
  t.same(
    strategic(before, { spec: { containers: [{ name: 'a', args: ['2', '3'] }] } }),
    pod({ name: 'a', image: 'x', args: ['2', '3'] }, { name: 'b', image: 'y' }),
    'a list without a merge strategy is replaced',
  );
  t.same(
    strategic(before, {
      spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] },
    }).spec.containers,
    [
      { name: 'b', image: 'y' },
      { name: 'a', image: 'x', args: ['1'] },
    ],
  );
  t.equal(
    failure(() => strategic(before, { spec: { containers: [{ image: 'z' }] } })),
    '400 map: map[image:z] does not contain declared merge key: name',
  );
  t.equal(
    failure(() => strategic(before, 'x')),
    '400 json: cannot unmarshal string into Go value of type map[string]interface {}',
  );
  t.end();
});

t.test('strategic directives on maps and primitive lists', (t) => {
  t.same(
    strategic(
      { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } },
      { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } },
      'io.k8s.api.apps.v1.Deployment',
    ),
    { spec: { strategy: { type: 'Recreate' } } },
  );
  t.same(
    strategic({ metadata: { labels: { a: '1', b: '2' } } }, { metadata: { labels: { $patch: 'replace', c: '3' } } }),
    {
      metadata: { labels: { c: '3' } },
    },
  );
  t.same(strategic({ metadata: { labels: { a: '1' } } }, { metadata: { labels: { $patch: 'delete' } } }), {
    metadata: { labels: {} },
  });
  t.same(
    strategic({ metadata: { finalizers: ['a', 'b'] } }, { metadata: { finalizers: ['c'] } }).metadata.finalizers.sort(),
    ['a', 'b', 'c'],
  );
  t.same(
    strategic(
      { metadata: { finalizers: ['a', 'b', 'c'] } },
      { metadata: { '$deleteFromPrimitiveList/finalizers': ['b'], '$setElementOrder/finalizers': ['c', 'a'] } },
    ),
    { metadata: { finalizers: ['c', 'a'] } },
  );
  t.match(
    failure(() => strategic({ metadata: { labels: {} } }, { metadata: { labels: { $patch: 'no' } } })),
    /^422 unknown patch type/,
  );
  t.end();
});

const name = fc.constantFrom('a', 'b', 'c', 'd');
const containers = fc.uniqueArray(fc.record({ name, image: fc.constantFrom('1', '2', '3') }), {
  selector: (container) => container.name,
});

t.test('a two-way patch as kubectl computes it turns the one list into the other', (t) => {
  fc.assert(
    fc.property(containers, containers, (from, to) => {
      const patch = {
        spec: {
          '$setElementOrder/containers': to.map((container) => ({ name: container.name })),
          containers: [
            ...to.filter((container) => !from.some((other) => equalJson(other, container))),
            ...from
              .filter((container) => !to.some((other) => other.name === container.name))
              .map((container) => ({ name: container.name, $patch: 'delete' })),
          ],
        },
      };
      const result = strategic(pod(...from), patch);
      return equalJson(result, pod(...to));
    }),
  );
  t.end();
});

t.test('a three-way patch keeps what others added, and takes away what was applied before', (t) => {
  fc.assert(
    fc.property(containers, containers, containers, (applied, wanted, live) => {
      const has = (list: { name: string }[], key: string) => list.some((container) => container.name === key);
      const gone = applied.filter((container) => !has(wanted, container.name));
      const patch = {
        spec: {
          '$setElementOrder/containers': wanted.map((container) => ({ name: container.name })),
          containers: [
            ...wanted.filter((container) => !live.some((other) => equalJson(other, container))),
            ...gone.map((container) => ({ name: container.name, $patch: 'delete' })),
          ],
        },
      };
      const expected = [
        ...wanted,
        ...live.filter((container) => !has(wanted, container.name) && !has(gone, container.name)),
      ];
      const result = strategic(pod(...live), patch).spec.containers as { name: string }[];
      const byName = (list: readonly { name: string }[]) =>
        [...list].sort((left, right) => (left.name < right.name ? -1 : 1));
      const order = result.filter((container) => has(wanted, container.name)).map((container) => container.name);
      return (
        equalJson(byName(result), byName(expected)) &&
        equalJson(
          order,
          wanted.map((container) => container.name),
        )
      );
    }),
  );
  t.end();
});

t.test('merge patch is idempotent and leaves its arguments alone', (t) => {
  const json = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.jsonValue({ maxDepth: 3 }));
  fc.assert(
    fc.property(json, json, (object, patch) => {
      const [objectText, patchText] = [JSON.stringify(object), JSON.stringify(patch)];
      const once = applyPatch({ type: 'merge', object, patch, definition: '' });
      t.equal(JSON.stringify(object), objectText);
      t.equal(JSON.stringify(patch), patchText);
      return equalJson(applyPatch({ type: 'merge', object: once, patch, definition: '' }), once);
    }),
    { numRuns: 50 },
  );
  t.end();
});
