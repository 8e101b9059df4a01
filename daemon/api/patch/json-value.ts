/** A JSON object, as patches see every value: by its names only. */
export type JsonObject = { [name: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A copy that shares nothing with `value`; several times as fast as `structuredClone` on JSON. */
export function copyJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyJson) as T;
  const copy: JsonObject = {};
  for (const name in value) {
    // `__proto__` as an own name of parsed JSON must stay a name.
    if (name === '__proto__') Object.defineProperty(copy, name, { value: copyJson(value[name]), enumerable: true });
    else copy[name] = copyJson(value[name]);
  }
  return copy as T;
}

/** Equality of JSON values; the order of names does not matter. */
export function equalJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => equalJson(item, right[index]));
  }
  const names = Object.keys(left);
  if (names.length !== Object.keys(right).length) return false;
  return names.every(
    (name) => Object.hasOwn(right, name) && equalJson((left as JsonObject)[name], (right as JsonObject)[name]),
  );
}
