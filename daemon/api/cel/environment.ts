import { TypeError as CelTypeError, Environment, EvaluationError, ParseError } from '@marcbachmann/cel-js';
import { registerAddressFunctions } from './address-functions.ts';
import { registerListFunctions, registerSetFunctions, registerStringFunctions } from './collection-functions.ts';
import { registerGoPatterns, withGoPatterns } from './go-pattern.ts';
import { registerQuantityFunctions } from './quantity-functions.ts';
import { registerUrlFunctions } from './url-functions.ts';

/** An expression that does not compile; the message is shown after `compilation failed: `. */
export class CelCompileError extends Error {
  override readonly name = 'CelCompileError';
}

/** An expression that failed on the values it was given. */
export class CelRuntimeError extends Error {
  override readonly name = 'CelRuntimeError';
}

export interface CelProgram {
  /** `bool`, `string`, `dyn`...: what the type checker says the result is. */
  readonly type: string;
  /** Throws a `CelRuntimeError`. */
  evaluate(variables: Readonly<Record<string, unknown>>): unknown;
}

/** Times as text, in the forms that Go gives them. */
function registerTimeTexts(environment: Environment): void {
  environment
    .registerFunction('string(google.protobuf.Timestamp): string', (time: Date) =>
      time.toISOString().replace(/\.?0*Z$/, 'Z'),
    )
    .registerFunction('string(google.protobuf.Duration): string', (duration: object) => String(duration));
}

let base: Environment | undefined;

function baseEnvironment(): Environment {
  if (base === undefined) {
    base = new Environment({ homogeneousAggregateLiterals: false, enableOptionalTypes: true });
    registerListFunctions(base);
    registerSetFunctions(base);
    registerStringFunctions(base);
    registerQuantityFunctions(base);
    registerAddressFunctions(base);
    registerUrlFunctions(base);
    registerGoPatterns(base);
    registerTimeTexts(base);
  }
  return base;
}

/** Compiles expressions over a fixed set of variables, with the function libraries that Kubernetes adds to CEL. */
export class CelCompiler {
  readonly #environment: Environment;
  readonly #programs = new Map<string, CelProgram>();

  /** `variables`: the CEL type of each. */
  constructor(
    variables: Readonly<Record<string, string>>,
    extend: (environment: Environment) => void = () => undefined,
  ) {
    this.#environment = baseEnvironment().clone();
    extend(this.#environment);
    for (const [name, type] of Object.entries(variables)) this.#environment.registerVariable(name, type);
  }

  /** Throws a `CelCompileError`. */
  compile(expression: string): CelProgram {
    const known = this.#programs.get(expression);
    if (known !== undefined) return known;
    const program = this.#compile(expression);
    this.#programs.set(expression, program);
    return program;
  }

  #compile(expression: string): CelProgram {
    try {
      const parsed = this.#environment.parse(withGoPatterns(expression));
      const checked = parsed.check();
      if (!checked.valid) throw new CelCompileError(compileMessage(checked.error, expression));
      return {
        type: checked.type ?? 'dyn',
        evaluate(variables) {
          try {
            return parsed({ ...variables }) as unknown;
          } catch (error) {
            throw new CelRuntimeError(runtimeMessage(error));
          }
        },
      };
    } catch (error) {
      if (error instanceof ParseError) throw new CelCompileError(compileMessage(error, expression));
      throw error;
    }
  }
}

/** In the form of the original's checker: `ERROR: <input>:1:6: ...`, the expression, and a caret. */
function compileMessage(error: ParseError | CelTypeError | undefined, expression: string): string {
  const at = error?.range?.start ?? error?.node?.pos ?? 0;
  const before = expression.slice(0, at);
  const line = before.split('\n').length;
  const column = at - (before.lastIndexOf('\n') + 1);
  const text = expression.split('\n')[line - 1] ?? '';
  const summary = (error?.summary ?? 'invalid expression').replace(
    /^Unknown variable: (.*)$/,
    "undeclared reference to '$1' (in container '')",
  );
  return `ERROR: <input>:${line}:${column + 1}: ${summary}\n | ${text}\n | ${'.'.repeat(column)}^`;
}

function runtimeMessage(error: unknown): string {
  const summary =
    error instanceof EvaluationError || error instanceof CelTypeError || error instanceof ParseError
      ? error.summary
      : error instanceof Error
        ? error.message
        : String(error);
  return summary
    .replace(/^No such key: index out of bounds, index (-?\d+).*$/, 'index out of bounds: $1')
    .replace(/^No such key:/, 'no such key:');
}

/** A JSON value as CEL sees it without a schema: whole numbers are ints. */
export function toCel(value: unknown): unknown {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(toCel);
  const map: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const item = (value as Record<string, unknown>)[name];
    if (item !== undefined) map[name] = toCel(item);
  }
  return map;
}
