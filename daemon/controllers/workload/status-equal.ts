import { stableStringify } from '../../apimachinery/hash.ts';

/**
 * Drops members that a Go client would not have written (zero numbers, empty strings and lists, absent values), so that two
 * statuses compare equal however they were made. `keep` names members that are always written.
 */
export function omitZero<T extends object>(status: T, keep: readonly (keyof T)[] = []): T {
  const kept = Object.entries(status).filter(
    ([key, value]) => keep.includes(key as keyof T) || !(isZero(value) || (Array.isArray(value) && value.length === 0)),
  );
  return Object.fromEntries(kept) as T;
}

function isZero(value: unknown): boolean {
  return value === undefined || value === null || value === 0 || value === '';
}

export function sameStatus(a: object | undefined, b: object | undefined): boolean {
  return stableStringify(omitZero(a ?? {})) === stableStringify(omitZero(b ?? {}));
}
