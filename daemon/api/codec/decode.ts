import { canonicalQuantity, QuantityError } from '../../apimachinery/quantity.ts';
import { parseTime } from '../../apimachinery/time.ts';
import { customDefinition } from './custom-definitions.ts';
import { type Definition, definitionOf, type FieldType } from './schema.ts';

/** A JSON value that does not fit its field; the message is the one Go's JSON decoder gives. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/** Where the decoder stands, and what it has met that the schema does not know. */
interface DecodeState {
  /** Keys seen in the whole value: a parser that drops duplicate keys leaves fewer than the text had. */
  keys: number;
  readonly unknown: string[];
}

/** `struct` and `goPath` word a type error as Go does; `path` (with indices) an unknown field. */
interface Place {
  readonly struct: string;
  readonly goPath: string;
  readonly path: string;
}

type Decoder = (value: unknown, state: DecodeState, place: Place) => unknown;

/** What a decode dropped. */
export interface Decoded<T> {
  readonly object: T;
  /** `unknown field "spec.foo"`, in the order met. */
  readonly unknownFields: readonly string[];
  readonly keys: number;
}

const timeLayouts = { time: '2006-01-02T15:04:05Z07:00', micro: '2006-01-02T15:04:05.000000Z07:00' };

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  return typeof value;
}

function mismatch(value: unknown, place: Place, goType: string): DecodeError {
  const what = typeof value === 'number' && /^u?int/.test(goType) ? `number ${value}` : jsonType(value);
  const where = place.struct === '' ? 'Go value' : `Go struct field ${place.struct}.${place.goPath}`;
  return new DecodeError(`json: cannot unmarshal ${what} into ${where} of type ${goType}`);
}

function decodeInteger(goType: 'int32' | 'int64', limit: number): Decoder {
  return (value, _state, place) => {
    if (typeof value === 'number' && Number.isInteger(value) && value <= limit && value >= -limit - 1) return value;
    throw mismatch(value, place, goType);
  };
}

function decodeString(value: unknown, _state: DecodeState, place: Place): string {
  if (typeof value === 'string') return value;
  throw mismatch(value, place, 'string');
}

function decodeBytes(value: unknown, _state: DecodeState, place: Place): string {
  if (typeof value !== 'string') throw mismatch(value, place, '[]uint8');
  const bad = value.search(/[^A-Za-z0-9+/=\r\n]/);
  if (bad >= 0) throw new DecodeError(`illegal base64 data at input byte ${bad}`);
  const plain = value.replace(/[\r\n]/g, '');
  if (plain.length % 4 !== 0 || /=[^=]|={3}/.test(plain)) {
    throw new DecodeError(`illegal base64 data at input byte ${Math.max(0, plain.length - (plain.length % 4))}`);
  }
  return plain;
}

/** Times are kept in UTC: whole seconds for `Time`, microseconds for `MicroTime`. */
function decodeTime(micro: boolean): Decoder {
  return (value, _state, place) => {
    if (typeof value !== 'string') throw mismatch(value, place, 'string');
    if (
      micro ? /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(value) : /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value)
    ) {
      if (!Number.isNaN(Date.parse(value))) return value;
    }
    const millis = parseTime(value);
    if (millis === undefined) {
      const layout = micro ? timeLayouts.micro : timeLayouts.time;
      throw new DecodeError(
        `parsing time ${JSON.stringify(value)} as "${layout}": cannot parse ${JSON.stringify(value)} as "2006"`,
      );
    }
    const iso = new Date(millis).toISOString();
    if (!micro) return `${iso.slice(0, 19)}Z`;
    const fraction = /\.(\d+)/.exec(value)?.[1] ?? '';
    return `${iso.slice(0, 19)}.${fraction.slice(0, 6).padEnd(6, '0')}Z`;
  };
}

function decodeQuantity(value: unknown, _state: DecodeState, place: Place): string {
  if (typeof value !== 'string' && typeof value !== 'number') throw mismatch(value, place, 'resource.Quantity');
  try {
    return canonicalQuantity(value);
  } catch (error) {
    if (error instanceof QuantityError) throw new DecodeError(error.message);
    throw error;
  }
}

