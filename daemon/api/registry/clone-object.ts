/** A copy that shares nothing with `value`; JSON values only. */
export function cloneObject<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(cloneObject) as T;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) copy[key] = cloneObject((value as Record<string, unknown>)[key]);
  return copy as T;
}
