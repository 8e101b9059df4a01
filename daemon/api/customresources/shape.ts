import { type Shape, type ShapeField, shapeOfDefinition } from '../patch/value-shape.ts';
import type { JsonSchema } from './json-schema.ts';

const leaf: Shape = { kind: 'leaf' };
const deduced: Shape = { kind: 'deduced' };

/** How server-side apply sees a value of a schema: by its list and map types. */
export function shapeOfSchema(schema: JsonSchema | undefined): Shape {
  if (schema === undefined || schema['x-kubernetes-int-or-string'] === true) return leaf;
  if (schema.type === 'array') return listShape(schema);
  if (schema.type !== 'object') return schema['x-kubernetes-preserve-unknown-fields'] === true ? deduced : leaf;
  if (schema['x-kubernetes-map-type'] === 'atomic') return leaf;
  if (schema.properties !== undefined) {
    const fields = Object.entries(schema.properties).map(([name, property]): [string, ShapeField] => [
      name,
      { shape: shapeOfSchema(property), always: undefined },
    ]);
    return { kind: 'struct', fields: new Map(fields) };
  }
  if (typeof schema.additionalProperties === 'object') {
    return { kind: 'map', value: shapeOfSchema(schema.additionalProperties) };
  }
  return deduced;
}

function listShape(schema: JsonSchema): Shape {
  const type = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'];
  if (type === 'set') return { kind: 'set' };
  if (type !== 'map' || keys === undefined) return leaf;
  const properties = schema.items?.properties ?? {};
  const defaults = Object.fromEntries(
    keys.flatMap((key) => (properties[key]?.default === undefined ? [] : [[key, properties[key].default]])),
  );
  return { kind: 'keyed', keys: [...keys].sort(), defaults, element: shapeOfSchema(schema.items) };
}

/** The shape of whole objects: their metadata is that of every resource. */
export function shapeOfResource(schema: JsonSchema): Shape {
  const plain = shapeOfDefinition('');
  const metadata = plain.kind === 'struct' ? plain.fields.get('metadata') : undefined;
  const fields = new Map<string, ShapeField>();
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    fields.set(name, { shape: shapeOfSchema(property), always: undefined });
  }
  if (metadata !== undefined) fields.set('metadata', metadata);
  return { kind: 'struct', fields };
}
