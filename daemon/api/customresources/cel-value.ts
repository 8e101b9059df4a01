import { toCel } from '../cel/environment.ts';
import { isJsonObject, type JsonSchema, propertySchema } from './json-schema.ts';

const reserved: ReadonlySet<string> = new Set([
  'true',
  'false',
  'null',
  'in',
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
]);

/**
 * A property's name as CEL spells it; undefined when CEL cannot. The evaluator here takes `namespace` as it is too, so
 * both spellings work.
 */
export function escapeCelName(name: string): string | undefined {
  if (reserved.has(name)) return `__${name}__`;
  const escaped = name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(escaped) ? escaped : undefined;
}

/** A value as CEL sees it by its schema: integers are ints, numbers doubles, dates timestamps. */
export function celValue(value: unknown, schema: JsonSchema | undefined, isResource = false): unknown {
  if (schema === undefined || value === null || value === undefined) return toCel(value);
  if (schema['x-kubernetes-int-or-string'] === true) return toCel(value);
  if (typeof value === 'number') return schema.type === 'number' ? value : toCel(value);
  if (typeof value === 'string') {
    if (schema.format === 'date-time' || schema.format === 'date') return new Date(value);
    return value;
  }
  if (Array.isArray(value)) return value.map((item) => celValue(item, schema.items));
  if (!isJsonObject(value)) return value;
  const map: Record<string, unknown> = {};
  const embedded = isResource || schema['x-kubernetes-embedded-resource'] === true;
  const isMap = typeof schema.additionalProperties === 'object';
  for (const name of Object.keys(value)) {
    const known = propertySchema(schema, name);
    if (known === undefined && embedded && (name === 'apiVersion' || name === 'kind')) map[name] = value[name];
    else if (embedded && name === 'metadata') map[name] = readableMetadata(value[name]);
    else if (known !== undefined) {
      const item = celValue(value[name], known);
      map[name] = item;
      const escaped = isMap ? undefined : escapeCelName(name);
      if (escaped !== undefined) map[escaped] = item;
    } else if (schema['x-kubernetes-preserve-unknown-fields'] === true) map[name] = toCel(value[name]);
  }
  return map;
}

/** Of an object's metadata rules see the name alone. */
function readableMetadata(metadata: unknown): unknown {
  if (!isJsonObject(metadata)) return {};
  const { name, generateName } = metadata;
  return { ...(name === undefined ? {} : { name }), ...(generateName === undefined ? {} : { generateName }) };
}
