/** Equality of JSON values; a key whose value is undefined counts as absent. `ignore`: keys of the top object left out. */
export function jsonEqual(a: unknown, b: unknown, ignore?: ReadonlySet<string>): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!jsonEqual(a[i], b[i])) return false;
    return true;
  }
  if (Array.isArray(b)) return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key in left) {
    if (ignore?.has(key)) continue;
    if (!jsonEqual(left[key], right[key])) return false;
  }
  for (const key in right) {
    if (ignore?.has(key)) continue;
    if (right[key] !== undefined && left[key] === undefined) return false;
  }
  return true;
}
