import type { CustomResourceDefinition } from '../../apimachinery/types/apiextensions-v1.ts';
import type { SubresourceFacts } from '../codec/schema.ts';
import type { CustomGroupVersion } from '../openapi/openapi.ts';
import type { Flavour, Json } from '../openapi/schemas.ts';
import type { ServedKind } from '../openapi/served-kinds.ts';
import { customVerbs } from './custom-row.ts';
import { type JsonSchema, schemaOf } from './json-schema.ts';

const metaPackage = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const apiVersionText =
  'APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources';
const kindText =
  'Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds';
const metadataText =
  "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

const refOf = (flavour: Flavour, name: string): string =>
  `${flavour === 'v2' ? '#/definitions/' : '#/components/schemas/'}${name}`;

/** `com.example.v1.Widget` of `example.com`, `v1`, `Widget`. */
export function definitionName(group: string, version: string, kind: string): string {
  return [...group.split('.').reverse(), version, kind].join('.');
}

/** Keywords that OpenAPI 2.0 has no place for. */
const onlyInV3: ReadonlySet<string> = new Set(['anyOf', 'oneOf', 'not', 'nullable', 'x-kubernetes-validations']);

/** A schema for OpenAPI 2.0: where it says what 2.0 cannot, less is said rather than something wrong. */
function forV2(schema: JsonSchema): Json {
  const plain: Json = {};
  for (const [name, value] of Object.entries(schema)) if (!onlyInV3.has(name)) plain[name] = value;
  if (schema.properties !== undefined) {
    plain['properties'] = Object.fromEntries(
      Object.entries(schema.properties).map(([name, property]) => [name, forV2(property)]),
    );
  }
  if (schema.items !== undefined) plain['items'] = forV2(schema.items);
  if (typeof schema.additionalProperties === 'object') {
    plain['additionalProperties'] = forV2(schema.additionalProperties);
  }
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) {
    delete plain['properties'];
    delete plain['items'];
    if (plain['type'] === 'array') delete plain['type'];
  }
  return plain;
}

function resourceSchema(schema: JsonSchema, flavour: Flavour, group: string, version: string, kind: string): Json {
  const body = flavour === 'v2' ? forV2(schema) : (structuredClone(schema) as Json);
  const metadata =
    flavour === 'v2'
      ? { $ref: refOf(flavour, `${metaPackage}ObjectMeta`), description: metadataText }
      : { allOf: [{ $ref: refOf(flavour, `${metaPackage}ObjectMeta`) }], description: metadataText };
  const { apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...own } = (body['properties'] ?? {}) as Json;
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true && schema.properties === undefined;
  return {
    ...body,
    type: 'object',
    ...(isOpen && flavour === 'v2'
      ? {}
      : {
          properties: {
            apiVersion: { description: apiVersionText, type: 'string' },
            kind: { description: kindText, type: 'string' },
            metadata,
            ...own,
          },
        }),
    'x-kubernetes-group-version-kind': [{ group, kind, version }],
  };
}

function listSchema(flavour: Flavour, definition: string, group: string, version: string, listKind: string): Json {
  const metadata =
    flavour === 'v2'
      ? { $ref: refOf(flavour, `${metaPackage}ListMeta`) }
      : { allOf: [{ $ref: refOf(flavour, `${metaPackage}ListMeta`) }] };
  const item = { $ref: refOf(flavour, definition) };
  return {
    description: `${listKind} is a list of ${listKind.replace(/List$/, '')}`,
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { description: apiVersionText, type: 'string' },
      items: { description: 'List of objects.', type: 'array', items: flavour === 'v2' ? item : { allOf: [item] } },
      kind: { description: kindText, type: 'string' },
      metadata: { ...metadata, description: 'Standard list metadata.' },
    },
    'x-kubernetes-group-version-kind': [{ group, kind: listKind, version }],
  };
}

/** What the custom resources of one group version add to the OpenAPI documents. */
export function customOpenApi(
  crds: readonly CustomResourceDefinition[],
  group: string,
  version: string,
): CustomGroupVersion {
  const kinds: ServedKind[] = [];
  const schemas: Record<Flavour, Map<string, Json>> = { v2: new Map(), v3: new Map() };
  for (const crd of crds) {
    const served = crd.spec.versions.find(({ name }) => name === version);
    if (served === undefined) continue;
    const { names, scope } = crd.spec;
    const definition = definitionName(group, version, names.kind);
    const subresource = (kind: SubresourceFacts['kind']): SubresourceFacts => ({
      kind,
      verbs: ['get', 'patch', 'update'],
    });
    kinds.push({
      group,
      version,
      resource: names.plural,
      kind: names.kind,
      namespaced: scope === 'Namespaced',
      verbs: customVerbs,
      sub: {
        ...(served.subresources?.status === undefined ? {} : { status: subresource([group, version, names.kind]) }),
        ...(served.subresources?.scale === undefined ? {} : { scale: subresource(['autoscaling', 'v1', 'Scale']) }),
      },
      definition,
      isCustom: true,
    });
    for (const flavour of ['v2', 'v3'] as const) {
      schemas[flavour].set(definition, resourceSchema(schemaOf(served), flavour, group, version, names.kind));
      const listKind = names.listKind || `${names.kind}List`;
      schemas[flavour].set(`${definition}List`, listSchema(flavour, definition, group, version, listKind));
    }
  }
  return { kinds, schemas: (flavour) => schemas[flavour] };
}
