import { isObject } from './json-value.ts';

/**
 * Orders a merged list: elements that `order` names stand in its order; the others keep the order they had in `original`,
 * and are woven in before the first named element that came after them there (`normalizeElementOrder`).
 */
export function enforceOrder(
  merged: readonly unknown[],
  order: readonly unknown[],
  original: readonly unknown[],
  mergeKey: string,
): unknown[] {
  const keyOf = (item: unknown) => (mergeKey !== '' && isObject(item) ? item[mergeKey] : item);
  const orderIndex = new Map(order.map((item, index) => [keyOf(item), index]));
  const originalIndex = new Map(original.map((item, index) => [keyOf(item), index]));
  const place = (index: Map<unknown, number>, item: unknown) => index.get(keyOf(item)) ?? Number.MAX_SAFE_INTEGER;
  const named = merged.filter((item) => orderIndex.has(keyOf(item)));
  const others = merged.filter((item) => !orderIndex.has(keyOf(item)));
  named.sort((left, right) => place(orderIndex, left) - place(orderIndex, right));
  others.sort((left, right) => place(originalIndex, left) - place(originalIndex, right));

  const result: unknown[] = [];
  let other = 0;
  for (const item of named) {
    const at = originalIndex.get(keyOf(item));
    while (at !== undefined && other < others.length && place(originalIndex, others[other]) < at) {
      result.push(others[other++]);
    }
    result.push(item);
  }
  return [...result, ...others.slice(other)];
}
