import t from 'tap';
import { apiError } from '../../apimachinery/api-error.ts';
import { type Answer, TestingHttp } from '../testing-http.ts';
import { startTestingServer, type TestingServer } from '../testing-server.ts';

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const widgets = '/apis/example.com/v1/namespaces/default/widgets';

const spec = {
  type: 'object',
  required: ['size'],
  'x-kubernetes-validations': [
    { rule: 'self.size <= self.most', message: 'size must not exceed most' },
    { rule: '!has(oldSelf.colour) || self.colour == oldSelf.colour', message: 'colour is immutable' },
  ],
  properties: {
    size: { type: 'integer', minimum: 1, maximum: 100 },
    most: { type: 'integer', default: 10 },
    colour: { type: 'string', enum: ['red', 'green'] },
    name: { type: 'string', pattern: '^[a-z]+$', maxLength: 5 },
    port: { 'x-kubernetes-int-or-string': true },
    open: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { known: { type: 'object' } } },
    maybe: { type: 'string', nullable: true },
    parts: {
      type: 'array',
      maxItems: 3,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: {
        type: 'object',
        required: ['name'],
        properties: { name: { type: 'string' }, kind: { type: 'string', default: 'plain' } },
      },
    },
  },
};

const schema = {
  openAPIV3Schema: {
    type: 'object',
    properties: {
      spec,
      status: { type: 'object', properties: { size: { type: 'integer' }, selector: { type: 'string' } } },
    },
  },
};

const definition = (plural: string, kind: string, versions: object[], names: object = {}) => ({
  metadata: { name: `${plural}.example.com` },
  spec: { group: 'example.com', scope: 'Namespaced', names: { plural, kind, ...names }, versions },
});

const v1 = {
  name: 'v1',
  served: true,
  storage: true,
  schema,
  subresources: {
    status: {},
    scale: {
      specReplicasPath: '.spec.size',
      statusReplicasPath: '.status.size',
      labelSelectorPath: '.status.selector',
    },
  },
  additionalPrinterColumns: [
    { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
    { name: 'First', type: 'string', jsonPath: '.spec.parts[?(@.name=="a")].kind' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  selectableFields: [{ jsonPath: '.spec.colour' }],
};
const v2 = { ...v1, name: 'v2', storage: false };

const widget = (name: string, of: object) => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name },
  spec: of,
});

/** Resolves when the definition is as `wanted`; the watch tells, no clock. */
async function until(http: TestingHttp, name: string, wanted: (crd: Answer['body']) => boolean): Promise<void> {
  for await (const { object } of http.watch(`${crds}?watch=true&fieldSelector=metadata.name=${name}`)) {
    if (wanted(object)) return;
  }
  throw apiError('Timeout', `the watch of ${name} ended`);
}

const condition = (crd: Answer['body'], type: string) =>
  crd.status?.conditions?.find((one: { type: string }) => one.type === type);
const established = (crd: Answer['body']) => condition(crd, 'Established')?.status === 'True';

