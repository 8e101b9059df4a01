import { parseTime } from '../../apimachinery/time.ts';
import { compileGoPattern } from '../cel/go-pattern.ts';
import { jsonEqual } from '../registry/deep-equal.ts';
import { type Errors, notSupported, tooMany } from '../validation/field-error.ts';
import { matchesFormat } from './formats.ts';
import { fieldPath, isJsonObject, type JsonObject, type JsonSchema, propertySchema } from './json-schema.ts';

/**
 * Values against a schema, in the words of the OpenAPI validator that Kubernetes uses: `spec.replicas in body should be
 * greater than or equal to 1`.
 */

/** Below this a path names the thing itself; at the root there is nothing to name. */
const inBody = (path: string): string => (path === '' ? 'in body' : `${path} in body`);

function goType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value === 'boolean' ? 'boolean' : typeof value;
}

function fail(errors: Errors, path: string, value: unknown, why: string): void {
  const shown = value === null ? '"null"' : JSON.stringify(value);
  errors.push({ type: 'FieldValueInvalid', field: rooted(path), detail: `Invalid value: ${shown}: ${why}` });
}

const rooted = (path: string): string => (path === '' ? '<nil>' : path);

/** Combinations have no field of their own in the original's answers. */
function failWhole(errors: Errors, why: string): void {
  errors.push({ type: 'FieldValueInvalid', field: '<nil>', detail: `Invalid value: "": ${why}` });
}

function typeInvalid(errors: Errors, path: string, shown: string, expected: string): void {
  const value = JSON.stringify(shown);
  const detail = `Invalid value: ${value}: ${inBody(path)} must be of type ${expected}: ${value}`;
  errors.push({ type: 'FieldValueTypeInvalid', field: rooted(path), detail });
}

function hasType(value: unknown, type: string): boolean {
  const actual = goType(value);
  return actual === type || (type === 'number' && actual === 'integer');
}

/** False when the value is of another type than the schema's: nothing more can be said of it then. */
function checkType(value: unknown, schema: JsonSchema, path: string, errors: Errors): boolean {
  if (value === null && schema.nullable === true) return false;
  if (schema['x-kubernetes-int-or-string'] === true) {
    const actual = goType(value);
    if (actual === 'integer' || actual === 'string') return true;
    typeInvalid(errors, path, actual, 'integer,string');
    return false;
  }
  if (schema.type === undefined || schema.type === '') return value !== null;
  if (hasType(value, schema.type)) return true;
  typeInvalid(errors, path, goType(value), schema.type);
  return false;
}

function checkNumber(value: number, schema: JsonSchema, path: string, errors: Errors): void {
  const { minimum, maximum, multipleOf } = schema;
  if (maximum !== undefined) {
    const strict = schema.exclusiveMaximum === true;
    if (strict ? value >= maximum : value > maximum) {
      fail(errors, path, value, `${inBody(path)} should be less than ${strict ? '' : 'or equal to '}${maximum}`);
    }
  }
  if (minimum !== undefined) {
    const strict = schema.exclusiveMinimum === true;
    if (strict ? value <= minimum : value < minimum) {
      fail(errors, path, value, `${inBody(path)} should be greater than ${strict ? '' : 'or equal to '}${minimum}`);
    }
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
    fail(errors, path, value, `${inBody(path)} should be a multiple of ${multipleOf}`);
  }
}

function checkString(value: string, schema: JsonSchema, path: string, errors: Errors): void {
  const { maxLength, minLength, pattern, format } = schema;
  const length = [...value].length;
  if (maxLength !== undefined && length > maxLength) {
    const units = maxLength === 1 ? 'byte' : 'bytes';
    errors.push({
      type: 'FieldValueTooLong',
      field: rooted(path),
      detail: `Too long: may not be more than ${maxLength} ${units}`,
    });
  }
  if (minLength !== undefined && length < minLength) {
    fail(errors, path, value, `${inBody(path)} should be at least ${minLength} chars long`);
  }
  if (pattern !== undefined && compileGoPattern(pattern)?.test(value) === false) {
    fail(errors, path, value, `${inBody(path)} should match '${pattern}'`);
  }
  if (format !== undefined && !matchesFormat(format, value, parseTime)) typeInvalid(errors, path, value, format);
}

function checkArray(value: readonly unknown[], schema: JsonSchema, path: string, errors: Errors): void {
  const { minItems, maxItems, items } = schema;
  if (items !== undefined) {
    for (const [index, item] of value.entries()) validateValue(item, items, `${path}[${index}]`, errors);
  }
  if (minItems !== undefined && value.length < minItems) {
    fail(errors, path, value.length, `${inBody(path)} should have at least ${minItems} items`);
  }
  if (maxItems !== undefined && value.length > maxItems) tooMany(errors, rooted(path), value.length, maxItems);
  if (schema.uniqueItems === true && new Set(value.map((item) => JSON.stringify(item))).size < value.length) {
    fail(errors, path, value, `${inBody(path)} shouldn't contain duplicates`);
  }
}

