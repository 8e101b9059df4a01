import { labelKeyErrors, labelValueErrors } from './label-syntax.ts';
import type { LabelSelector, LabelSelectorRequirement } from './types/meta-v1.ts';

export type Labels = Readonly<Record<string, string>>;

export type LabelOperator = 'in' | 'notin' | '=' | '==' | '!=' | 'exists' | '!' | 'gt' | 'lt';

const binaryOperators: readonly LabelOperator[] = ['in', 'notin', '=', '==', '!=', 'gt', 'lt'];

/** One clause of a selector. */
export interface Requirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Sorted; empty for `exists` and `!`. */
  readonly values: readonly string[];
}

/** A selector that cannot be; the message is the one Kubernetes answers. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError';
}

/** What labels must satisfy: every requirement. No requirement matches everything. Immutable. */
export class LabelMatcher {
  readonly requirements: readonly Requirement[];
  readonly #nothing: boolean;

  constructor(requirements: readonly Requirement[], nothing = false) {
    this.requirements = requirements;
    this.#nothing = nothing;
  }

  get isEverything(): boolean {
    return !this.#nothing && this.requirements.length === 0;
  }

  get isNothing(): boolean {
    return this.#nothing;
  }

  matches(labels: Labels | undefined): boolean {
    if (this.#nothing) {
      return false;
    }
    for (const requirement of this.requirements) {
      if (!satisfies(requirement, labels)) {
        return false;
      }
    }
    return true;
  }

  /** The string form, which parses to an equal selector. */
  toString(): string {
    return this.requirements.map(formatRequirement).join(',');
  }
}

export const matchEverything: LabelMatcher = new LabelMatcher([]);
export const matchNothing: LabelMatcher = new LabelMatcher([], true);

function satisfies({ key, operator, values }: Requirement, labels: Labels | undefined): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'in':
    case '=':
    case '==':
      return value !== undefined && values.includes(value);
    case 'notin':
    case '!=':
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'gt':
    case 'lt': {
      if (value === undefined || !integer.test(value)) {
        return false;
      }
      const bound = BigInt(values[0]!);
      return operator === 'gt' ? BigInt(value) > bound : BigInt(value) < bound;
    }
  }
}

const integer = /^-?[0-9]+$/;

function formatRequirement({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'in':
    case 'notin':
      return `${key} ${operator} (${values.join(',')})`;
    case 'gt':
      return `${key}>${values[0]}`;
    case 'lt':
      return `${key}<${values[0]}`;
    default:
      return `${key}${operator}${values[0]}`;
  }
}

/** Checks and builds one requirement (`labels.NewRequirement`); throws `SelectorError`. */
export function newRequirement(key: string, operator: LabelOperator, values: readonly string[]): Requirement {
  const errors = labelKeyErrors(key).length > 0 ? [invalid('key', key, labelKeyErrors(key).join('; '))] : [];
  switch (operator) {
    case 'in':
    case 'notin':
      if (values.length === 0) {
        errors.push(invalid('values', values, "for 'in', 'notin' operators, values set can't be empty"));
      }
      break;
    case '=':
    case '==':
    case '!=':
      if (values.length !== 1) {
        errors.push(invalid('values', values, 'exact-match compatibility requires one single value'));
      }
      break;
    case 'exists':
    case '!':
      if (values.length !== 0) {
        errors.push(invalid('values', values, 'values set must be empty for exists and does not exist'));
      }
      break;
    case 'gt':
    case 'lt':
      if (values.length !== 1) {
        errors.push(invalid('values', values, "for 'Gt', 'Lt' operators, exactly one value is required"));
      }
      values.forEach((value, i) => {
        if (!integer.test(value)) {
          errors.push(invalid(`values[${i}]`, value, "for 'Gt', 'Lt' operators, the value must be an integer"));
        }
      });
      break;
  }
  values.forEach((value, i) => {
    const broken = labelValueErrors(value);
    if (broken.length > 0) {
      errors.push(invalid(`values[${i}][${key}]`, value, broken.join('; ')));
    }
  });
  if (errors.length > 0) {
    throw new SelectorError(errors.length === 1 ? errors[0] : `[${errors.join(', ')}]`);
  }
  return { key, operator, values };
}

