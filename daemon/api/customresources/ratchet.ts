import { jsonEqual } from '../registry/deep-equal.ts';
import type { FieldError } from '../resources/resource-row.ts';
import { isJsonObject, type JsonSchema, propertySchema } from './json-schema.ts';

/**
 * What was wrong before and has not been touched does not stop an update: drops the errors of values that are as they
 * were. Elements of lists are the same only by the keys of a list declared as a map.
 */
export function dropUnchanged(
  errors: readonly FieldError[],
  value: unknown,
  old: unknown,
  schema: JsonSchema,
): FieldError[] {
  return errors.filter((error) => !isUnchanged(error, value, old, schema));
}

function isUnchanged({ field, type }: FieldError, value: unknown, old: unknown, schema: JsonSchema): boolean {
  if (field === '<nil>') return false;
  const steps = [...field.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, name, index]) => name ?? Number(index));
  // A missing field is the fault of the object that should have it.
  if (type === 'FieldValueRequired') steps.pop();
  let now = value;
  let before = old;
  let here: JsonSchema | undefined = schema;
  for (const step of steps) {
    if (typeof step === 'number') {
      const keys: readonly string[] = here?.['x-kubernetes-list-map-keys'] ?? [];
      if (!Array.isArray(now) || !Array.isArray(before)) return false;
      const item: unknown = now[step];
      if (here?.['x-kubernetes-list-type'] !== 'map' || !isJsonObject(item)) return false;
      before = before.find((one) => isJsonObject(one) && keys.every((key) => jsonEqual(one[key], item[key])));
      now = item;
      here = here.items;
    } else {
      if (!isJsonObject(now) || !isJsonObject(before)) return false;
      now = now[step];
      before = before[step];
      here = propertySchema(here, step);
    }
    if (before === undefined) return false;
    if (jsonEqual(now, before)) return true;
  }
  return false;
}
