import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { type WireField, wireLayout } from './protobuf-layout.ts';
import { definitionOf, type FieldType } from './schema.ts';

/** A body that is not the Kubernetes protobuf it says it is. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError';
}

const magic = Buffer.from('k8s\0');
const maxDepth = 100;

/** The envelope of every object: its type, and the message of that type. */
export interface ProtobufEnvelope {
  readonly apiVersion: string;
  readonly kind: string;
  readonly raw: Uint8Array;
}

/** Takes the envelope (`k8s\0` and `runtime.Unknown`) off a body. */
export function openEnvelope(body: Buffer): ProtobufEnvelope {
  if (body.length < magic.length || !body.subarray(0, magic.length).equals(magic)) {
    throw new ProtobufError('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]');
  }
  let apiVersion = '';
  let kind = '';
  let raw: Uint8Array = new Uint8Array();
  guarded(() => {
    eachField(new BinaryReader(body.subarray(magic.length)), (field, wire, reader) => {
      if (field === 1 && wire === WireType.LengthDelimited) {
        eachField(new BinaryReader(reader.bytes()), (part, _wire, inner) => {
          if (part === 1) apiVersion = inner.string();
          else if (part === 2) kind = inner.string();
          else return false;
          return true;
        });
        return true;
      }
      if (field === 2 && wire === WireType.LengthDelimited) {
        raw = reader.bytes();
        return true;
      }
      return false;
    });
  });
  return { apiVersion, kind, raw };
}

/** A message as the JSON value it stands for. */
export function decodeProtobuf(definition: string, bytes: Uint8Array): Record<string, unknown> {
  return guarded(() => decodeMessage(definition, bytes, 0));
}

function guarded<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ProtobufError) throw error;
    throw new ProtobufError(error instanceof Error ? `proto: ${error.message}` : 'proto: malformed message');
  }
}

/** Calls `take` for each field; what it does not take (false) is skipped. */
function eachField(reader: BinaryReader, take: (field: number, wire: WireType, reader: BinaryReader) => boolean): void {
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (!take(field, wire, reader)) reader.skip(wire, field);
  }
}

function decodeMessage(definition: string, bytes: Uint8Array, depth: number): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  readFields(wireLayout(definition), bytes, object, depth);
  return object;
}

function readFields(
  layout: ReadonlyMap<number, WireField>,
  bytes: Uint8Array,
  object: Record<string, unknown>,
  depth: number,
): void {
  if (depth > maxDepth) throw new ProtobufError('proto: message nested too deeply');
  eachField(new BinaryReader(bytes), (number, wire, reader) => {
    const field = layout.get(number);
    if (field === undefined) return false;
    if (field.inline !== undefined) {
      readFields(field.inline, reader.bytes(), object, depth + 1);
      return true;
    }
    const { name, type } = field;
    if (Array.isArray(type)) {
      const element = type[0] as FieldType;
      object[name] ??= [];
      const list = object[name] as unknown[];
      // Numbers may come packed.
      if (wire === WireType.LengthDelimited && (element === 'int32' || element === 'int64' || element === 'boolean')) {
        const packed = new BinaryReader(reader.bytes());
        while (packed.pos < packed.len) list.push(readValue(element, packed, depth));
      } else {
        list.push(readValue(element, reader, depth));
      }
      return true;
    }
    if (typeof type === 'object') {
      object[name] ??= {};
      readEntry((type as { map: FieldType }).map, reader.bytes(), object[name] as Record<string, unknown>, depth);
      return true;
    }
    const value = readValue(type as string, reader, depth);
    if (value === undefined) return true;
    if (!field.keepsZero && (value === '' || value === 0 || value === false)) return true;
    object[name] = value;
    return true;
  });
}

function readEntry(type: FieldType, bytes: Uint8Array, map: Record<string, unknown>, depth: number): void {
  let key = '';
  let value: unknown = Array.isArray(type) ? [] : type === 'string' || type === 'byte' ? '' : undefined;
  eachField(new BinaryReader(bytes), (number, _wire, reader) => {
    if (number === 1) key = reader.string();
    else if (number === 2 && Array.isArray(type)) {
      // A list as a map's value is a message of its own, with the list as its first field.
      const list: unknown[] = [];
      eachField(new BinaryReader(reader.bytes()), (part, _inner, items) => {
        if (part !== 1) return false;
        list.push(readValue(type[0] as FieldType, items, depth));
        return true;
      });
      value = list;
    } else if (number === 2) value = readValue(type, reader, depth);
    else return false;
    return true;
  });
  Object.defineProperty(map, key, { value: value ?? {}, enumerable: true, configurable: true, writable: true });
}

