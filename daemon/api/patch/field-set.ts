/**
 * A set of fields of an object, in the very form `metadata.managedFields` stores it (FieldsV1): names are path elements
 * (`f:spec`, `k:{"name":"a"}`, `v:"x"`), an element without names below it is in the set, one with names is in it when
 * it also has the name `.`. Values are never changed: every operation makes what it yields.
 */
export interface FieldSet {
  readonly [element: string]: FieldSet;
}

/** The empty set at the root; below the root, an element that is in the set with nothing below it. */
export const emptySet: FieldSet = Object.freeze({});

const self = '.';

export function isEmptySet(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** Whether the element itself is in the set: not for the root. */
export function isMember(node: FieldSet | undefined): boolean {
  return node !== undefined && (isEmptySet(node) || self in node);
}

/** An element of a set from its parts; undefined when nothing of it is in the set. */
export function makeNode(member: boolean, children: Record<string, FieldSet> | undefined): FieldSet | undefined {
  if (children === undefined || isEmptySet(children)) return member ? emptySet : undefined;
  return member ? { [self]: emptySet, ...children } : children;
}

type Combine = (left: FieldSet | undefined, right: FieldSet | undefined) => FieldSet | undefined;

function childrenOf(
  left: FieldSet | undefined,
  right: FieldSet | undefined,
  combine: Combine,
): Record<string, FieldSet> {
  const children: Record<string, FieldSet> = {};
  for (const name in left) {
    if (name === self) continue;
    const child = combine(left[name], right?.[name]);
    if (child !== undefined) children[name] = child;
  }
  return children;
}

const unionNode: Combine = (left, right) => {
  if (left === undefined) return right;
  if (right === undefined) return left;
  const children = childrenOf(left, right, unionNode);
  for (const name in right) if (name !== self && !(name in children)) children[name] = right[name]!;
  return makeNode(isMember(left) || isMember(right), children);
};

const differenceNode: Combine = (left, right) => {
  if (left === undefined || right === undefined) return left;
  return makeNode(isMember(left) && !isMember(right), childrenOf(left, right, differenceNode));
};

const intersectionNode: Combine = (left, right) => {
  if (left === undefined || right === undefined) return undefined;
  return makeNode(isMember(left) && isMember(right), childrenOf(left, right, intersectionNode));
};

/** The root is no element: it is never in a set. */
function atRoot(combine: Combine, left: FieldSet, right: FieldSet): FieldSet {
  const children = childrenOf(left, right, combine);
  if (combine === unionNode) for (const name in right) if (!(name in children)) children[name] = right[name]!;
  return children;
}

export const union = (left: FieldSet, right: FieldSet): FieldSet => atRoot(unionNode, left, right);
export const difference = (left: FieldSet, right: FieldSet): FieldSet => atRoot(differenceNode, left, right);
export const intersection = (left: FieldSet, right: FieldSet): FieldSet => atRoot(intersectionNode, left, right);

export function equalSets(left: FieldSet, right: FieldSet): boolean {
  return isEmptySet(difference(left, right)) && isEmptySet(difference(right, left));
}

/** `.spec.containers[name="a"].image`, as messages show a path element after element. */
function elementText(element: string): string {
  const content = element.slice(2);
  switch (element.slice(0, 2)) {
    case 'f:':
      return `.${content}`;
    case 'k:': {
      const keys = Object.entries(JSON.parse(content) as Record<string, unknown>);
      return `[${keys.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`;
    }
    case 'v:':
      return `[=${content}]`;
    default:
      return `[${content}]`;
  }
}

/** The fields in a set, each as a path in words. */
export function pathsOf(set: FieldSet, prefix = ''): string[] {
  const paths: string[] = [];
  for (const [element, node] of Object.entries(set)) {
    if (element === self) continue;
    const path = prefix + elementText(element);
    if (isMember(node)) paths.push(path);
    paths.push(...pathsOf(node, path));
  }
  return paths;
}

const kindOrder = ['.', 'f', 'k', 'v', 'i'];

function compareElements(left: string, right: string): number {
  const kinds = kindOrder.indexOf(left[0]!) - kindOrder.indexOf(right[0]!);
  return kinds !== 0 ? kinds : left < right ? -1 : left > right ? 1 : 0;
}

/** The same set with its elements in the order Kubernetes writes them. */
export function sortedSet(set: FieldSet): FieldSet {
  const sorted: Record<string, FieldSet> = {};
  const names = Object.keys(set);
  if (names.length > 1) names.sort(compareElements);
  for (const name of names) sorted[name] = sortedSet(set[name]!);
  return sorted;
}
