import { nextToken } from './tokens.ts';

/**
 * Message literals of CEL as map literals: `Object{spec: Object.spec{replicas: 3}}` becomes
 * `{"spec": {"replicas": 3}}`, and `JSONPatch{op: "add"}` likewise. The evaluator knows no messages, and those of admission
 * policies are nothing but maps whose keys are written without quotes.
 */
export function messagesAsMaps(expression: string): string {
  let result = '';
  /** For each open bracket: whether it is that of a message. */
  const open: boolean[] = [];
  let keyExpected = false;
  let rest = expression;
  while (rest !== '') {
    const token = nextToken(rest);
    rest = rest.slice(token.length);
    if (/^\s/.test(token)) {
      result += token;
      continue;
    }
    if (messageName.test(token) && /^\s*\{/.test(rest)) {
      const brace = /^\s*\{/.exec(rest)![0];
      rest = rest.slice(brace.length);
      result += '{';
      open.push(true);
      keyExpected = true;
      continue;
    }
    const inMessage = open[open.length - 1] === true;
    if (inMessage && keyExpected && /^[A-Za-z_]/.test(token) && /^\s*:/.test(rest)) {
      result += JSON.stringify(token);
      keyExpected = false;
      continue;
    }
    keyExpected = false;
    if (token === '{' || token === '[' || token === '(') open.push(false);
    else if (token === '}' || token === ']' || token === ')') open.pop();
    else if (token === ',' && inMessage) keyExpected = true;
    result += token;
  }
  return result;
}

const messageName = /^(?:Object(?:\.[A-Za-z_]\w*)*|JSONPatch)$/;

/** A value of CEL as JSON: ints become numbers. */
export function fromCel(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromCel);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([name, item]) => [String(name), fromCel(item)]));
}
