import { apiError } from '../../apimachinery/api-error.ts';
import { emptySet, type FieldSet, makeNode } from './field-set.ts';
import { equalJson, isObject, type JsonObject } from './json-value.ts';
import { fieldOf, keyElement, type Shape } from './value-shape.ts';

/** The fields that an applied configuration names, and so owns. */
export function fieldsOf(value: JsonObject, shape: Shape): FieldSet {
  return childFields(value, shape, '') ?? emptySet;
}

function childFields(value: JsonObject, shape: Shape, path: string): Record<string, FieldSet> {
  const children: Record<string, FieldSet> = {};
  for (const name in value) {
    const { shape: child } = fieldOf(shape, name);
    const inStruct = shape.kind === 'struct';
    const node = fieldNode(value[name], child, !inStruct, `${path}.${name}`);
    if (node !== undefined) children[`f:${name}`] = node;
  }
  return children;
}

/** `member`: the element is in the set even when it holds others, as entries of maps and lists are. */
function fieldNode(value: unknown, shape: Shape, member: boolean, path: string): FieldSet | undefined {
  if (value === undefined) return undefined;
  if (isObject(value) && (shape.kind === 'struct' || shape.kind === 'map' || shape.kind === 'deduced')) {
    const children = childFields(value, shape, path);
    return makeNode(member || Object.keys(value).length === 0, children);
  }
  if (Array.isArray(value) && shape.kind === 'keyed') {
    const children: Record<string, FieldSet> = {};
    for (const [index, item] of value.entries()) {
      const element = isObject(item) ? keyElement(shape, item) : undefined;
      if (element === undefined) {
        throw typedError(
          `${path}[${index}]: associative list with keys has an element that omits key field ${JSON.stringify(shape.keys[0])} (and doesn't have default value)`,
        );
      }
      if (element in children) throw typedError(`${path}: duplicate entries for key [${element.slice(2)}]`);
      children[element] = fieldNode(item, shape.element, true, path) ?? emptySet;
    }
    return makeNode(member, children);
  }
  if (Array.isArray(value) && shape.kind === 'set') {
    const children = Object.fromEntries(value.map((item) => [`v:${JSON.stringify(item)}`, emptySet]));
    return makeNode(member, children);
  }
  return emptySet;
}

function typedError(message: string): Error {
  return apiError('BadRequest', `failed to create typed patch object: ${message}`);
}

/** What changed from one object to the next. */
export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** What a new object adds: `compareObjects` with nothing before it, without looking for what that nothing had. */
export function addedFields(now: JsonObject, shape: Shape): FieldSet {
  return addedChildren(now, shape, false) ?? emptySet;
}

function addedChildren(now: JsonObject, shape: Shape, parentIsNew: boolean): Record<string, FieldSet> | undefined {
  let children: Record<string, FieldSet> | undefined;
  for (const name in now) {
    const value = now[name];
    if (value === undefined) continue;
    const field = fieldOf(shape, name);
    const node = addedNode(value, field.shape, parentIsNew || field.always === undefined);
    if (node === undefined) continue;
    children ??= {};
    children[`f:${name}`] = node;
  }
  return children;
}

function addedNode(value: unknown, shape: Shape, isNew: boolean): FieldSet | undefined {
  if (typeof value === 'object' && value !== null && shape.kind !== 'leaf') {
    if (Array.isArray(value)) {
      const elements = shape.kind === 'keyed' || shape.kind === 'set' ? elementsOf(value, shape) : undefined;
      if (elements === undefined || elements.size === 0) return isNew ? emptySet : undefined;
      const children: Record<string, FieldSet> = {};
      for (const [key, item] of elements) {
        children[key] = (shape.kind === 'keyed' ? addedNode(item, shape.element, true) : undefined) ?? emptySet;
      }
      return makeNode(isNew, children);
    }
    if (shape.kind !== 'keyed' && shape.kind !== 'set') {
      return makeNode(isNew, addedChildren(value as JsonObject, shape, isNew));
    }
  }
  return isNew ? emptySet : undefined;
}

interface Changes {
  added?: FieldSet | undefined;
  modified?: FieldSet | undefined;
  removed?: FieldSet | undefined;
}

const kinds = ['added', 'modified', 'removed'] as const;
const nothing: Changes = {};

