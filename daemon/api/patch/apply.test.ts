import fc from 'fast-check';
import t from 'tap';
import { ApiError } from '../../apimachinery/api-error.ts';
import type { Deployment } from '../../apimachinery/types/apps-v1.ts';
import type { ConfigMap } from '../../apimachinery/types/core-v1.ts';
import { configmaps, deployments } from '../../apimachinery/types/resources.ts';
import { applyServerSide } from './apply.ts';
import {
  difference,
  emptySet,
  equalSets,
  type FieldSet,
  intersection,
  isEmptySet,
  pathsOf,
  union,
} from './field-set.ts';
import { equalJson } from './json-value.ts';
import { trackUpdate } from './managed-fields.ts';
import { addedFields, compareObjects } from './owned-fields.ts';
import { shapeOfDefinition } from './value-shape.ts';

const now = new Date('2026-01-01T00:00:00Z');
const time = '2026-01-01T00:00:00Z';

function apply(live: ConfigMap | undefined, manager: string, data: Record<string, string>, force = false): ConfigMap {
  const config: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data };
  return applyServerSide({
    live,
    config,
    definition: configmaps.definition,
    manager,
    subresource: '',
    apiVersion: 'v1',
    force,
    now,
  });
}

type Spec = Partial<Deployment['spec']>;
function applySpec(live: Deployment | undefined, manager: string, spec: Spec, force = false): Deployment {
  const config = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x' }, spec } as Deployment;
  return applyServerSide({
    live,
    config,
    definition: deployments.definition,
    manager,
    subresource: '',
    apiVersion: 'apps/v1',
    force,
    now,
  });
}

const failure = (run: () => unknown): ApiError => {
  try {
    run();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error('did not fail');
};

t.test('an apply owns what it names', (t) => {
  const object = apply(undefined, 'a', { one: '1' });
  t.same(object, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'x',
      managedFields: [
        {
          manager: 'a',
          operation: 'Apply',
          apiVersion: 'v1',
          time,
          fieldsType: 'FieldsV1',
          fieldsV1: { 'f:data': { 'f:one': {} } },
        },
      ],
    },
    data: { one: '1' },
  });
  t.end();
});

t.test('what an applier no longer names goes, unless someone else owns it', (t) => {
  const first = apply(undefined, 'a', { one: '1', two: '2' });
  const shared = apply(first, 'b', { two: '2' });
  t.same(apply(shared, 'a', {}).data, { two: '2' });
  t.same(apply(first, 'a', { two: '2' }).data, { two: '2' });
  t.end();
});

t.test('another value is a conflict, and force takes the field', (t) => {
  const live = apply(undefined, 'a', { one: '1', two: '2' });
  const one = failure(() => apply(live, 'b', { one: 'x' }));
  t.equal(one.code, 409);
  t.equal(one.message, 'Apply failed with 1 conflict: conflict with "a": .data.one');
  t.same(one.causes, [{ reason: 'FieldManagerConflict', message: 'conflict with "a"', field: '.data.one' }]);
  const both = failure(() => apply(live, 'b', { one: 'x', two: 'y' }));
  t.equal(both.message, 'Apply failed with 2 conflicts: conflicts with "a":\n- .data.one\n- .data.two');
  const forced = apply(live, 'b', { one: 'x' }, true);
  t.same(forced.data, { one: 'x', two: '2' });
  t.same(
    forced.metadata.managedFields?.map(({ manager, fieldsV1 }) => [manager, fieldsV1]),
    [
      ['a', { 'f:data': { 'f:two': {} } }],
      ['b', { 'f:data': { 'f:one': {} } }],
    ],
  );
  t.equal(apply(live, 'b', { one: '1' }).metadata.managedFields?.length, 2, 'the same value is shared');
  t.end();
});

t.test('lists by key', (t) => {
  const template = (...containers: object[]) => ({ template: { spec: { containers } } }) as Spec;
  const first = applySpec(undefined, 'a', template({ name: 'c', image: '1', ports: [{ containerPort: 80 }] }));
  const second = applySpec(first, 'b', template({ name: 'd', image: '2' }));
  t.same(second.spec.template.spec.containers.map(({ name }) => name).sort(), ['c', 'd']);
  t.same(first.metadata.managedFields?.[0]?.fieldsV1, {
    'f:spec': {
      'f:template': {
        'f:spec': {
          'f:containers': {
            'k:{"name":"c"}': {
              '.': {},
              'f:image': {},
              'f:name': {},
              'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
            },
          },
        },
      },
    },
  });
  const conflict = failure(() => applySpec(second, 'b', template({ name: 'c', image: '3' })));
  t.equal(
    conflict.message,
    'Apply failed with 1 conflict: conflict with "a": .spec.template.spec.containers[name="c"].image',
  );
  t.same(
    applySpec(second, 'a', { replicas: 1 }).spec.template.spec.containers.map(({ name }) => name),
    ['d'],
  );
  t.match(failure(() => applySpec(undefined, 'a', template({ image: '1' }))).message, /omits key field "name"/);
  t.end();
});

