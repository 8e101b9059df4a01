import type { Environment } from '@marcbachmann/cel-js';

type Comparable = bigint | number | string | boolean | Date;

/** Equality of CEL values: ints are bigints, lists and maps compare by content. */
export function celEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a === 'bigint' || typeof b === 'bigint') {
    return (typeof a === 'number' || typeof b === 'number') && Number(a) === Number(b);
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => celEqual(item, b[index]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length &&
    names.every((name) => name in right && celEqual(left[name], right[name]))
  );
}

function extreme(list: readonly Comparable[], name: string, better: (a: Comparable, b: Comparable) => boolean) {
  if (list.length === 0) throw new Error(`${name} called on empty list`);
  return list.reduce((best, item) => (better(item, best) ? item : best));
}

function sum(list: readonly (bigint | number)[]): bigint | number {
  if (list.length === 0) return 0n;
  return list.reduce((total, item) => (total as number) + (item as number));
}

/** The list library of Kubernetes: `isSorted`, `sum`, `min`, `max`, `indexOf`, `lastIndexOf`. */
export function registerListFunctions(environment: Environment): void {
  environment
    .registerFunction('list.isSorted(): bool', (list: readonly Comparable[]) =>
      list.every((item, index) => index === 0 || list[index - 1]! <= item),
    )
    .registerFunction('list.sum(): dyn', sum)
    .registerFunction('list.min(): dyn', (list: readonly Comparable[]) => extreme(list, 'min', (a, b) => a < b))
    .registerFunction('list.max(): dyn', (list: readonly Comparable[]) => extreme(list, 'max', (a, b) => a > b))
    .registerFunction('list.indexOf(dyn): int', (list: readonly unknown[], value: unknown) =>
      BigInt(list.findIndex((item) => celEqual(item, value))),
    )
    .registerFunction('list.lastIndexOf(dyn): int', (list: readonly unknown[], value: unknown) => {
      for (let i = list.length - 1; i >= 0; i--) if (celEqual(list[i], value)) return BigInt(i);
      return -1n;
    });
}

class Sets {}

const has = (list: readonly unknown[], value: unknown) => list.some((item) => celEqual(item, value));
const containsAll = (list: readonly unknown[], of: readonly unknown[]) => of.every((value) => has(list, value));

/** `sets.contains`, `sets.equivalent`, `sets.intersects`. */
export function registerSetFunctions(environment: Environment): void {
  environment
    .registerType('Sets', { ctor: Sets, fields: {} })
    .registerConstant('sets', 'Sets', new Sets())
    .registerFunction('Sets.contains(list, list): bool', (_: Sets, a: unknown[], b: unknown[]) => containsAll(a, b))
    .registerFunction(
      'Sets.equivalent(list, list): bool',
      (_: Sets, a: unknown[], b: unknown[]) => containsAll(a, b) && containsAll(b, a),
    )
    .registerFunction('Sets.intersects(list, list): bool', (_: Sets, a: unknown[], b: unknown[]) =>
      a.some((value) => has(b, value)),
    );
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return `{${Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => `${key}: ${shown(item)}`)
      .join(', ')}}`;
  }
  return String(value);
}

function format(template: string, values: readonly unknown[]): string {
  let next = 0;
  return template.replace(/%(?:\.(\d+))?([sdfexXobv%])/g, (_, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    if (next >= values.length) throw new Error('index out of range in format');
    const value = values[next++];
    const digits = precision === undefined ? 6 : Number(precision);
    if (verb === 'f') return Number(value).toFixed(digits);
    if (verb === 'e')
      return Number(value)
        .toExponential(digits)
        .replace(/e([+-])(\d)$/, 'e$10$2');
    if (verb === 'b') return typeof value === 'boolean' ? (value ? '1' : '0') : BigInt(value as bigint).toString(2);
    if (verb === 'o') return BigInt(value as bigint).toString(8);
    if (verb === 'x' || verb === 'X') {
      const hex = typeof value === 'string' ? Buffer.from(value).toString('hex') : BigInt(value as bigint).toString(16);
      return verb === 'x' ? hex : hex.toUpperCase();
    }
    return shown(value);
  });
}

const find = (text: string, pattern: string) => new RegExp(pattern).exec(text)?.[0] ?? '';
const findAll = (text: string, pattern: string, most = -1n) => {
  const all = [...text.matchAll(new RegExp(pattern, 'g'))].map(([match]) => match);
  return most < 0n ? all : all.slice(0, Number(most));
};

/** The regex library and what CEL's string extension has beyond the evaluator's own functions. */
export function registerStringFunctions(environment: Environment): void {
  environment
    .registerFunction('string.find(string): string', find)
    .registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) => findAll(text, pattern))
    .registerFunction('string.findAll(string, int): list<string>', findAll)
    .registerFunction('string.charAt(int): string', (text: string, index: bigint) => {
      if (index < 0n || index > BigInt(text.length)) throw new Error(`index out of range: ${index}`);
      return text.charAt(Number(index));
    })
    .registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
      text.replaceAll(from, () => to),
    )
    .registerFunction(
      'string.replace(string, string, int): string',
      (text: string, from: string, to: string, most: bigint) => {
        let result = text;
        let at = 0;
        for (let i = 0n; most < 0n || i < most; i++) {
          const found = result.indexOf(from, at);
          if (found === -1) break;
          result = result.slice(0, found) + to + result.slice(found + from.length);
          at = found + to.length;
        }
        return result;
      },
    )
    .registerFunction('string.reverse(): string', (text: string) => [...text].reverse().join(''))
    .registerFunction('string.format(list): string', format);
}
