import { BinaryReader } from '@bufbuild/protobuf/wire';
import t from 'tap';
import { apiFacts } from '../codec/schema.ts';
import { OpenApi } from './openapi.ts';
import { builtinKinds, groupVersionPath } from './served-kinds.ts';

const openApi = new OpenApi('v1.36.0');

/** Every reference in a document leads somewhere. */
function danglingReferences(text: string, schemas: Record<string, unknown>): string[] {
  const names = [...text.matchAll(/"\$ref":"#\/(?:definitions|components\/schemas)\/([^"]+)"/g)].map(
    (match) => match[1]!,
  );
  return names.filter((name) => !(name in schemas));
}

t.test('v2', (t) => {
  const text = openApi.v2('json').body.toString();
  const document = JSON.parse(text);
  t.match(document, { swagger: '2.0', info: { title: 'Kubernetes', version: 'v1.36.0' } });
  t.same(danglingReferences(text, document.definitions), []);
  const deployment = document.definitions['io.k8s.api.apps.v1.Deployment'];
  t.same(deployment['x-kubernetes-group-version-kind'], [{ group: 'apps', kind: 'Deployment', version: 'v1' }]);
  t.match(document.definitions['io.k8s.api.core.v1.PodSpec'].properties.containers, {
    type: 'array',
    items: { $ref: '#/definitions/io.k8s.api.core.v1.Container' },
    'x-kubernetes-list-map-keys': ['name'],
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-patch-merge-key': 'name',
    'x-kubernetes-patch-strategy': 'merge',
  });
  const patch = document.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'].patch;
  t.match(patch, {
    operationId: 'patchAppsV1NamespacedDeployment',
    'x-kubernetes-action': 'patch',
    'x-kubernetes-group-version-kind': { group: 'apps', kind: 'Deployment', version: 'v1' },
  });
  t.ok(patch.parameters.some(({ name }: { name: string }) => name === 'fieldValidation'));
  t.end();
});

t.test('v2 as protobuf holds the same paths and definitions', (t) => {
  const document = JSON.parse(openApi.v2('json').body.toString());
  const reader = new BinaryReader(openApi.v2('protobuf').body);
  const found: Record<number, string[]> = { 8: [], 9: [] };
  while (reader.pos < reader.len) {
    const [field] = reader.tag();
    const end = reader.uint32() + reader.pos;
    while (reader.pos < end && (field === 8 || field === 9)) {
      reader.tag();
      const itemEnd = reader.uint32() + reader.pos;
      reader.tag();
      found[field]!.push(reader.string());
      reader.pos = itemEnd;
    }
    reader.pos = end;
  }
  t.same(found[8], Object.keys(document.paths));
  t.same(found[9], Object.keys(document.definitions));
  t.end();
});

t.test('v3', (t) => {
  const index = JSON.parse(openApi.v3Index().body.toString());
  t.same(Object.keys(index.paths), [...new Set(builtinKinds.map(groupVersionPath))].sort());
  for (const name of Object.keys(index.paths)) {
    const { body, etag } = openApi.v3(name)!;
    t.equal(index.paths[name].serverRelativeURL, `/openapi/v3/${name}?hash=${etag.slice(1, -1)}`);
    const document = JSON.parse(body.toString());
    t.same(danglingReferences(body.toString(), document.components.schemas), [], name);
  }
  t.equal(openApi.v3('apis/none/v1'), undefined);
  const core = JSON.parse(openApi.v3('api/v1')!.body.toString()).components.schemas;
  t.same(core['io.k8s.apimachinery.pkg.util.intstr.IntOrString'].oneOf, [{ type: 'integer' }, { type: 'string' }]);
  t.same(
    Object.keys(core['io.k8s.api.core.v1.Pod'].properties),
    Object.keys(apiFacts.definitions['io.k8s.api.core.v1.Pod']!.fields!),
  );
  t.end();
});

t.test('custom resources come and go', (t) => {
  const before = openApi.v3Index().etag;
  const definition = 'com.example.v1.Widget';
  const kind = {
    group: 'example.com',
    version: 'v1',
    resource: 'widgets',
    kind: 'Widget',
    namespaced: true,
    verbs: ['get'],
    definition,
  };
  openApi.setCustom('example.com/v1', { kinds: [kind], schemas: () => new Map([[definition, { type: 'object' }]]) });
  t.not(openApi.v3Index().etag, before);
  t.same(JSON.parse(openApi.v3('apis/example.com/v1')!.body.toString()).components.schemas[definition], {
    type: 'object',
  });
  openApi.setCustom('example.com/v1', undefined);
  t.equal(openApi.v3Index().etag, before);
  t.end();
});
