import { cloneObject } from '../registry/clone-object.ts';
import { fieldPath, isJsonObject, type JsonObject, type JsonSchema, propertySchema } from './json-schema.ts';

/** Fields that every resource has, whatever its schema says. */
const resourceFields: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

/**
 * Drops, in place, what the schema does not know, and pushes the paths of what it dropped. `isResource`: the value is the
 * object itself or an embedded one.
 */
export function prune(
  value: unknown,
  schema: JsonSchema | undefined,
  isResource: boolean,
  path: string,
  dropped: string[],
): void {
  if (schema?.['x-kubernetes-preserve-unknown-fields'] === true) {
    pruneKnown(value, schema, isResource, path, dropped);
    return;
  }
  if (Array.isArray(value)) {
    const { items } = schema ?? {};
    const embedded = items?.['x-kubernetes-embedded-resource'] === true;
    for (const [index, item] of value.entries()) prune(item, items, embedded, `${path}[${index}]`, dropped);
    return;
  }
  if (!isJsonObject(value)) return;
  for (const name of Object.keys(value)) {
    if (isResource && resourceFields.has(name)) continue;
    const known = propertySchema(schema, name);
    if (known === undefined && schema?.additionalProperties !== true) {
      dropped.push(fieldPath(path, name));
      delete value[name];
      continue;
    }
    prune(value[name], known, known?.['x-kubernetes-embedded-resource'] === true, fieldPath(path, name), dropped);
  }
}

/** Below a value that keeps unknown fields, known fields are pruned by their own schemas. */
function pruneKnown(value: unknown, schema: JsonSchema, isResource: boolean, path: string, dropped: string[]): void {
  if (Array.isArray(value)) {
    if (schema.items === undefined) return;
    const embedded = schema.items['x-kubernetes-embedded-resource'] === true;
    for (const [index, item] of value.entries()) prune(item, schema.items, embedded, `${path}[${index}]`, dropped);
    return;
  }
  if (!isJsonObject(value)) return;
  for (const name of Object.keys(value)) {
    if (isResource && resourceFields.has(name)) continue;
    const known = propertySchema(schema, name);
    if (known === undefined) continue;
    prune(value[name], known, known['x-kubernetes-embedded-resource'] === true, fieldPath(path, name), dropped);
  }
}

const forbidsNull = (value: unknown, schema: JsonSchema | undefined): boolean =>
  value === null && schema !== undefined && schema.nullable !== true && schema['x-kubernetes-int-or-string'] !== true;

/** Takes out, in place, nulls of fields that may be none: a default fills them, or they count as absent. */
export function dropNulls(value: unknown, schema: JsonSchema | undefined): void {
  if (schema === undefined) return;
  if (Array.isArray(value)) {
    for (const item of value) dropNulls(item, schema.items);
    return;
  }
  if (!isJsonObject(value)) return;
  for (const name of Object.keys(value)) {
    const known = propertySchema(schema, name);
    if (forbidsNull(value[name], known)) delete value[name];
    else dropNulls(value[name], known);
  }
}

/** Fills in, in place, the defaults of the schema. */
export function applyDefaults(value: unknown, schema: JsonSchema | undefined): void {
  if (schema === undefined) return;
  if (Array.isArray(value)) {
    const { items } = schema;
    for (let i = 0; i < value.length; i++) {
      if (forbidsNull(value[i], items) && items?.default !== undefined) value[i] = cloneObject(items.default);
      applyDefaults(value[i], items);
    }
    return;
  }
  if (!isJsonObject(value)) return;
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (property.default === undefined) continue;
    if (value[name] === undefined || forbidsNull(value[name], property)) value[name] = cloneObject(property.default);
  }
  for (const name of Object.keys(value)) {
    const known = propertySchema(schema, name);
    if (known?.default !== undefined && forbidsNull(value[name], known)) value[name] = cloneObject(known.default);
    applyDefaults(value[name], known);
  }
}

/** Whether any part of the schema has a default. */
export function hasDefaults(schema: JsonSchema): boolean {
  if (schema.default !== undefined) return true;
  const below: JsonSchema[] = Object.values(schema.properties ?? {});
  if (schema.items !== undefined) below.push(schema.items);
  if (typeof schema.additionalProperties === 'object') below.push(schema.additionalProperties);
  return below.some(hasDefaults);
}

/** A copy without what the schema does not know: for values that stand for themselves, such as defaults. */
export function prunedCopy(value: JsonObject, schema: JsonSchema): JsonObject {
  const copy = cloneObject(value);
  prune(copy, schema, false, '', []);
  return copy;
}
