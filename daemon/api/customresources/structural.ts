import type { FieldError } from '../resources/resource-row.ts';
import { type Errors, forbidden, invalid, required } from '../validation/field-error.ts';
import type { JsonSchema } from './json-schema.ts';

/**
 * What makes a schema structural: every value has a type outside of combinations, and combinations only add limits.
 * Worded as Kubernetes' `structural-schema` package does.
 */
export function structuralErrors(schema: JsonSchema, path: string): FieldError[] {
  const errors: Errors = [];
  checkNode(schema, path, 'root', errors);
  if (schema.type !== 'object') {
    if (schema.type === undefined || schema.type === '')
      required(errors, `${path}.type`, 'must not be empty at the root');
    else invalid(errors, `${path}.type`, schema.type, 'must be object at the root');
  }
  return errors;
}

type Level = 'root' | 'item' | 'field';

function checkNode(schema: JsonSchema, path: string, level: Level, errors: Errors): void {
  const { type, items, properties, additionalProperties } = schema;
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const isIntOrString = schema['x-kubernetes-int-or-string'] === true;
  if ((type === undefined || type === '') && !isOpen && !isIntOrString && level !== 'root') {
    required(
      errors,
      `${path}.type`,
      `must not be empty for specified ${level === 'item' ? 'array items' : 'object fields'}`,
    );
  }
  if (isIntOrString && type)
    invalid(errors, `${path}.type`, type, 'must be empty if x-kubernetes-int-or-string is true');
  if (schema['x-kubernetes-embedded-resource'] === true && type !== 'object') {
    if (!type) required(errors, `${path}.type`, 'must be object if x-kubernetes-embedded-resource is true');
    else invalid(errors, `${path}.type`, type, 'must be object if x-kubernetes-embedded-resource is true');
  }
  if (type === 'array' && items === undefined && !isOpen) required(errors, `${path}.items`, 'must be specified');
  if (properties !== undefined && additionalProperties !== undefined && additionalProperties !== false) {
    forbidden(errors, `${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive');
  }
  if (additionalProperties === false) forbidden(errors, `${path}.additionalProperties`, 'must not be false');
  checkUnsupported(schema, path, errors);
  checkLists(schema, path, errors);
  if (items !== undefined) {
    if (Array.isArray(items)) forbidden(errors, `${path}.items`, 'items must be a schema object and not an array');
    else checkNode(items, `${path}.items`, 'item', errors);
  }
  if (typeof additionalProperties === 'object') {
    checkNode(additionalProperties, `${path}.additionalProperties`, 'field', errors);
  }
  for (const [name, property] of Object.entries(properties ?? {})) {
    checkNode(property, `${path}.properties[${name}]`, 'field', errors);
  }
  checkCombinations(schema, path, errors);
}

const unsupported = ['$ref', 'id', 'definitions', 'dependencies', 'patternProperties', 'additionalItems'] as const;

function checkUnsupported(schema: JsonSchema, path: string, errors: Errors): void {
  for (const keyword of unsupported) {
    if (schema[keyword] !== undefined) forbidden(errors, `${path}.${keyword}`, `${keyword} is not supported`);
  }
  if (schema.uniqueItems === true) {
    forbidden(
      errors,
      `${path}.uniqueItems`,
      'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
    );
  }
}

function checkLists(schema: JsonSchema, path: string, errors: Errors): void {
  const type = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  if (type === undefined) {
    if (keys.length > 0)
      required(errors, `${path}.x-kubernetes-list-type`, 'must be map if x-kubernetes-list-map-keys is non-empty');
    return;
  }
  if (schema.type !== 'array') {
    if (!schema.type) required(errors, `${path}.type`, 'must be array if x-kubernetes-list-type is specified');
    else invalid(errors, `${path}.type`, schema.type, 'must be array if x-kubernetes-list-type is specified');
  }
  if (type !== 'map') return;
  if (keys.length === 0) {
    required(errors, `${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map');
  }
  const { items } = schema;
  for (const [index, key] of keys.entries()) {
    const property = items?.properties?.[key];
    const at = `${path}.x-kubernetes-list-map-keys[${index}]`;
    if (property === undefined) {
      invalid(errors, at, key, 'entries must all be names of item properties');
    } else if (items?.required?.includes(key) !== true && property.default === undefined) {
      required(
        errors,
        `${path}.items.properties[${key}].default`,
        'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
      );
    }
  }
}

/** Combinations may limit values, never give them a form. */
function checkCombinations(schema: JsonSchema, path: string, errors: Errors): void {
  const all: [JsonSchema, string][] = [];
  for (const name of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const [index, one] of (schema[name] ?? []).entries()) all.push([one, `${path}.${name}[${index}]`]);
  }
  if (schema.not !== undefined) all.push([schema.not, `${path}.not`]);
  for (const [one, at] of all) checkValueValidation(one, schema, at, errors);
}

const formKeywords = ['additionalProperties', 'default', 'nullable', 'title', 'description'] as const;

function checkValueValidation(schema: JsonSchema, outer: JsonSchema, path: string, errors: Errors): void {
  const mayType = outer['x-kubernetes-int-or-string'] === true;
  if (schema.type && !mayType) forbidden(errors, `${path}.type`, 'must be empty to be structural');
  for (const keyword of formKeywords) {
    if (schema[keyword] !== undefined && schema[keyword] !== false) {
      forbidden(
        errors,
        `${path}.${keyword}`,
        keyword === 'default' || keyword === 'additionalProperties'
          ? 'must be undefined to be structural'
          : 'must be empty to be structural',
      );
    }
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const outside = outer.properties?.[name];
    const at = `${path}.properties[${name}]`;
    if (outside === undefined && outer['x-kubernetes-preserve-unknown-fields'] !== true) {
      required(errors, at.replace(/\.(?:allOf|anyOf|oneOf)\[\d+\]|\.not/, ''), `because it is defined in ${at}`);
    } else checkValueValidation(property, outside ?? {}, at, errors);
  }
  if (schema.items !== undefined) checkValueValidation(schema.items, outer.items ?? {}, `${path}.items`, errors);
  for (const name of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const [index, one] of (schema[name] ?? []).entries()) {
      checkValueValidation(one, outer, `${path}.${name}[${index}]`, errors);
    }
  }
}
