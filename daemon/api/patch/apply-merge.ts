import { emptySet, type FieldSet, isMember } from './field-set.ts';
import { copyJson, isObject, type JsonObject } from './json-value.ts';
import { enforceOrder } from './list-order.ts';
import { elementsOf } from './owned-fields.ts';
import { fieldOf, type Shape } from './value-shape.ts';

/** The live object with an applied configuration laid over it. Shares nothing with either. */
export function mergeApplied(live: unknown, config: unknown, shape: Shape): unknown {
  if (isObject(config) && isObject(live) && shape.kind !== 'leaf') {
    const result: JsonObject = copyJson(live);
    for (const name in config) result[name] = mergeApplied(live[name], config[name], fieldOf(shape, name).shape);
    return result;
  }
  if (Array.isArray(config) && Array.isArray(live) && (shape.kind === 'keyed' || shape.kind === 'set')) {
    return mergeLists(live, config, shape);
  }
  return copyJson(config);
}

function mergeLists(
  live: readonly unknown[],
  config: readonly unknown[],
  shape: Extract<Shape, { kind: 'keyed' | 'set' }>,
): unknown[] {
  const before = elementsOf(live, shape);
  const applied = elementsOf(config, shape);
  if (before === undefined || applied === undefined) return copyJson([...config]);
  const element: Shape = shape.kind === 'keyed' ? shape.element : { kind: 'leaf' };
  const merged = new Map(before);
  for (const [key, item] of applied) merged.set(key, mergeApplied(before.get(key), item, element));
  const keys = enforceOrder([...merged.keys()], [...applied.keys()], [...before.keys()], '') as string[];
  return keys.map((key) => copyJson(merged.get(key)));
}

/**
 * Takes from `value`, in place, what an applier owned (`last`) and neither it nor anyone else owns any more (`owned`, of
 * all managers and the new configuration). An entry of a list goes when nobody owns the entry itself, a field when nobody
 * owns anything in it.
 */
export function pruneUnowned(value: JsonObject, last: FieldSet, owned: FieldSet, shape: Shape): void {
  for (const [element, lastNode] of Object.entries(last)) {
    if (!element.startsWith('f:')) continue;
    const name = element.slice(2);
    const current = value[name];
    if (current === undefined) continue;
    const ownedNode = owned[element];
    const { shape: child } = fieldOf(shape, name);
    if (ownedNode === undefined) delete value[name];
    else if (isObject(current)) pruneUnowned(current, lastNode, ownedNode, child);
    else if (Array.isArray(current) && (child.kind === 'keyed' || child.kind === 'set')) {
      value[name] = pruneList(current, lastNode, ownedNode, child);
    }
  }
}

function pruneList(
  list: unknown[],
  last: FieldSet,
  owned: FieldSet,
  shape: Extract<Shape, { kind: 'keyed' | 'set' }>,
): unknown[] {
  const elements = elementsOf(list, shape);
  if (elements === undefined) return list;
  for (const [key, item] of elements) {
    const lastNode = last[key];
    if (lastNode === undefined) continue;
    const ownedNode = owned[key];
    if (isMember(lastNode) && !isMember(ownedNode)) elements.delete(key);
    else if (isObject(item) && shape.kind === 'keyed')
      pruneUnowned(item, lastNode, ownedNode ?? emptySet, shape.element);
  }
  return [...elements.values()];
}
