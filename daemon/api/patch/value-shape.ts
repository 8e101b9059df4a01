import { customDefinition } from '../codec/custom-definitions.ts';
import { apiFacts, type FieldSchema, type FieldType } from '../codec/schema.ts';

/**
 * How server-side apply sees a value. A `leaf` has one owner as a whole: scalars, and what is declared atomic. `deduced`:
 * of no known type, so objects are maps and lists are leaves.
 */
export type Shape =
  | { readonly kind: 'leaf' }
  | { readonly kind: 'deduced' }
  | { readonly kind: 'struct'; readonly fields: ReadonlyMap<string, ShapeField> }
  | { readonly kind: 'map'; readonly value: Shape }
  | { readonly kind: 'set' }
  | {
      readonly kind: 'keyed';
      readonly keys: readonly string[];
      readonly defaults: Readonly<Record<string, unknown>>;
      readonly element: Shape;
    };

export interface ShapeField {
  readonly shape: Shape;
  /**
   * What the original holds in this field of a struct that is there, before anyone sets it: nobody owns having added it.
   * Undefined: nothing.
   */
  readonly always: unknown;
}

const leaf: Shape = { kind: 'leaf' };
const deduced: Shape = { kind: 'deduced' };

/** Structs that are replaced as a whole (`+structType=atomic`). */
const atomicStructs = new Set([
  'ConfigMapKeySelector',
  'CrossVersionObjectReference',
  'FileKeySelector',
  'LabelSelector',
  'LocalObjectReference',
  'NodeSelector',
  'NodeSelectorTerm',
  'ObjectFieldSelector',
  'ObjectReference',
  'ResourceFieldSelector',
  'RoleRef',
  'ScopeSelector',
  'ScopedResourceSelectorRequirement',
  'SecretKeySelector',
  'SecretReference',
  'Subject',
  'TopologySelectorTerm',
  'TypedLocalObjectReference',
]);

/** Struct fields that the original holds by value: they are there, empty, before anyone sets something in them. */
const alwaysThere = new Set([
  'clientConfig',
  'daemonEndpoints',
  'jobTemplate',
  'kubeletEndpoint',
  'lastState',
  'loadBalancer',
  'metadata',
  'names',
  'nodeInfo',
  'resources',
  'source',
  'spec',
  'state',
  'status',
  'strategy',
  'template',
  'updateStrategy',
]);

/** Values that key fields have when they are left out. */
const keyDefaults: Readonly<Record<string, unknown>> = { protocol: 'TCP' };

const structs = new Map<string, Shape>();

function structShape(name: string): Shape {
  const known = structs.get(name);
  if (known !== undefined) return known;
  const definition = apiFacts.definitions[name];
  if (definition?.fields === undefined || atomicStructs.has(name.slice(name.lastIndexOf('.') + 1))) return leaf;
  const fields = new Map<string, ShapeField>();
  // Known before it is whole: definitions may lead back to themselves.
  const shape: Shape = { kind: 'struct', fields };
  structs.set(name, shape);
  for (const [field, facts] of Object.entries(definition.fields)) {
    const fieldShape = shapeOf(facts.t, facts);
    const isList = fieldShape.kind === 'keyed' && definition.required?.includes(field) === true;
    const always = isList ? [] : fieldShape.kind === 'struct' && alwaysThere.has(field) ? {} : undefined;
    fields.set(field, { shape: fieldShape, always });
  }
  return shape;
}

function shapeOf(type: FieldType, facts: Partial<FieldSchema>): Shape {
  if (facts.mapType === 'atomic') return leaf;
  if (typeof type === 'string') return type.startsWith('@') ? structShape(type.slice(1)) : leaf;
  if (Array.isArray(type)) {
    if (facts.listType === 'set') return { kind: 'set' };
    if (facts.listType !== 'map' || facts.listMapKeys === undefined) return leaf;
    const keys = [...facts.listMapKeys].sort();
    const defaults = Object.fromEntries(keys.flatMap((key) => (key in keyDefaults ? [[key, keyDefaults[key]]] : [])));
    return { kind: 'keyed', keys, defaults, element: shapeOf(type[0] as FieldType, {}) };
  }
  return { kind: 'map', value: shapeOf((type as { map: FieldType }).map, {}) };
}

const metadataDefinition = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** The shape of the objects of a definition; an empty name is a custom resource's: only its metadata is known. */
export function shapeOfDefinition(definition: string): Shape {
  if (definition !== '') return customDefinition(definition)?.shape ?? structShape(definition);
  const known = structs.get('');
  if (known !== undefined) return known;
  const shape: Shape = {
    kind: 'struct',
    fields: new Map([
      ['metadata', { shape: structShape(metadataDefinition), always: {} }],
      ['spec', { shape: deduced, always: {} }],
      ['status', { shape: deduced, always: {} }],
    ]),
  };
  structs.set('', shape);
  return shape;
}

/** The shape of a value that is a field of an object of `shape`. */
export function fieldOf(shape: Shape, name: string): ShapeField {
  if (shape.kind === 'struct') return shape.fields.get(name) ?? { shape: deduced, always: undefined };
  return { shape: shape.kind === 'map' ? shape.value : deduced, always: undefined };
}

/** `k:{"name":"a"}` of an element of a keyed list; undefined when a key without a default is missing. */
export function keyElement(shape: Extract<Shape, { kind: 'keyed' }>, item: unknown): string | undefined {
  const source = item as Record<string, unknown>;
  const { keys } = shape;
  if (keys.length === 1) {
    const key = keys[0]!;
    const value = source[key] ?? shape.defaults[key];
    return value === undefined ? undefined : `k:{${JSON.stringify(key)}:${JSON.stringify(value)}}`;
  }
  const values: Record<string, unknown> = {};
  for (const key of keys) {
    const value = source[key] ?? shape.defaults[key];
    if (value !== undefined) values[key] = value;
  }
  return isEmptyRecord(values) ? undefined : `k:${JSON.stringify(values)}`;
}

function isEmptyRecord(record: object): boolean {
  for (const _ in record) return false;
  return true;
}