function checkObject(value: JsonObject, schema: JsonSchema, path: string, errors: Errors): void {
  const names = Object.keys(value);
  const { minProperties, maxProperties } = schema;
  if (minProperties !== undefined && names.length < minProperties) {
    fail(errors, path, names.length, `${inBody(path)} should have at least ${minProperties} properties`);
  }
  if (maxProperties !== undefined && names.length > maxProperties) {
    tooMany(errors, rooted(path), names.length, maxProperties);
  }
  for (const name of schema.required ?? []) {
    if (value[name] === undefined) {
      errors.push({ type: 'FieldValueRequired', field: fieldPath(path, name), detail: 'Required value' });
    }
  }
  for (const name of names) {
    const known = propertySchema(schema, name);
    if (known !== undefined) validateValue(value[name], known, fieldPath(path, name), errors);
    else if (schema.additionalProperties === false) {
      fail(errors, path, value, `${fieldPath(path, name)} in body is a forbidden property`);
    }
  }
}

function errorsOf(value: unknown, schema: JsonSchema, path: string): Errors {
  const errors: Errors = [];
  // Types are declared outside of combinations: what is inside of them only adds to it.
  validateValue(value, schema, path, errors);
  return errors;
}

function checkCombinations(value: unknown, schema: JsonSchema, path: string, errors: Errors): void {
  const quoted = JSON.stringify(path);
  const { allOf, anyOf, oneOf, not } = schema;
  for (const one of allOf ?? []) validateValue(value, one, path, errors);
  if (anyOf !== undefined && anyOf.length > 0) {
    const results = anyOf.map((one) => errorsOf(value, one, path));
    if (results.every((result) => result.length > 0)) {
      failWhole(errors, `${quoted} must validate at least one schema (anyOf)`);
      errors.push(...fewest(results));
    }
  }
  if (oneOf !== undefined && oneOf.length > 0) {
    const results = oneOf.map((one) => errorsOf(value, one, path));
    const valid = results.filter((result) => result.length === 0).length;
    if (valid !== 1) {
      const found = valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`;
      failWhole(errors, `${quoted} must validate one and only one schema (oneOf). ${found}`);
      if (valid === 0) errors.push(...fewest(results));
    }
  }
  if (not !== undefined && errorsOf(value, not, path).length === 0) {
    failWhole(errors, `${quoted} must not validate the schema (not)`);
  }
}

function fewest(results: readonly Errors[]): Errors {
  return results.reduce((best, result) => (result.length < best.length ? result : best));
}

/** Pushes what is wrong with `value`; `path` is empty for the object itself. */
export function validateValue(value: unknown, schema: JsonSchema, path: string, errors: Errors): void {
  if (!checkType(value, schema, path, errors)) return;
  if (typeof value === 'number') checkNumber(value, schema, path, errors);
  else if (typeof value === 'string') checkString(value, schema, path, errors);
  else if (Array.isArray(value)) checkArray(value, schema, path, errors);
  else if (isJsonObject(value)) checkObject(value, schema, path, errors);
  const choices = schema.enum;
  if (choices !== undefined && choices.length > 0 && !choices.some((choice) => jsonEqual(choice, value))) {
    const texts = choices.map((choice) => (typeof choice === 'string' ? choice : JSON.stringify(choice)));
    notSupported(errors, rooted(path), value, texts);
  }
  checkCombinations(value, schema, path, errors);
}

/** Elements of a `set` may not repeat, nor may the keys of a `map`. */
export function validateListTypes(value: unknown, schema: JsonSchema | undefined, path: string, errors: Errors): void {
  if (schema === undefined) return;
  if (Array.isArray(value)) {
    const type = schema['x-kubernetes-list-type'];
    const keys = schema['x-kubernetes-list-map-keys'] ?? [];
    const seen = new Set<string>();
    for (const [index, item] of value.entries()) {
      validateListTypes(item, schema.items, `${path}[${index}]`, errors);
      if (type !== 'set' && type !== 'map') continue;
      const key = type === 'set' || !isJsonObject(item) ? item : keysOf(item, keys, schema.items);
      const text = JSON.stringify(key);
      if (seen.has(text)) {
        errors.push({ type: 'FieldValueDuplicate', field: `${path}[${index}]`, detail: `Duplicate value: ${text}` });
      }
      seen.add(text);
    }
    return;
  }
  if (!isJsonObject(value)) return;
  for (const name of Object.keys(value)) {
    validateListTypes(value[name], propertySchema(schema, name), fieldPath(path, name), errors);
  }
}

function keysOf(item: JsonObject, keys: readonly string[], items: JsonSchema | undefined): JsonObject {
  return Object.fromEntries(keys.map((key) => [key, item[key] ?? items?.properties?.[key]?.default]));
}
