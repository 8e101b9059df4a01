/**
 * The part of JSONPath that printer columns, scale paths and selectable fields use: `.spec.replicas`, `.a['b.c']`,
 * `.list[0]`, `.list[*].name`, `.conditions[?(@.type=="Ready")].status`.
 */

type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'filter'; readonly path: readonly Step[]; readonly operator: string; readonly operand: unknown };

/** A path that cannot be read. */
export class JsonPathError extends Error {
  override readonly name = 'JsonPathError';
}

export type JsonPath = (object: unknown) => readonly unknown[];

/** Compiles a path; the result yields every value it leads to. Throws a `JsonPathError`. */
export function compileJsonPath(text: string): JsonPath {
  const source = /^\{.*\}$/.test(text) ? text.slice(1, -1) : text;
  const steps = parseSteps(source.replace(/^[$@]/, ''));
  return (object) => follow([object], steps);
}

function parseSteps(text: string): Step[] {
  const steps: Step[] = [];
  let rest = text;
  while (rest !== '') {
    const field = /^\.?((?:[^.[\]\\'"\s]|\\.)+)/.exec(rest);
    if (rest.startsWith('[')) {
      const end = closing(rest);
      steps.push(bracket(rest.slice(1, end).trim()));
      rest = rest.slice(end + 1);
    } else if (field !== null) {
      const name = field[1]!.replace(/\\(.)/g, '$1');
      steps.push(name === '*' ? { kind: 'all' } : { kind: 'field', name });
      rest = rest.slice(field[0].length);
    } else throw new JsonPathError(`unrecognized character in action: ${JSON.stringify(rest[0])}`);
  }
  return steps;
}

/** Index of the bracket that closes the one `text` begins with. */
function closing(text: string): number {
  let depth = 0;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote !== '') {
      if (char === quote) quote = '';
    } else if (char === '"' || char === "'") quote = char;
    else if (char === '[') depth++;
    else if (char === ']' && --depth === 0) return i;
  }
  throw new JsonPathError('unterminated array');
}

function bracket(text: string): Step {
  if (text === '*') return { kind: 'all' };
  if (/^-?\d+$/.test(text)) return { kind: 'index', index: Number(text) };
  const quoted = /^(['"])(.*)\1$/.exec(text);
  if (quoted !== null) return { kind: 'field', name: quoted[2]! };
  const filter = /^\?\(\s*@([^=!<>]*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)$/.exec(text);
  if (filter === null) throw new JsonPathError(`invalid array index ${text}`);
  return { kind: 'filter', path: parseSteps(filter[1]!), operator: filter[2] ?? '', operand: literal(filter[3] ?? '') };
}

function literal(text: string): unknown {
  const quoted = /^(['"])(.*)\1$/.exec(text);
  if (quoted !== null) return quoted[2];
  if (text === 'true' || text === 'false') return text === 'true';
  return text === '' ? undefined : Number(text);
}

function holds(left: unknown, operator: string, right: unknown): boolean {
  switch (operator) {
    case '':
      return left !== undefined;
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    case '<':
      return (left as number) < (right as number);
    case '<=':
      return (left as number) <= (right as number);
    case '>':
      return (left as number) > (right as number);
    default:
      return (left as number) >= (right as number);
  }
}

function follow(from: readonly unknown[], steps: readonly Step[]): unknown[] {
  let values = [...from];
  for (const step of steps) values = values.flatMap((value) => stepInto(value, step));
  return values;
}

function stepInto(value: unknown, step: Step): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  switch (step.kind) {
    case 'field': {
      const found = Array.isArray(value) ? undefined : (value as Record<string, unknown>)[step.name];
      return found === undefined ? [] : [found];
    }
    case 'index': {
      const found: unknown = Array.isArray(value) ? value.at(step.index) : undefined;
      return found === undefined ? [] : [found];
    }
    case 'all':
      return Object.values(value);
    case 'filter':
      return Object.values(value).filter((item) => holds(follow([item], step.path)[0], step.operator, step.operand));
  }
}
