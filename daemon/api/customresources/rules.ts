import { Optional } from '@marcbachmann/cel-js';
import type { ValidationRule } from '../../apimachinery/types/apiextensions-v1.ts';
import { CelCompileError, CelCompiler, type CelProgram, CelRuntimeError } from '../cel/environment.ts';
import { jsonEqual } from '../registry/deep-equal.ts';
import type { FieldError } from '../resources/resource-row.ts';
import type { Errors } from '../validation/field-error.ts';
import { celValue } from './cel-value.ts';
import { fieldPath, isJsonObject, type JsonSchema, propertySchema } from './json-schema.ts';

interface CompiledRule {
  readonly rule: ValidationRule;
  readonly program: CelProgram;
  readonly messageProgram: CelProgram | undefined;
  /** Looks at the old value too: runs on updates only, unless the old value is optional. */
  readonly transition: boolean;
}

const plain = new CelCompiler({ self: 'dyn' });
const withOld = new CelCompiler({ self: 'dyn', oldSelf: 'dyn' });
const withOptionalOld = new CelCompiler({ self: 'dyn', oldSelf: 'optional' });

export function compileRule(rule: ValidationRule): CompiledRule {
  const transition = /\boldSelf\b/.test(rule.rule);
  const compiler = rule.optionalOldSelf === true ? withOptionalOld : transition ? withOld : plain;
  const program = compiler.compile(rule.rule);
  const messageProgram = rule.messageExpression ? compiler.compile(rule.messageExpression) : undefined;
  return { rule, program, messageProgram, transition };
}

/** Pushes what is wrong with the rules of a schema. */
export function checkRules(schema: JsonSchema, path: string, errors: Errors): void {
  for (const [index, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    const at = `${path}.x-kubernetes-validations[${index}]`;
    if (!rule.rule?.trim()) {
      errors.push({ type: 'FieldValueRequired', field: `${at}.rule`, detail: 'Required value: rule is not specified' });
      continue;
    }
    checkExpression(rule, at, errors);
  }
}

function checkExpression(rule: ValidationRule, at: string, errors: Errors): void {
  const refuse = (field: string, value: string, why: string) =>
    errors.push({ type: 'FieldValueInvalid', field, detail: `Invalid value: ${JSON.stringify(value)}: ${why}` });
  try {
    const { program } = compileRule({ ...rule, messageExpression: '' });
    if (program.type !== 'bool' && program.type !== 'dyn') {
      refuse(`${at}.rule`, rule.rule, 'cel expression must evaluate to a bool');
    }
  } catch (error) {
    if (!(error instanceof CelCompileError)) throw error;
    refuse(`${at}.rule`, rule.rule, `compilation failed: ${error.message}`);
    return;
  }
  if (!rule.messageExpression) return;
  try {
    const type = compileRule(rule).messageProgram?.type;
    if (type !== 'string' && type !== 'dyn') {
      refuse(`${at}.messageExpression`, rule.messageExpression, 'messageExpression must evaluate to a string');
    }
  } catch (error) {
    if (!(error instanceof CelCompileError)) throw error;
    refuse(`${at}.messageExpression`, rule.messageExpression, `messageExpression compilation failed: ${error.message}`);
  }
}

const compiledOf = new WeakMap<JsonSchema, readonly CompiledRule[]>();

function rulesOf(schema: JsonSchema): readonly CompiledRule[] {
  let rules = compiledOf.get(schema);
  if (rules === undefined) {
    rules = (schema['x-kubernetes-validations'] ?? []).map(compileRule);
    compiledOf.set(schema, rules);
  }
  return rules;
}

const withRules = new WeakMap<JsonSchema, boolean>();

/** Whether the schema has rules anywhere. */
export function hasRules(schema: JsonSchema | undefined): boolean {
  if (schema === undefined) return false;
  let known = withRules.get(schema);
  if (known === undefined) {
    const additional = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
    known =
      (schema['x-kubernetes-validations']?.length ?? 0) > 0 ||
      hasRules(schema.items) ||
      hasRules(additional) ||
      Object.values(schema.properties ?? {}).some(hasRules);
    withRules.set(schema, known);
  }
  return known;
}

/**
 * Runs the rules of `x-kubernetes-validations` over a value that fits its schema. `old` is the value before an update,
 * undefined when there was none. `isResource`: metadata is readable.
 */
export function validateRules(
  value: unknown,
  old: unknown,
  schema: JsonSchema | undefined,
  path: string,
  isResource: boolean,
  errors: Errors,
): void {
  if (schema === undefined || value === null || value === undefined || !hasRules(schema)) return;
  const rules = rulesOf(schema);
  if (rules.length > 0) {
    const self = celValue(value, schema, isResource);
    const oldSelf = old === undefined ? undefined : celValue(old, schema, isResource);
    const unchanged = old !== undefined && jsonEqual(value, old);
    for (const compiled of rules) {
      // What was stored under older rules may stay as it is.
      if (unchanged && !compiled.transition) continue;
      runRule(compiled, self, oldSelf, schema, path, errors);
    }
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const before = correlated(old, index, item, schema);
      validateRules(item, before, schema.items, `${path}[${index}]`, false, errors);
    }
    return;
  }
  if (!isJsonObject(value)) return;
  for (const name of Object.keys(value)) {
    const known = propertySchema(schema, name);
    const before = isJsonObject(old) ? (old[name] ?? undefined) : undefined;
    validateRules(value[name], before, known, fieldPath(path, name), false, errors);
  }
}