function readValue(type: FieldType, reader: BinaryReader, depth: number): unknown {
  switch (type) {
    case 'string':
      return reader.string();
    case 'boolean':
      return reader.bool();
    case 'int32':
      return reader.int32();
    case 'int64':
      return Number(reader.int64());
    case 'double':
      return reader.double();
    case 'byte':
      return Buffer.from(reader.bytes()).toString('base64');
    default:
      if (typeof type !== 'string' || !type.startsWith('@')) throw new ProtobufError('proto: unsupported field type');
      return readDefinition(type.slice(1), reader.bytes(), depth + 1);
  }
}

/** Types that are messages on the wire and scalars (or anything) in JSON. */
function readDefinition(name: string, bytes: Uint8Array, depth: number): unknown {
  if (name.endsWith('.meta.v1.Time')) return readTime(bytes, false);
  if (name.endsWith('.meta.v1.MicroTime')) return readTime(bytes, true);
  if (name.endsWith('.resource.Quantity')) return firstString(bytes) ?? '0';
  if (name.endsWith('.intstr.IntOrString')) return readIntOrString(bytes);
  if (name.includes('.JSONSchemaPropsOr')) return readSchemaOr(name, bytes, depth);
  const { t } = definitionOf(name);
  if (t !== undefined) return readRaw(bytes);
  return decodeMessage(name, bytes, depth);
}

function readTime(bytes: Uint8Array, micro: boolean): string | undefined {
  let seconds = 0;
  let nanos = 0;
  eachField(new BinaryReader(bytes), (number, _wire, reader) => {
    if (number === 1) seconds = Number(reader.int64());
    else if (number === 2) nanos = reader.int32();
    else return false;
    return true;
  });
  // Go's zero time, and a time that no one set.
  if (bytes.length === 0 || seconds <= -62_135_596_800) return undefined;
  const iso = new Date(seconds * 1000).toISOString().slice(0, 19);
  return micro ? `${iso}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z` : `${iso}Z`;
}

function firstString(bytes: Uint8Array): string | undefined {
  let text: string | undefined;
  eachField(new BinaryReader(bytes), (number, _wire, reader) => {
    if (number !== 1) return false;
    text = reader.string();
    return true;
  });
  return text;
}

function readIntOrString(bytes: Uint8Array): number | string {
  let isString = false;
  let number = 0;
  let text = '';
  eachField(new BinaryReader(bytes), (field, _wire, reader) => {
    if (field === 1) isString = Number(reader.int64()) === 1;
    else if (field === 2) number = reader.int32();
    else if (field === 3) text = reader.string();
    else return false;
    return true;
  });
  return isString ? text : number;
}

/** `JSONSchemaPropsOrArray`, `OrBool` and `OrStringArray`: the one of the two that is set. */
function readSchemaOr(name: string, bytes: Uint8Array, depth: number): unknown {
  const schema = name.slice(0, name.indexOf('Or'));
  const orBool = name.endsWith('OrBool');
  const list: unknown[] = [];
  let single: unknown;
  eachField(new BinaryReader(bytes), (number, _wire, reader) => {
    if (orBool && number === 1) single ??= reader.bool();
    else if (number === 1 || (orBool && number === 2)) single = decodeMessage(schema, reader.bytes(), depth);
    else if (number === 2)
      list.push(name.endsWith('OrStringArray') ? reader.string() : decodeMessage(schema, reader.bytes(), depth));
    else return false;
    return true;
  });
  return single ?? list;
}

/** JSON text carried as bytes: `RawExtension`, `FieldsV1`, `JSON`. */
function readRaw(bytes: Uint8Array): unknown {
  let raw: Uint8Array | undefined;
  eachField(new BinaryReader(bytes), (number, wire, reader) => {
    if (number !== 1 || wire !== WireType.LengthDelimited) return false;
    raw = reader.bytes();
    return true;
  });
  if (raw === undefined || raw.length === 0) return undefined;
  try {
    return JSON.parse(Buffer.from(raw).toString());
  } catch {
    throw new ProtobufError('proto: raw value is not JSON');
  }
}