function decodeIntOrString(value: unknown, _state: DecodeState, place: Place): string | number {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 0x7fffffff) return value;
  throw mismatch(value, place, typeof value === 'number' ? 'int32' : 'string');
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return value.reduce<number>((sum, element) => sum + countKeys(element), 0);
  let count = 0;
  for (const key in value) count += 1 + countKeys((value as Record<string, unknown>)[key]);
  return count;
}

/** A copy of any JSON value; several times as fast as `structuredClone`. */
function copyAny(value: unknown, state: DecodeState): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => copyAny(item, state));
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    state.keys++;
    const item = copyAny((value as Record<string, unknown>)[key], state);
    if (key === '__proto__') define(copy, key, item);
    else copy[key] = item;
  }
  return copy;
}

/** `__proto__` as a key of JSON is a key like any other. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

const scalars: Readonly<Record<string, Decoder>> = {
  string: decodeString,
  boolean: (value, _state, place) => {
    if (typeof value === 'boolean') return value;
    throw mismatch(value, place, 'bool');
  },
  int32: decodeInteger('int32', 0x7fffffff),
  int64: decodeInteger('int64', Number.MAX_SAFE_INTEGER),
  double: (value, _state, place) => {
    if (typeof value === 'number') return value;
    throw mismatch(value, place, 'float64');
  },
  byte: decodeBytes,
  any: copyAny,
  object: (value, state, place) => {
    if (typeof value !== 'object' || Array.isArray(value)) throw mismatch(value, place, 'map[string]interface {}');
    return copyAny(value, state);
  },
  'int-or-string': decodeIntOrString,
};

/** What a JSON null inside a list or map becomes: Go's zero value. */
function zeroOf(type: FieldType): unknown {
  if (typeof type !== 'string') return Array.isArray(type) ? [] : {};
  if (type === 'string' || type === 'byte') return '';
  if (type === 'boolean') return false;
  if (type.startsWith('int') || type === 'double') return 0;
  if (type.startsWith('@')) {
    const definition = definitionOf(type.slice(1));
    if (definition.t === undefined || definition.t === 'object') return {};
    return definition.t === 'any' || definition.t === 'date-time' ? null : definition.t === 'int-or-string' ? 0 : '0';
  }
  return null;
}

/** `PodSpec` of `io.k8s.api.core.v1.PodSpec`. */
function shortName(definition: string): string {
  return definition.slice(definition.lastIndexOf('.') + 1);
}

/** `v1.PodSpec`, as Go names a type in an error. */
function goTypeName(type: FieldType): string {
  if (Array.isArray(type)) return `[]${goTypeName(type[0] as FieldType)}`;
  if (typeof type === 'object') return `map[string]${goTypeName((type as { map: FieldType }).map)}`;
  const name = type as string;
  if (name.startsWith('@')) return name.split('.').slice(-2).join('.');
  return { boolean: 'bool', byte: '[]uint8', double: 'float64' }[name] ?? name;
}

const structDecoders = new Map<string, Decoder>();

function compileType(type: FieldType): Decoder {
  if (Array.isArray(type)) return compileList(type[0] as FieldType, goTypeName(type));
  if (typeof type === 'object') return compileMap((type as { map: FieldType }).map, goTypeName(type));
  const name = type as string;
  if (name.startsWith('@')) return structDecoder(name.slice(1));
  const scalar = scalars[name];
  if (scalar === undefined) throw new Error(`kubernetes-api.json: no decoder for type ${name}`);
  return scalar;
}

function compileList(element: FieldType, goType: string): Decoder {
  const decode = compileType(element);
  const isStruct = typeof element === 'string' && element.startsWith('@');
  return (value, state, place) => {
    if (!Array.isArray(value)) throw mismatch(value, place, goType);
    const list = new Array<unknown>(value.length);
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      list[i] =
        item === null
          ? zeroOf(element)
          : decode(item, state, isStruct ? { ...place, path: `${place.path}[${i}]` } : place);
    }
    return list;
  };
}