/** Fields added, changed and taken away, by the shape of the object. */
export function compareObjects(old: JsonObject, now: JsonObject, shape: Shape): Comparison {
  const { added = emptySet, modified = emptySet, removed = emptySet } = compareFields(old, now, shape) ?? nothing;
  return { added, modified, removed };
}

/** Collects the changes of the parts of a value. */
class Parts {
  readonly #children: Record<(typeof kinds)[number], Record<string, FieldSet> | undefined> = {
    added: undefined,
    modified: undefined,
    removed: undefined,
  };

  add(element: string, changes: Changes): void {
    for (const kind of kinds) {
      const node = changes[kind];
      if (node === undefined) continue;
      const children = this.#children[kind] ?? {};
      children[element] = node;
      this.#children[kind] = children;
    }
  }

  changes(added: boolean, removed: boolean): Changes {
    return {
      added: makeNode(added, this.#children.added),
      modified: makeNode(false, this.#children.modified),
      removed: makeNode(removed, this.#children.removed),
    };
  }
}

function compareFields(old: JsonObject, now: JsonObject, shape: Shape, added = false, removed = false): Changes {
  const parts = new Parts();
  for (const name in now) {
    const before = old[name];
    const after = now[name];
    if (before === after) continue;
    const { shape: child, always } = fieldOf(shape, name);
    const changes = compareValue(added ? before : (before ?? always), after, child);
    if (changes !== undefined) parts.add(`f:${name}`, changes);
  }
  for (const name in old) {
    if (now[name] !== undefined || old[name] === undefined) continue;
    const { shape: child, always } = fieldOf(shape, name);
    const changes = compareValue(old[name], removed ? undefined : always, child);
    if (changes !== undefined) parts.add(`f:${name}`, changes);
  }
  return parts.changes(added, removed);
}

const isVacant = (value: unknown) =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);

function compareValue(old: unknown, now: unknown, shape: Shape): Changes | undefined {
  if (old === undefined && now === undefined) return undefined;
  const added = old === undefined;
  const removed = now === undefined;
  const vacant = isVacant(old) && isVacant(now);
  if (!vacant && (shape.kind === 'struct' || shape.kind === 'map' || shape.kind === 'deduced')) {
    if ((added || isObject(old)) && (removed || isObject(now))) {
      return compareFields((old ?? {}) as JsonObject, (now ?? {}) as JsonObject, shape, added, removed);
    }
  }
  if (!vacant && (shape.kind === 'keyed' || shape.kind === 'set')) {
    if ((added || Array.isArray(old)) && (removed || Array.isArray(now))) {
      const before = elementsOf((old ?? []) as unknown[], shape);
      const after = elementsOf((now ?? []) as unknown[], shape);
      if (before !== undefined && after !== undefined) return compareElements(before, after, shape, added, removed);
    }
  }
  if (added) return { added: emptySet };
  if (removed) return { removed: emptySet };
  return equalJson(old, now) ? undefined : { modified: emptySet };
}

function compareElements(
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
  shape: Extract<Shape, { kind: 'keyed' | 'set' }>,
  added: boolean,
  removed: boolean,
): Changes {
  const element: Shape = shape.kind === 'keyed' ? shape.element : { kind: 'leaf' };
  const parts = new Parts();
  for (const [key, item] of after) {
    const changes = compareValue(before.get(key), item, element);
    if (changes !== undefined) parts.add(key, changes);
  }
  for (const [key, item] of before) {
    if (after.has(key)) continue;
    const changes = compareValue(item, undefined, element);
    if (changes !== undefined) parts.add(key, changes);
  }
  return parts.changes(added, removed);
}

/** The elements of a list by path element; undefined when two share one, or one has no key: then it is a leaf. */
export function elementsOf(
  list: readonly unknown[],
  shape: Extract<Shape, { kind: 'keyed' | 'set' }>,
): Map<string, unknown> | undefined {
  const elements = new Map<string, unknown>();
  for (const item of list) {
    const element =
      shape.kind === 'set' ? `v:${JSON.stringify(item)}` : isObject(item) ? keyElement(shape, item) : undefined;
    if (element === undefined || elements.has(element)) return undefined;
    elements.set(element, item);
  }
  return elements;
}