function invalid(field: string, value: string | readonly string[], detail: string): string {
  return `${field}: Invalid value: ${JSON.stringify(value)}: ${detail}`;
}

type Token = 'identifier' | 'end' | '(' | ')' | ',' | '!' | '=' | '==' | '!=' | '>' | '<' | 'in' | 'notin';

interface Lexeme {
  readonly token: Token;
  readonly text: string;
}

const special = '=!(),><';

function scan(text: string): Lexeme[] {
  const lexemes: Lexeme[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text[at]!;
    if (' \t\r\n'.includes(char)) {
      at++;
    } else if (special.includes(char)) {
      const pair = text.slice(at, at + 2);
      const token = pair === '==' || pair === '!=' ? pair : char;
      lexemes.push({ token: token as Token, text: token });
      at += token.length;
    } else {
      let end = at;
      while (end < text.length && !special.includes(text[end]!) && !' \t\r\n'.includes(text[end]!)) {
        end++;
      }
      const word = text.slice(at, end);
      lexemes.push({ token: word === 'in' || word === 'notin' ? word : 'identifier', text: word });
      at = end;
    }
  }
  lexemes.push({ token: 'end', text: '' });
  return lexemes;
}

/** Reads the lexemes; `in` and `notin` are words like others wherever an operator cannot be. */
class Parser {
  readonly #lexemes: readonly Lexeme[];
  #at = 0;

  constructor(text: string) {
    this.#lexemes = scan(text);
  }

  parse(): Requirement[] {
    const requirements: Requirement[] = [];
    for (;;) {
      const first = this.#peek();
      if (first.token === 'end') {
        return requirements;
      }
      if (first.token !== 'identifier' && first.token !== '!') {
        throw new SelectorError(`found '${first.text}', expected: !, identifier, or 'end of string'`);
      }
      requirements.push(this.#requirementOrError());
      const next = this.#take();
      if (next.token === 'end') {
        return requirements;
      }
      if (next.token !== ',') {
        throw new SelectorError(`found '${next.text}', expected: ',' or 'end of string'`);
      }
      const after = this.#peek();
      if (after.token !== 'identifier' && after.token !== '!') {
        throw new SelectorError(`found '${after.text}', expected: identifier after ','`);
      }
    }
  }

  #requirementOrError(): Requirement {
    try {
      return this.#requirement();
    } catch (error) {
      if (error instanceof SelectorError) {
        throw new SelectorError(`unable to parse requirement: ${error.message}`);
      }
      throw error;
    }
  }

  #requirement(): Requirement {
    let negated = false;
    let lexeme = this.#take();
    if (lexeme.token === '!') {
      negated = true;
      lexeme = this.#take();
    }
    if (lexeme.token !== 'identifier') {
      throw new SelectorError(`found '${lexeme.text}', expected: identifier`);
    }
    const key = lexeme.text;
    const broken = labelKeyErrors(key);
    if (broken.length > 0) {
      throw new SelectorError(invalid('<nil>', key, broken.join('; ')));
    }
    if (negated) {
      return newRequirement(key, '!', []);
    }
    const next = this.#peek();
    if (next.token === 'end' || next.token === ',') {
      return newRequirement(key, 'exists', []);
    }
    const operator = this.#operator();
    const values = operator === 'in' || operator === 'notin' ? this.#values() : this.#exactValue();
    return newRequirement(key, operator, [...new Set(values)].sort());
  }

  #operator(): LabelOperator {
    const { token, text } = this.#take(true);
    switch (token) {
      case 'in':
      case 'notin':
      case '=':
      case '==':
      case '!=':
        return token;
      case '>':
        return 'gt';
      case '<':
        return 'lt';
      default:
        throw new SelectorError(`found '${text}', expected: ${binaryOperators.join(', ')}`);
    }
  }

  #values(): string[] {
    const open = this.#take();
    if (open.token !== '(') {
      throw new SelectorError(`found '${open.text}' expected: '('`);
    }
    const first = this.#peek();
    if (first.token === ')') {
      this.#take();
      return [];
    }
    if (first.token !== 'identifier' && first.token !== ',') {
      throw new SelectorError(`found '${first.text}', expected: ',', ')' or identifier`);
    }
    const values = this.#identifiers();
    if (this.#take().token !== ')') {
      throw new SelectorError(`found '${first.text}', expected: ')'`);
    }
    return values;
  }

  #identifiers(): string[] {
    const values: string[] = [];
    for (;;) {
      const { token, text } = this.#take();
      const next = this.#peek();
      if (token === 'identifier') {
        values.push(text);
        if (next.token === ')') {
          return values;
        }
        if (next.token !== ',') {
          throw new SelectorError(`found '${next.text}', expected: ',' or ')'`);
        }
      } else if (token === ',') {
        // A comma with nothing on one side of it stands for the empty value: `(,a)`, `(a,)`, `(a,,b)`.
        if (values.length === 0) {
          values.push('');
        }
        if (next.token === ')') {
          values.push('');
          return values;
        }
        if (next.token === ',') {
          this.#take();
          values.push('');
        }
      } else {
        throw new SelectorError(`found '${text}', expected: ',', or identifier`);
      }
    }
  }

  #exactValue(): string[] {
    const next = this.#peek();
    if (next.token === 'end' || next.token === ',') {
      return [''];
    }
    const { token, text } = this.#take();
    if (token !== 'identifier') {
      throw new SelectorError(`found '${text}', expected: identifier`);
    }
    return [text];
  }

  #peek(): Lexeme {
    const lexeme = this.#lexemes[this.#at]!;
    return lexeme.token === 'in' || lexeme.token === 'notin' ? { token: 'identifier', text: lexeme.text } : lexeme;
  }

  #take(operatorExpected = false): Lexeme {
    const lexeme = operatorExpected ? this.#lexemes[this.#at]! : this.#peek();
    if (lexeme.token !== 'end') {
      this.#at++;
    }
    return lexeme;
  }
}