function compileMap(element: FieldType, goType: string): Decoder {
  const decode = compileType(element);
  return (value, state, place) => {
    if (typeof value !== 'object' || Array.isArray(value)) throw mismatch(value, place, goType);
    const map: Record<string, unknown> = {};
    for (const key of Object.keys(value as object)) {
      state.keys++;
      const item = (value as Record<string, unknown>)[key];
      const decoded = item === null ? zeroOf(element) : decode(item, state, place);
      if (key === '__proto__') {
        define(map, key, decoded);
      } else {
        map[key] = decoded;
      }
    }
    return map;
  };
}

interface CompiledField {
  readonly decode: Decoder;
  /** An empty list or map of an optional field is left out, as Go's `omitempty` does. */
  readonly omitEmpty: boolean;
}

function compileStruct(name: string, definition: Definition): Decoder {
  const struct = shortName(name);
  let fields: Map<string, CompiledField> | undefined;
  const always = structsByValue(definition);
  // Compiled on first use: definitions such as JSONSchemaProps refer to themselves.
  const compile = (): Map<string, CompiledField> => {
    const compiled = new Map<string, CompiledField>();
    for (const [field, schema] of Object.entries(definition.fields ?? {})) {
      compiled.set(field, {
        decode: compileType(schema.t),
        omitEmpty: typeof schema.t !== 'string' && !(definition.required?.includes(field) ?? false),
      });
    }
    return compiled;
  };
  return (value, state, place) => {
    if (typeof value !== 'object' || Array.isArray(value)) {
      throw mismatch(value, place, name.split('.').slice(-2).join('.'));
    }
    fields ??= compile();
    const result: Record<string, unknown> = {};
    const source = value as Record<string, unknown>;
    const prefix = place.path === '' ? '' : `${place.path}.`;
    const goPrefix = place.goPath === '' ? '' : `${place.goPath}.`;
    for (const key of Object.keys(source)) {
      state.keys++;
      const item = source[key];
      const field = fields.get(key);
      if (field === undefined) {
        state.unknown.push(prefix + key);
        state.keys += countKeys(item);
        continue;
      }
      if (item === null || item === undefined) continue;
      const decoded = field.decode(item, state, { struct, goPath: goPrefix + key, path: prefix + key });
      if (field.omitEmpty && isEmpty(decoded)) continue;
      result[key] = decoded;
    }
    for (const key of always) if (result[key] === undefined) result[key] = {};
    return result;
  };
}

/** Structs that Go holds by value: there even when the text leaves them out. */
function structsByValue(definition: Definition): string[] {
  const names = definition.gvk === undefined ? ['spec', 'template', 'jobTemplate'] : ['metadata', 'spec', 'status'];
  return names.filter((name) => {
    const type = definition.fields?.[name]?.t;
    if (typeof type !== 'string' || !type.startsWith('@') || definitionOf(type.slice(1)).fields === undefined)
      return false;
    return definition.gvk !== undefined || definition.required?.includes(name) === true;
  });
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  for (const _ in value as object) return false;
  return true;
}

function structDecoder(name: string): Decoder {
  let decoder = structDecoders.get(name);
  if (decoder === undefined) {
    const definition = definitionOf(name);
    if (definition.t === 'date-time') decoder = decodeTime(name.endsWith('.MicroTime'));
    else if (name.endsWith('.resource.Quantity')) decoder = decodeQuantity;
    else if (definition.t !== undefined) decoder = compileType(definition.t);
    else decoder = compileStruct(name, definition);
    structDecoders.set(name, decoder);
  }
  return decoder;
}

const root: Place = { struct: '', goPath: '', path: '' };

/**
 * A copy of `value` that holds only what `definition` knows, with types checked and quantities and times in canonical
 * form. Throws a `DecodeError` at the first value of a wrong type.
 */
export function decodeObject<T>(definition: string, value: unknown): Decoded<T> {
  const custom = customDefinition(definition);
  if (custom !== undefined) return custom.decode(value) as Decoded<T>;
  const state: DecodeState = { keys: 0, unknown: [] };
  const object = structDecoder(definition)(value, state, root) as T;
  return { object, unknownFields: state.unknown, keys: state.keys };
}
