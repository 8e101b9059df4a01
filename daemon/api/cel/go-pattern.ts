import type { Environment } from '@marcbachmann/cel-js';
import { nextToken } from './tokens.ts';

const patterns = new Map<string, RegExp | undefined>();

/** Go's syntax where it is also ours; a pattern that is not is matched by nothing it could refuse. */
export function compileGoPattern(pattern: string): RegExp | undefined {
  if (patterns.has(pattern)) return patterns.get(pattern);
  let compiled: RegExp | undefined;
  const flags = /^\(\?([is]+)\)/.exec(pattern);
  const source = (flags === null ? pattern : pattern.slice(flags[0].length))
    .replaceAll('\\A', '^')
    .replaceAll('\\z', '$')
    .replaceAll('[[:alnum:]]', '[0-9A-Za-z]')
    .replaceAll('[[:alpha:]]', '[A-Za-z]')
    .replaceAll('[[:digit:]]', '[0-9]')
    .replaceAll('(?P<', '(?<');
  try {
    compiled = new RegExp(source, flags?.[1] ?? '');
  } catch {
    compiled = undefined;
  }
  patterns.set(pattern, compiled);
  return compiled;
}

/** As long as `matches`, so that places in messages stay what they are. */
const ownName = 'goMatch';

/**
 * The evaluator's own `matches` knows JavaScript's patterns alone and cannot be replaced: expressions are led to ours, which
 * reads Go's.
 */
export function withGoPatterns(expression: string): string {
  if (!expression.includes('matches')) return expression;
  let result = '';
  let rest = expression;
  while (rest !== '') {
    const token = nextToken(rest);
    rest = rest.slice(token.length);
    const isCall = /^(?:[A-Za-z_][\w.]*\.)?matches$/.test(token) && /^\s*\(/.test(rest);
    result += isCall ? `${token.slice(0, -ownName.length)}${ownName}` : token;
  }
  return result;
}

function matches(text: string, pattern: string): boolean {
  const compiled = compileGoPattern(pattern);
  if (compiled === undefined) throw new Error(`error parsing regexp: ${pattern}`);
  return compiled.test(text);
}

export function registerGoPatterns(environment: Environment): void {
  environment
    .registerFunction(`string.${ownName}(string): bool`, matches)
    .registerFunction(`${ownName}(string, string): bool`, matches);
}
