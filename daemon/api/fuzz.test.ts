import fc from 'fast-check';
import t from 'tap';
import { resourceRows } from './resources/table.ts';
import { TestingHttp } from './testing-http.ts';
import { startTestingServer } from './testing-server.ts';

/** Whatever is sent, the answer is a client's error or a success: never a 500, never silence. */

const server = await startTestingServer({ logLevel: 'silent' });
t.setTimeout(180_000);
const http = new TestingHttp(server);
t.teardown(async () => {
  await http.close();
  await server.stop();
});

const collections = resourceRows.map(({ handle }) => {
  const base = handle.group === '' ? `/api/${handle.version}` : `/apis/${handle.group}/${handle.version}`;
  return {
    handle,
    path: handle.namespaced ? `${base}/namespaces/default/${handle.resource}` : `${base}/${handle.resource}`,
  };
});

const word = fc.constantFrom(
  'metadata',
  'spec',
  'status',
  'name',
  'namespace',
  'labels',
  'annotations',
  'containers',
  'template',
  'selector',
  'matchLabels',
  'replicas',
  'ports',
  'data',
  'rules',
  'subjects',
  'roleRef',
  'finalizers',
  'ownerReferences',
  'a',
  '',
  'volumes',
  'env',
  'image',
  'resources',
  'limits',
  'type',
  'strategy',
  '__proto__',
  'constructor',
  'generateName',
  'items',
);
const scalar = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom('10m', '1Gi', 'default', '2020-01-01T00:00:00Z', '0', '-1', '../x', 'x'.repeat(300)),
);
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(word, tie('any'), { maxKeys: 4 }),
  ),
})).any;

/** An object of the right outline, so that it gets past the first checks. */
const object = fc.record(
  {
    metadata: fc.record(
      {
        name: fc.constantFrom('a', 'b', 'c', 'Bad_Name', ''),
        labels: fc.oneof(fc.dictionary(word, fc.string(), { maxKeys: 2 }), value),
        finalizers: fc.oneof(fc.constant(['example.com/x']), value),
        generateName: fc.constantFrom('g-', ''),
      },
      { requiredKeys: [] },
    ),
    spec: value,
    status: value,
    data: value,
    rules: value,
    roleRef: value,
    subjects: value,
  },
  { requiredKeys: ['metadata'] },
);

const collection = fc.constantFrom(...collections);
const suffix = fc.constantFrom(
  '',
  '/a',
  '/b',
  '/a/status',
  '/a/scale',
  '/a/log',
  '/a/binding',
  '/a/eviction',
  '/a/nonsense',
  '/a/finalize',
  '/a/b/c',
);
const query = fc.constantFrom(
  '',
  '?limit=abc',
  '?limit=-1',
  '?continue=xyz',
  '?labelSelector=%3D',
  '?labelSelector=a%20in',
  '?fieldSelector=a',
  '?resourceVersion=x',
  '?resourceVersion=-1',
  '?dryRun=All',
  '?dryRun=x',
  '?fieldValidation=Strict',
  '?fieldValidation=x',
  '?timeoutSeconds=x',
  '?watch=1&resourceVersion=abc',
  '?gracePeriodSeconds=-1',
  '?propagationPolicy=x',
  '?limit=1',
  '?fieldManager=x&force=true',
  '?pretty=true',
);
const contentType = fc.constantFrom(
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/json-patch+json',
  'application/apply-patch+yaml',
  'text/plain',
  '',
);
const patchOperations = fc.array(
  fc.record(
    {
      op: fc.constantFrom('add', 'remove', 'replace', 'move', 'test', 'x'),
      path: fc.constantFrom('/spec', '/metadata/name', '/a/b', '', 'x'),
      value,
      from: fc.constantFrom('/spec', '/x'),
    },
    { requiredKeys: ['op', 'path'] },
  ),
  { maxLength: 3 },
);
const body = fc.oneof(
  fc.string(),
  object.map((sent) => JSON.stringify(sent)),
  value.map((sent) => JSON.stringify(sent) ?? ''),
  patchOperations.map((sent) => JSON.stringify(sent)),
  fc.constantFrom('k8s\0', 'k8s\0\u0001\u0002\u0003', '{"a":', '[]', 'null', '"x"', '1', '{}', 'a: [', 'a: &a [*a]'),
);

t.test('fuzzed requests never fail the server', async (t) => {
  let statuses = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'),
      collection,
      suffix,
      query,
      contentType,
      body,
      async (method, { path }, rest, parameters, type, sent) => {
        if (parameters.includes('watch=1') && method === 'GET') parameters = '?watch=1&resourceVersion=abc';
        const withBody = method === 'POST' || method === 'PUT' || method === 'PATCH' || method === 'DELETE';
        const answer = await http.send(
          method,
          path + rest + parameters,
          withBody ? sent : undefined,
          type === '' ? {} : { 'content-type': type },
        );
        if (answer.code === 500) throw new Error(`${method} ${path}${rest}${parameters}: ${answer.text}`);
        statuses++;
      },
    ),
    { numRuns: 1500 },
  );
  t.equal(statuses, 1500);
});

t.test('objects of the right outline, of every kind, never fail the server', async (t) => {
  await fc.assert(
    fc.asyncProperty(collection, object, fc.boolean(), async ({ path, handle }, sent, update) => {
      const { name } = sent.metadata as { name?: string };
      const answer = update
        ? await http.put(`${path}/${name || 'a'}`, sent)
        : await http.post(path, { ...sent, kind: handle.kind });
      if (answer.code === 500) throw new Error(`${handle.kind} ${JSON.stringify(sent)}: ${answer.text}`);
    }),
    { numRuns: 1500 },
  );
  t.equal((await http.get('/readyz')).text, 'ok');
});
