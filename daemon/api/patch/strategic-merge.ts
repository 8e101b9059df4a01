import { apiError } from '../../apimachinery/api-error.ts';
import { copyJson, isObject, type JsonObject } from './json-value.ts';
import { enforceOrder } from './list-order.ts';
import { requireObjectPatch } from './merge-patch.ts';
import { type PatchField, type PatchType, patchField, patchTypeOf } from './patch-schema.ts';

/** Directives, as `strategicpatch` names them. */
const directive = '$patch';
const retainKeys = '$retainKeys';
const deletePrimitives = '$deleteFromPrimitiveList/';
const elementOrder = '$setElementOrder/';

/**
 * Strategic merge patch: maps merge by name, lists by the merge key their field declares, all else replaces. The result
 * shares nothing with its arguments. Errors are BadRequest, with the words of `strategicpatch` and `mergepatch`.
 */
export function applyStrategicMergePatch(object: unknown, patch: unknown, definition: string): unknown {
  requireObjectPatch(patch, '');
  return mergeMap(isObject(object) ? copyJson(object) : {}, copyJson(patch), patchTypeOf(definition));
}

function bad(message: string): Error {
  return apiError('BadRequest', message);
}

function unknownDirective(value: unknown, patch: unknown): Error {
  return apiError('Invalid', `unknown patch type found in: map[$patch:${String(value)}] ${JSON.stringify(patch)}`, {});
}

/** Merges in place: `original` and `patch` are both given away. */
function mergeMap(original: JsonObject, patch: JsonObject, type: PatchType): JsonObject {
  if (directive in patch) {
    const value = patch[directive];
    if (value === 'replace') {
      delete patch[directive];
      return withoutDirectives(patch) as JsonObject;
    }
    if (value === 'delete') return {};
    if (value !== 'merge') throw unknownDirective(value, patch);
    delete patch[directive];
  }
  dropUnretained(original, patch);
  mergeOrderedLists(original, patch, type);
  for (const [key, value] of Object.entries(patch)) {
    const isDeletion = key.startsWith(deletePrimitives);
    const name = isDeletion ? key.slice(deletePrimitives.length) : key;
    if (value === null) {
      delete original[name];
      continue;
    }
    const current = original[name];
    if (Array.isArray(current) && Array.isArray(value)) {
      original[name] = mergeList(current, value, patchField(type, name), isDeletion);
    } else if (isDeletion) {
      if (!Array.isArray(value)) throw bad('invalid patch format of primitive list');
    } else if (isObject(current) && isObject(value)) {
      const field = patchField(type, name);
      original[name] = field.replace ? withoutDirectives(value) : mergeMap(current, value, field.element);
    } else {
      original[name] = withoutDirectives(value);
    }
  }
  return original;
}

/** `$retainKeys`: whatever it does not name goes. */
function dropUnretained(original: JsonObject, patch: JsonObject): void {
  if (!(retainKeys in patch)) return;
  const kept = patch[retainKeys];
  delete patch[retainKeys];
  if (!Array.isArray(kept)) throw bad('invalid patch format of retainKeys');
  for (const [name, value] of Object.entries(patch)) {
    if (value !== null && !name.startsWith('$') && !kept.includes(name)) {
      throw bad('invalid patch format of retainKeys');
    }
  }
  for (const name of Object.keys(original)) if (!kept.includes(name)) delete original[name];
}

/** `$setElementOrder/<list>`: merges the list, then orders it as the directive says, leaving elements it does not know. */
function mergeOrderedLists(original: JsonObject, patch: JsonObject, type: PatchType): void {
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(elementOrder)) continue;
    const order = patch[key];
    delete patch[key];
    const name = key.slice(elementOrder.length);
    if (!Array.isArray(order)) throw bad('invalid patch format of setElementOrder list');
    const current = original[name];
    const change = patch[name];
    if (change !== undefined && change !== null && !Array.isArray(change)) {
      throw bad('invalid patch format of setElementOrder list');
    }
    const currentList = Array.isArray(current) ? current : undefined;
    const changeList = Array.isArray(change) ? change : undefined;
    if (currentList === undefined && changeList === undefined) continue;
    const field = patchField(type, name);
    if (changeList !== undefined) requireSameOrder(changeList, order, field.mergeKey);
    // The deletion of primitives goes first here: an element both deleted and ordered must not come back.
    const merged =
      changeList === undefined
        ? currentList!
        : currentList === undefined
          ? (withoutDirectives(changeList) as unknown[])
          : mergeList(currentList, copyJson(changeList), field, false);
    original[name] = enforceOrder(merged, order, currentList ?? [], field.mergeKey);
    if (change !== null) delete patch[name];
  }
}

