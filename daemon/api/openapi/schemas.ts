import { apiFacts, type Definition, type FieldSchema, type FieldType } from '../codec/schema.ts';
import type { Descriptions } from './descriptions.ts';

/** OpenAPI 2.0 and 3.0 write a few things differently. */
export type Flavour = 'v2' | 'v3';

export type Json = { [name: string]: unknown };

/** The schemas that a document has met and still has to write. */
export interface SchemaSet {
  readonly flavour: Flavour;
  readonly descriptions: Descriptions;
  readonly wanted: Set<string>;
}

const scalars: Readonly<Record<string, Json>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  byte: { type: 'string', format: 'byte' },
  'date-time': { type: 'string', format: 'date-time' },
  object: { type: 'object' },
  any: {},
};

/** Fields whose value is filled in when it is missing, as far as clients merge by them. */
const defaults: Readonly<Record<string, unknown>> = {
  'io.k8s.api.core.v1.ContainerPort.protocol': 'TCP',
  'io.k8s.api.core.v1.ServicePort.protocol': 'TCP',
};

export function refTo(set: SchemaSet, definition: string): Json {
  set.wanted.add(definition);
  return { $ref: `${set.flavour === 'v2' ? '#/definitions/' : '#/components/schemas/'}${definition}` };
}

function typeSchema(type: FieldType, set: SchemaSet): Json {
  if (typeof type === 'string') {
    if (type.startsWith('@')) return refTo(set, type.slice(1));
    return scalars[type] ?? {};
  }
  if (Array.isArray(type)) return { type: 'array', items: elementSchema(type[0] as FieldType, set) };
  return { type: 'object', additionalProperties: elementSchema((type as { map: FieldType }).map, set) };
}

/** Structs inside lists and maps default to empty: in v3 that takes a wrapper, for a reference stands alone. */
function elementSchema(type: FieldType, set: SchemaSet): Json {
  const schema = typeSchema(type, set);
  if (set.flavour === 'v2') return schema;
  if ('$ref' in schema) return { allOf: [schema], default: defaultOf(type) };
  return type === 'string' ? { ...schema, default: '' } : schema;
}

function defaultOf(type: FieldType): unknown {
  const definition = typeof type === 'string' && type.startsWith('@') ? apiFacts.definitions[type.slice(1)] : undefined;
  return definition?.fields === undefined ? undefined : {};
}

function fieldSchema(name: string, owner: string, field: FieldSchema, set: SchemaSet): Json {
  const type = typeSchema(field.t, set);
  const description = set.descriptions[owner]?.[name] ?? describeReferred(field.t, set);
  const schema: Json = '$ref' in type && set.flavour === 'v3' ? { allOf: [type] } : { ...type };
  if (description !== undefined) schema['description'] = description;
  const value = defaults[`${owner}.${name}`];
  if (value !== undefined) schema['default'] = value;
  if (field.listMapKeys !== undefined) schema['x-kubernetes-list-map-keys'] = field.listMapKeys;
  if (field.listType !== undefined) schema['x-kubernetes-list-type'] = field.listType;
  if (field.mapType !== undefined) schema['x-kubernetes-map-type'] = field.mapType;
  if (field.mergeKey !== undefined) schema['x-kubernetes-patch-merge-key'] = field.mergeKey;
  if (field.strategy !== undefined) schema['x-kubernetes-patch-strategy'] = field.strategy;
  return schema;
}

/** A field that only refers to a definition is told of in that definition's words. */
function describeReferred(type: FieldType, { descriptions }: SchemaSet): string | undefined {
  return typeof type === 'string' && type.startsWith('@') ? descriptions[type.slice(1)]?.[''] : undefined;
}

/** Definitions that are scalars with a form of their own. */
function scalarDefinition(definition: Definition, name: string, flavour: Flavour): Json {
  if (name.endsWith('.resource.Quantity') && flavour === 'v3')
    return { oneOf: [{ type: 'string' }, { type: 'number' }] };
  if (definition.t === 'int-or-string') {
    return flavour === 'v2'
      ? { type: 'string', format: 'int-or-string' }
      : { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] };
  }
  return { ...scalars[definition.t ?? 'any'] };
}

/** The schema of one definition; what it refers to is added to `set.wanted`. */
export function definitionSchema(name: string, set: SchemaSet): Json {
  const definition = apiFacts.definitions[name];
  if (definition === undefined) return {};
  const description = set.descriptions[name]?.[''];
  const head = description === undefined ? {} : { description };
  if (definition.fields === undefined) return { ...head, ...scalarDefinition(definition, name, set.flavour) };
  const properties: Json = {};
  for (const [field, facts] of Object.entries(definition.fields)) {
    properties[field] = fieldSchema(field, name, facts, set);
  }
  const [group, version, kind] = definition.gvk ?? [];
  return {
    ...head,
    type: 'object',
    ...(definition.required === undefined ? {} : { required: definition.required }),
    properties,
    ...(kind === undefined ? {} : { 'x-kubernetes-group-version-kind': [{ group, kind, version }] }),
  };
}

/** Every schema that those already wanted lead to, sorted by name; `custom` are schemas of custom resources, as given. */
export function allSchemas(set: SchemaSet, custom: ReadonlyMap<string, Json>): Json {
  const schemas = new Map<string, Json>();
  for (const name of set.wanted) {
    const given = custom.get(name);
    // What a given schema refers to is wanted too.
    if (given !== undefined) {
      for (const [, referred] of JSON.stringify(given).matchAll(/"#\/(?:definitions|components\/schemas)\/([^"]+)"/g)) {
        set.wanted.add(referred!);
      }
    }
    schemas.set(name, given ?? definitionSchema(name, set));
  }
  return Object.fromEntries([...schemas].sort(([left], [right]) => (left < right ? -1 : 1)));
}