t.test('custom resources', async (t) => {
  const server: TestingServer = await startTestingServer();
  const http = new TestingHttp(server);
  t.teardown(async () => {
    await http.close();
    await server.stop();
  });
  const messages = ({ body }: Answer) =>
    body.details.causes.map((cause: { field: string; message: string }) => `${cause.field}: ${cause.message}`);

  await t.test('a definition is served as soon as it is established', async (t) => {
    const made = await http.post(
      crds,
      definition('widgets', 'Widget', [v1, v2], { shortNames: ['wd'], categories: ['all'] }),
    );
    t.equal(made.code, 201);
    t.same(made.body.status.storedVersions, ['v1']);
    await until(http, 'widgets.example.com', established);
    const { body } = await http.get(`${crds}/widgets.example.com`);
    t.match(condition(body, 'NamesAccepted'), { status: 'True', reason: 'NoConflicts', message: 'no conflicts found' });
    t.match(condition(body, 'Established'), { reason: 'InitialNamesAccepted' });
    t.match(body.status.acceptedNames, { plural: 'widgets', singular: 'widget', listKind: 'WidgetList' });

    const { resources } = (await http.get('/apis/example.com/v1')).body;
    t.same(
      resources.map((one: { name: string }) => one.name),
      ['widgets', 'widgets/scale', 'widgets/status'],
    );
    t.match(resources[0], { shortNames: ['wd'], categories: ['all'], singularName: 'widget', kind: 'Widget' });
    t.equal((await http.get('/apis/example.com')).body.preferredVersion.version, 'v2');
    const openApi = (await http.get('/openapi/v3/apis/example.com/v1')).body;
    t.ok(openApi.components.schemas['com.example.v1.Widget'].properties.spec.properties.size);
    t.ok(openApi.components.schemas['io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta']);
    t.equal((await http.get('/openapi/v2')).body.definitions['com.example.v1.WidgetList'].type, 'object');
  });

  await t.test('objects are pruned, defaulted and checked', async (t) => {
    const made = await http.post(
      widgets,
      widget('one', {
        size: 2,
        unknown: 1,
        open: { any: { thing: 1 }, known: { lost: 1 } },
        maybe: null,
        most: null,
        parts: [{ name: 'a' }],
      }),
    );
    t.equal(made.code, 201);
    t.same(made.body.spec, {
      size: 2,
      most: 10,
      open: { any: { thing: 1 }, known: {} },
      maybe: null,
      parts: [{ name: 'a', kind: 'plain' }],
    });
    t.equal(made.body.metadata.generation, 1);
    const strict = await http.post(
      `${widgets}?fieldValidation=Strict`,
      widget('s', { size: 1, unknown: 1, parts: [{ name: 'x', y: 1 }] }),
    );
    t.equal(
      strict.body.message,
      'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.unknown", unknown field "spec.parts[0].y"',
    );
    const bad = await http.post(
      widgets,
      widget('bad', {
        size: 0,
        colour: 'blue',
        name: 'TOOLONG',
        port: {},
        parts: [{ name: 'a' }, { name: 'a' }, {}, { name: 'd' }],
      }),
    );
    t.equal(bad.code, 422);
    t.same(
      messages(bad),
      [
        'spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1',
        'spec.colour: Unsupported value: "blue": supported values: "red", "green"',
        'spec.name: Too long: may not be more than 5 bytes',
        `spec.name: Invalid value: "TOOLONG": spec.name in body should match '^[a-z]+$'`,
        'spec.port: Invalid value: "object": spec.port in body must be of type integer,string: "object"',
        'spec.parts[2].name: Required value',
        'spec.parts: Too many: 4: must have at most 3 items',
        'spec.parts[1]: Duplicate value: {"name":"a"}',
        '<nil>: Invalid value: "null": some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
      ].sort((a, b) => messages(bad).indexOf(a) - messages(bad).indexOf(b)),
    );
    const typed = await http.post(widgets, widget('typed', { size: 'x' }));
    t.equal(
      typed.body.message,
      'Widget.example.com "typed" is invalid: [spec.size: Invalid value: "string": spec.size in body must be of type integer: "string", <nil>: Invalid value: "null": some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]',
    );
  });

  await t.test('rules in CEL hold, those over time on updates', async (t) => {
    const over = await http.post(widgets, widget('over', { size: 11 }));
    t.equal(
      over.body.message,
      'Widget.example.com "over" is invalid: spec: Invalid value: "object": size must not exceed most',
    );
    await http.post(widgets, widget('red', { size: 1, colour: 'red' }));
    const green = await http.patch(`${widgets}/red`, 'merge-patch+json', { spec: { colour: 'green' } });
    t.match(messages(green), ['spec: Invalid value: "object": colour is immutable']);
    t.equal(
      (await http.patch(`${widgets}/red`, 'json-patch+json', [{ op: 'replace', path: '/spec/size', value: 3 }])).body
        .metadata.generation,
      2,
    );
    t.equal((await http.patch(`${widgets}/red`, 'strategic-merge-patch+json', { spec: { size: 4 } })).code, 415);
  });

  await t.test('status and scale are paths of their own', async (t) => {
    const status = await http.patch(`${widgets}/red/status`, 'merge-patch+json', {
      spec: { size: 9 },
      status: { size: 7, selector: 'a=b' },
    });
    t.equal(status.code, 200);
    t.match(status.body, { spec: { size: 3 }, status: { size: 7 }, metadata: { generation: 2 } });
    const main = await http.patch(`${widgets}/red`, 'merge-patch+json', { status: { size: 8 } });
    t.equal(main.body.status.size, 7);
    const scale = await http.get(`${widgets}/red/scale`);
    t.match(scale.body, { kind: 'Scale', spec: { replicas: 3 }, status: { replicas: 7, selector: 'a=b' } });
    await http.patch(`${widgets}/red/scale`, 'merge-patch+json', { spec: { replicas: 5 } });
    t.equal((await http.get(`${widgets}/red`)).body.spec.size, 5);
  });

  await t.test('lists, tables, selectors and pages', async (t) => {
    const table = (await http.get(widgets, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })).body;
    t.same(
      table.columnDefinitions.map((one: { name: string }) => one.name),
      ['Name', 'Size', 'First', 'Age'],
    );
    t.same(table.rows[0].cells.slice(0, 3), ['one', 2, 'plain']);
    t.same(table.rows[1].cells.slice(0, 3), ['red', 5, null]);
    const red = await http.get(`${widgets}?fieldSelector=spec.colour%3Dred`);
    t.same(
      red.body.items.map((one: Answer['body']) => one.metadata.name),
      ['red'],
    );
    t.equal((await http.get(`${widgets}?fieldSelector=spec.size%3D1`)).code, 400);
    const page = (await http.get(`${widgets}?limit=1`)).body;
    t.equal(page.kind, 'WidgetList');
    const rest = (await http.get(`${widgets}?limit=1&continue=${page.metadata.continue}`)).body;
    t.same(
      [...page.items, ...rest.items].map((one: Answer['body']) => one.metadata.name),
      ['one', 'red'],
    );
  });

  await t.test('every served version shows the same objects', async (t) => {
    const path = '/apis/example.com/v2/namespaces/default/widgets';
    t.equal((await http.get(`${path}/red`)).body.apiVersion, 'example.com/v2');
    const made = await http.post(path, { ...widget('two', { size: 1 }), apiVersion: 'example.com/v2' });
    t.equal(made.body.apiVersion, 'example.com/v2');
    t.equal((await http.get(`${widgets}/two`)).body.apiVersion, 'example.com/v1');
    const stored = await server.store.range({ key: Buffer.from('/registry/example.com/widgets/default/two') });
    t.match(stored.kvs[0]!.value.toString(), /"apiVersion":"example.com\/v1"/);
  });

  await t.test('JSON and YAML are the forms of objects, protobuf that of their metadata alone', async (t) => {
    const protobuf = 'application/vnd.kubernetes.protobuf';
    const partial = `${protobuf};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1`;
    t.equal((await http.get(widgets, { accept: protobuf })).code, 406);
    t.equal((await http.get(widgets, { accept: `${protobuf},*/*` })).headers['content-type'], 'application/json');
    t.equal((await http.get(widgets, { accept: partial })).headers['content-type'], protobuf);
    t.equal((await http.post(widgets, 'k8s', { 'content-type': protobuf })).code, 415);
  });

  await t.test('apply merges by the keys of the schema', async (t) => {
    const apply = (manager: string, parts: object[]) =>
      http.patch(`${widgets}/applied?fieldManager=${manager}`, 'apply-patch+yaml', {
        ...widget('applied', { size: 1, parts }),
      });
    t.equal((await apply('a', [{ name: 'x' }])).code, 201);
    const both = await apply('b', [{ name: 'y' }]);
    t.same(both.body.spec.parts.map((part: { name: string }) => part.name).sort(), ['x', 'y']);
    t.equal((await apply('b', [])).body.spec.parts.length, 1);
  });

  await t.test('what was wrong before may stay while it is not touched', async (t) => {
    const { body } = await http.get(`${crds}/widgets.example.com`);
    body.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.size.minimum = 2;
    body.spec.versions.push({ ...v2, name: 'v3' });
    const watching = http.watch(`${widgets}?watch=true`);
    await watching.next();
    const { code } = await http.put(`${crds}/widgets.example.com`, body);
    t.equal(code, 200);
    for await (const _ of watching) {
      // Ends when the new schema is served.
    }
    const two = await http.patch(`${widgets}/two`, 'merge-patch+json', { spec: { name: 'b' } });
    t.equal(two.code, 200, two.text);
    t.equal((await http.patch(`${widgets}/two`, 'merge-patch+json', { spec: { size: 0 } })).code, 422);
  });

  await t.test('another version may be stored from now on; what is stored already is still read', async (t) => {
    const { body } = await http.get(`${crds}/widgets.example.com`);
    for (const version of body.spec.versions) version.storage = version.name === 'v3';
    t.equal((await http.put(`${crds}/widgets.example.com`, body)).code, 200);
    await until(http, 'widgets.example.com', (crd) => crd.status.storedVersions.length === 2);
    t.equal((await http.get(`${widgets}/two`)).body.apiVersion, 'example.com/v1');
    await http.patch(`${widgets}/two`, 'merge-patch+json', { spec: { size: 4 } });
    const stored = await server.store.range({ key: Buffer.from('/registry/example.com/widgets/default/two') });
    t.match(stored.kvs[0]!.value.toString(), /"apiVersion":"example.com\/v3"/);
    const latest = (await http.get(`${crds}/widgets.example.com`)).body;
    latest.spec.versions = latest.spec.versions.filter(({ name }: { name: string }) => name !== 'v1');
    latest.spec.scope = 'Cluster';
    const refused = await http.put(`${crds}/widgets.example.com`, latest);
    t.same(messages(refused).sort(), [
      'spec.scope: Invalid value: "Cluster": field is immutable',
      'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions',
    ]);
  });

  await t.test('bad definitions are refused, names that are taken wait', async (t) => {
    const bad = definition('gadgets', 'Gadget', [
      {
        ...v1,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                properties: { x: { type: 'array' } },
                'x-kubernetes-validations': [{ rule: 'self.x +' }, { rule: 'other > 1' }],
              },
            },
            anyOf: [{ properties: { y: { type: 'string' } } }],
          },
        },
      },
    ]);
    const refused = await http.post(crds, bad);
    t.equal(refused.code, 422);
    const at = 'spec.versions[0].schema.openAPIV3Schema';
    const text = messages(refused).join('\n');
    t.match(text, `${at}.properties[spec].type: Required value: must not be empty for specified object fields`);
    t.match(text, `${at}.properties[spec].properties[x].items: Required value: must be specified`);
    t.match(text, `${at}.properties[y]: Required value: because it is defined in ${at}.anyOf[0].properties[y]`);
    t.match(
      text,
      /x-kubernetes-validations\[0\]\.rule: Invalid value: "self\.x \+": compilation failed: ERROR: <input>:1:/,
    );
    t.match(text, /undeclared reference to 'other' \(in container ''\)/);

    for (const items of [5, 'x', { properties: { a: null } }, { allOf: 5 }, { properties: 'abc' }, [{}], true]) {
      const list = {
        ...v1,
        schema: { openAPIV3Schema: { type: 'object', properties: { l: { type: 'array', items } } } },
      };
      const answer = await http.post(crds, definition('lists', 'List', [list]));
      t.ok(answer.code === 400 || answer.code === 422, `${JSON.stringify(items)}: ${answer.code}`);
    }
    const own = await http.post(crds, {
      ...definition('x', 'X', [v1]),
      metadata: { name: 'x.sig.k8s.io' },
      spec: { ...definition('xs', 'X', [v1]).spec, group: 'sig.k8s.io' },
    });
    t.match(own.body.message, 'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups');

    await http.post(crds, definition('things', 'Widget', [v1]));
    await until(http, 'things.example.com', (crd) => condition(crd, 'NamesAccepted') !== undefined);
    const { body } = await http.get(`${crds}/things.example.com`);
    t.match(condition(body, 'NamesAccepted'), {
      status: 'False',
      reason: 'ListKindConflict',
      message: '"WidgetList" is already in use',
    });
    t.match(condition(body, 'Established'), { status: 'False', reason: 'NotAccepted' });
    t.equal((await http.get('/apis/example.com/v1/things')).code, 404);
  });

  await t.test('a definition takes its objects with it', async (t) => {
    await http.patch(`${widgets}/one`, 'merge-patch+json', { metadata: { finalizers: ['example.com/hold'] } });
    const deletion = await http.delete(`${crds}/widgets.example.com`);
    t.equal(deletion.code, 200);
    t.same(deletion.body.metadata.finalizers, ['customresourcecleanup.apiextensions.k8s.io']);
    await until(http, 'widgets.example.com', (crd) => condition(crd, 'Terminating')?.status === 'True');
    const late = await http.post(widgets, widget('late', { size: 3 }));
    t.equal(late.code, 405);
    t.equal(late.body.message, 'create not allowed while custom resource definition is terminating');
    const gone = (async () => {
      for await (const { type } of http.watch(`${crds}?watch=true&fieldSelector=metadata.name=widgets.example.com`)) {
        if (type === 'DELETED') return;
      }
    })();
    await http.patch(`${widgets}/one`, 'merge-patch+json', { metadata: { finalizers: null } });
    await gone;
    const left = await server.store.range({
      key: Buffer.from('/registry/example.com/widgets/'),
      rangeEnd: Buffer.from('/registry/example.com/widgets0'),
    });
    t.equal(left.kvs.length, 0);
    await until(http, 'things.example.com', established);
    t.pass('the name that was taken is free for the one that waited');
  });
});