function requireSameOrder(patch: readonly unknown[], order: readonly unknown[], mergeKey: string): void {
  const keyOf = (item: unknown) => (mergeKey !== '' && isObject(item) ? item[mergeKey] : item);
  const orderKeys = order.map(keyOf);
  let from = 0;
  for (const item of patch) {
    if (isObject(item) && (item[directive] === 'delete' || item[directive] === 'replace')) continue;
    const at = orderKeys.indexOf(keyOf(item), from);
    if (at < 0) {
      throw bad(
        `The order in patch list:\n${JSON.stringify(patch)}\n doesn't match $setElementOrder list:\n${JSON.stringify(order)}\n`,
      );
    }
    from = at + 1;
  }
}

function mergeList(original: unknown[], patch: unknown[], field: PatchField, isDeletion: boolean): unknown[] {
  if (!field.merge && !isDeletion) return withoutDirectives(patch) as unknown[];
  if (original.length === 0 && patch.length === 0) return original;
  if (!isObject(patch[0] ?? original[0])) {
    if ([...original, ...patch].some(Array.isArray)) throw bad('lists of lists are not supported');
    if (isDeletion) return original.filter((item) => !patch.includes(item));
    return enforceOrder([...new Set([...original, ...patch])], patch, original, '');
  }
  const { mergeKey } = field;
  if (mergeKey === '') throw bad('cannot merge lists without merge key');
  const { kept, changes } = applyListDirectives(original, patch, mergeKey);
  for (const change of changes) {
    const at = kept.findIndex((item) => isObject(item) && item[mergeKey] === change[mergeKey]);
    if (at < 0) kept.push(withoutDirectives(change));
    else kept[at] = mergeMap(kept[at] as JsonObject, change, field.element);
  }
  return enforceOrder(kept, changes, original, mergeKey);
}

/** Elements with a `$patch` directive: deletes act at once, one `replace` makes the patch the whole list. */
function applyListDirectives(
  original: unknown[],
  patch: unknown[],
  mergeKey: string,
): { kept: unknown[]; changes: JsonObject[] } {
  let kept = original;
  let replace = false;
  const changes: JsonObject[] = [];
  for (const item of patch) {
    if (!isObject(item)) throw bad('all list elements must be of the same type');
    const value = item[directive];
    if (value === undefined) {
      requireMergeKey(item, mergeKey);
      changes.push(item);
    } else if (value === 'replace') {
      replace = true;
    } else if (value === 'delete') {
      requireMergeKey(item, mergeKey);
      kept = kept.filter((other) => !isObject(other) || other[mergeKey] !== item[mergeKey]);
    } else if (value === 'merge') {
      throw bad('merging lists cannot yet be specified in the patch');
    } else {
      throw unknownDirective(value, item);
    }
  }
  return replace ? { kept: changes.map(withoutDirectives), changes: [] } : { kept: [...kept], changes };
}

function requireMergeKey(item: JsonObject, mergeKey: string): void {
  if (item[mergeKey] === undefined || item[mergeKey] === null) {
    throw bad(`map: ${goMap(item)} does not contain declared merge key: ${mergeKey}`);
  }
}

/** A value as Go's `%v` prints it. */
function goMap(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goMap).join(' ')}]`;
  if (!isObject(value)) return value === null ? '<nil>' : String(value);
  const entries = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return `map[${entries.map(([name, item]) => `${name}:${goMap(item)}`).join(' ')}]`;
}

/** A patch value that meets nothing to merge with: nulls and directives say nothing there. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.filter((item) => !isObject(item) || item[directive] === undefined).map(withoutDirectives);
  }
  if (!isObject(value)) return value;
  for (const [name, item] of Object.entries(value)) {
    if (item === null || name === directive || name === retainKeys || name.startsWith(deletePrimitives))
      delete value[name];
    else if (name.startsWith(elementOrder)) delete value[name];
    else if (typeof item === 'object') value[name] = withoutDirectives(item);
  }
  return value;
}