/** Parses `app=web,tier in (a, b),!canary`; requirements come sorted by key. Throws `SelectorError`. */
export function parseLabelSelector(text: string): LabelMatcher {
  const requirements = new Parser(text).parse();
  requirements.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return requirements.length === 0 ? matchEverything : new LabelMatcher(requirements);
}

const expressionOperators: ReadonlyMap<string, LabelOperator> = new Map([
  ['In', 'in'],
  ['NotIn', 'notin'],
  ['Exists', 'exists'],
  ['DoesNotExist', '!'],
]);

/**
 * The matcher of a `LabelSelector` field (`metav1.LabelSelectorAsSelector`): absent matches nothing, empty matches
 * everything. Throws `SelectorError`.
 */
export function labelSelectorMatcher(selector: LabelSelector | undefined | null): LabelMatcher {
  if (selector === undefined || selector === null) {
    return matchNothing;
  }
  const cached = matchers.get(selector);
  if (cached !== undefined) {
    return cached;
  }
  const requirements = Object.entries(selector.matchLabels ?? {}).map(([key, value]) =>
    newRequirement(key, '=', [value]),
  );
  for (const expression of selector.matchExpressions ?? []) {
    requirements.push(requirementOf(expression));
  }
  requirements.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const matcher = requirements.length === 0 ? matchEverything : new LabelMatcher(requirements);
  matchers.set(selector, matcher);
  return matcher;
}

/** Objects from the API are never changed, so a selector's matcher holds as long as the selector does. */
const matchers = new WeakMap<LabelSelector, LabelMatcher>();

function requirementOf(expression: LabelSelectorRequirement): Requirement {
  const operator = expressionOperators.get(expression.operator);
  if (operator === undefined) {
    throw new SelectorError(`"${expression.operator}" is not a valid label selector operator`);
  }
  return newRequirement(expression.key, operator, [...new Set(expression.values ?? [])].sort());
}

/** The matcher of a plain map, such as a Service's selector: every label must be there; an empty map matches everything. */
export function matchLabels(labels: Labels | undefined): LabelMatcher {
  const requirements = Object.entries(labels ?? {}).map(
    ([key, value]): Requirement => ({ key, operator: '=', values: [value] }),
  );
  return requirements.length === 0 ? matchEverything : new LabelMatcher(requirements);
}

/** As kubectl's columns show a `LabelSelector`: `<none>` when it selects everything or is absent. */
export function formatLabelSelector(selector: LabelSelector | undefined): string {
  try {
    return labelSelectorMatcher(selector).toString() || '<none>';
  } catch (error) {
    if (error instanceof SelectorError) {
      return '<error>';
    }
    throw error;
  }
}