t.test('another spelling of a quantity is the same value', (t) => {
  const limits = (cpu: string) =>
    ({ template: { spec: { containers: [{ name: 'c', resources: { limits: { cpu } } }] } } }) as Spec;
  const first = applySpec(undefined, 'a', limits('0.1'));
  t.equal(first.spec.template.spec.containers[0]?.resources?.limits?.['cpu'], '100m');
  t.equal(applySpec(first, 'b', limits('0.10')).metadata.managedFields?.length, 2);
  t.end();
});

t.test('plain writes', (t) => {
  const row = { handle: deployments } as never;
  const object = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'x', labels: { app: 'a' } },
    spec: { replicas: 1 },
  };
  const created = structuredClone(object) as unknown as Deployment;
  trackUpdate(created, undefined, row, { manager: 'kubectl', subresource: '', now });
  t.same(created.metadata.managedFields, [
    {
      manager: 'kubectl',
      operation: 'Update',
      apiVersion: 'apps/v1',
      time,
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } }, 'f:spec': { 'f:replicas': {} } },
    },
  ]);
  const scaled = structuredClone(created);
  scaled.spec.replicas = 3;
  trackUpdate(scaled, created, row, { manager: 'autoscaler', subresource: 'scale', now });
  t.same(
    scaled.metadata.managedFields?.map(({ manager, subresource, fieldsV1 }) => [manager, subresource, fieldsV1]),
    [
      ['autoscaler', 'scale', { 'f:spec': { 'f:replicas': {} } }],
      ['kubectl', undefined, { 'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } } }],
    ],
  );
  const conflict = failure(() => applySpec(scaled, 'a', { replicas: 5 }));
  t.equal(
    conflict.message,
    'Apply failed with 1 conflict: conflict with "autoscaler" with subresource "scale" using apps/v1: .spec.replicas',
  );
  const same = structuredClone(scaled);
  trackUpdate(same, scaled, row, { manager: 'other', subresource: '', now: new Date() });
  t.same(same.metadata.managedFields, scaled.metadata.managedFields, 'a write that changes nothing owns nothing');
  const reset = structuredClone(scaled);
  reset.metadata.managedFields = [{}];
  trackUpdate(reset, scaled, row, { manager: 'other', subresource: '', now });
  t.notOk('managedFields' in reset.metadata);
  t.end();
});

t.test('the first apply over an object of before finds its owner', (t) => {
  const live = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data: { one: '1' } };
  t.equal(
    failure(() => apply(live, 'a', { one: '2' })).message,
    'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.one',
  );
  t.same(apply(live, 'a', { two: '2' }).data, { one: '1', two: '2' });
  t.end();
});

const leaf = fc.constant<FieldSet>(emptySet);
const branches = (child: fc.Arbitrary<FieldSet>) =>
  fc.dictionary(fc.constantFrom('f:a', 'f:b', 'k:{"name":"x"}', 'v:1'), child, { maxKeys: 3 });
const fieldSet: fc.Arbitrary<FieldSet> = branches(
  fc.oneof(
    leaf,
    branches(leaf),
    branches(leaf).map((children) => ({ '.': emptySet, ...children })),
  ),
);

t.test('sets of fields are sets', (t) => {
  const members = (set: FieldSet) => pathsOf(set).sort();
  fc.assert(
    fc.property(fieldSet, fieldSet, (left, right) => {
      const [a, b] = [new Set(members(left)), new Set(members(right))];
      t.same(members(union(left, right)), [...new Set([...a, ...b])].sort());
      t.same(members(intersection(left, right)), [...a].filter((path) => b.has(path)).sort());
      t.same(members(difference(left, right)), [...a].filter((path) => !b.has(path)).sort());
      return equalSets(union(left, right), union(right, left)) && isEmptySet(difference(left, left));
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('apply is idempotent, and applying nothing takes back what was applied', (t) => {
  const data = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2'), { minKeys: 1 });
  fc.assert(
    fc.property(data, data, data, (mine, theirs, before) => {
      const start = apply(undefined, 'before', before);
      const live = apply(start, 'them', theirs, true);
      const once = apply(live, 'me', mine, true);
      const twice = apply(once, 'me', mine);
      const left = apply(twice, 'me', {});
      const owned = new Set(
        [...Object.keys(theirs), ...Object.keys(before)].filter((key) => {
          const value = theirs[key] ?? before[key];
          return mine[key] === undefined || mine[key] === value;
        }),
      );
      return equalJson(once, twice) && equalJson(Object.keys(left.data ?? {}).sort(), [...owned].sort());
    }),
  );
  t.end();
});

t.test('what a new object adds is its difference from nothing', (t) => {
  const containers = [{ name: 'c', image: 'i', resources: {}, ports: [{ containerPort: 80 }], env: [] }];
  const template = {
    metadata: { labels: { a: 'b' } },
    spec: { containers, nodeSelector: {}, tolerations: [{ key: 'k' }] },
  };
  const object = {
    metadata: { name: 'x', finalizers: ['f'], annotations: {} },
    spec: { replicas: 0, strategy: {}, template },
  };
  const shape = shapeOfDefinition(deployments.definition);
  t.same(addedFields(object, shape), compareObjects({}, object, shape).added);
  t.same(addedFields({ metadata: {}, spec: { any: { a: [1], b: {} } } }, shapeOfDefinition('')), {
    'f:spec': { 'f:any': { '.': {}, 'f:a': {}, 'f:b': {} } },
  });
  t.end();
});
