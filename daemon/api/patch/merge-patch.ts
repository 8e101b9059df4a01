import { apiError } from '../../apimachinery/api-error.ts';
import { copyJson, isObject, type JsonObject } from './json-value.ts';

/** Throws the BadRequest that Go's decoder words for a patch body that is no JSON object. */
export function requireObjectPatch(patch: unknown, prefix: string): asserts patch is JsonObject {
  if (isObject(patch)) return;
  const found = Array.isArray(patch) ? 'array' : typeof patch === 'boolean' ? 'bool' : typeof patch;
  throw apiError(
    'BadRequest',
    `${prefix}json: cannot unmarshal ${found} into Go value of type map[string]interface {}`,
  );
}

/** RFC 7386. The result shares nothing with its arguments. */
export function applyMergePatch(object: unknown, patch: unknown): unknown {
  requireObjectPatch(patch, 'error decoding patch: ');
  return merge(object, patch);
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return copyJson(patch);
  const result: JsonObject = isObject(target) ? copyJson(target) : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = merge(result[name], value);
  }
  return result;
}