/** The old element with the same keys: only lists declared as maps have one. */
function correlated(old: unknown, _index: number, item: unknown, schema: JsonSchema): unknown {
  const keys = schema['x-kubernetes-list-map-keys'];
  if (schema['x-kubernetes-list-type'] !== 'map' || keys === undefined) return undefined;
  if (!Array.isArray(old) || !isJsonObject(item)) return undefined;
  return old.find((before) => isJsonObject(before) && keys.every((key) => jsonEqual(before[key], item[key])));
}

const reasons: Readonly<Record<string, FieldError['type']>> = {
  FieldValueInvalid: 'FieldValueInvalid',
  FieldValueForbidden: 'FieldValueForbidden',
  FieldValueRequired: 'FieldValueRequired',
  FieldValueDuplicate: 'FieldValueDuplicate',
};

function runRule(
  { rule, program, messageProgram, transition }: CompiledRule,
  self: unknown,
  oldSelf: unknown,
  schema: JsonSchema,
  path: string,
  errors: Errors,
): void {
  const optional = rule.optionalOldSelf === true;
  if (transition && !optional && oldSelf === undefined) return;
  const variables = transition || optional ? { self, oldSelf: optional ? optionalOf(oldSelf) : oldSelf } : { self };
  const field = path === '' ? '<nil>' : path;
  const at = rule.fieldPath === undefined ? field : `${path}${rule.fieldPath}`.replace(/^\./, '');
  const shown = JSON.stringify(schema.type ?? 'object');
  const message = () => {
    const computed = evaluateMessage(messageProgram, variables);
    return computed ?? (rule.message?.trim() ? rule.message.trim() : `failed rule: ${rule.rule.trim()}`);
  };
  try {
    if (program.evaluate(variables) === true) return;
    const type = reasons[rule.reason ?? ''] ?? 'FieldValueInvalid';
    const heads: Partial<Record<FieldError['type'], string>> = {
      FieldValueForbidden: 'Forbidden',
      FieldValueRequired: 'Required value',
      FieldValueDuplicate: `Duplicate value: ${shown}`,
    };
    const head = heads[type] ?? `Invalid value: ${shown}`;
    errors.push({ type, field: at, detail: type === 'FieldValueDuplicate' ? head : `${head}: ${message()}` });
  } catch (error) {
    if (!(error instanceof CelRuntimeError)) throw error;
    const detail = `Invalid value: ${shown}: ${error.message} evaluating rule: ${message()}`;
    errors.push({ type: 'FieldValueInvalid', field: at, detail });
  }
}

function evaluateMessage(program: CelProgram | undefined, variables: Record<string, unknown>): string | undefined {
  if (program === undefined) return undefined;
  try {
    const text = program.evaluate(variables);
    return typeof text === 'string' && text.trim() !== '' && !text.includes('\n') ? text.trim() : undefined;
  } catch (error) {
    if (error instanceof CelRuntimeError) return undefined;
    throw error;
  }
}

function optionalOf(value: unknown): Optional {
  return value === undefined ? Optional.none() : Optional.of(value);
}
