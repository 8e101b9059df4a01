import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { parseTime } from '../../apimachinery/time.ts';
import { type WireField, wireLayout } from '../codec/protobuf-layout.ts';
import { definitionOf, type FieldType } from '../codec/schema.ts';

/**
 * Writes a value of JSON as the protobuf message of its definition, driven by the wire numbers of `kubernetes-api.json`.
 * What JSON does not have is not written: readers take it for the zero value.
 */
export function encodeMessage(definition: string, value: object): Uint8Array {
  const writer = new BinaryWriter();
  encoderOf(definition)(value as JsonObject, writer);
  return writer.finish();
}

type JsonObject = { readonly [name: string]: unknown };
type Encode = (value: JsonObject, writer: BinaryWriter) => void;
/** Writes a value without its tag. */
type EncodeValue = (value: unknown, writer: BinaryWriter) => void;

interface ValueEncoder {
  readonly wire: number;
  readonly encode: EncodeValue;
}

const varint = 0;
const fixed64 = 1;
const lengthDelimited = 2;

const scalars: Readonly<Record<string, ValueEncoder>> = {
  string: { wire: lengthDelimited, encode: (value, writer) => writer.string(String(value)) },
  boolean: { wire: varint, encode: (value, writer) => writer.bool(value === true) },
  int32: { wire: varint, encode: (value, writer) => writer.int32(Number(value)) },
  int64: { wire: varint, encode: (value, writer) => writer.int64(Number(value)) },
  double: { wire: fixed64, encode: (value, writer) => writer.double(Number(value)) },
  byte: { wire: lengthDelimited, encode: (value, writer) => writer.bytes(Buffer.from(String(value), 'base64')) },
};

/** A message that `fill` writes. */
function nested(fill: EncodeValue): ValueEncoder {
  return {
    wire: lengthDelimited,
    encode: (value, writer) => {
      writer.fork();
      fill(value, writer);
      writer.join();
    },
  };
}

function text(field: number, value: string, writer: BinaryWriter): void {
  writer.tag(field, lengthDelimited).string(value);
}

function fillTime(value: unknown, writer: BinaryWriter): void {
  const source = String(value);
  const millis = parseTime(source);
  if (millis === undefined) return;
  writer.tag(1, varint).int64(Math.floor(millis / 1000));
  const fraction = /\.(\d+)/.exec(source)?.[1];
  const nanos = fraction === undefined ? 0 : Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (nanos !== 0) writer.tag(2, varint).int32(nanos);
}

function fillIntOrString(value: unknown, writer: BinaryWriter): void {
  const isText = typeof value === 'string';
  writer.tag(1, varint).int64(isText ? 1 : 0);
  if (isText) text(3, value, writer);
  else writer.tag(2, varint).int32(Number(value));
}

/** `RawExtension`, `FieldsV1`, `JSON`: the value as JSON text. */
function fillRaw(value: unknown, writer: BinaryWriter): void {
  writer.tag(1, lengthDelimited).bytes(Buffer.from(JSON.stringify(value)));
}

/** `JSONSchemaPropsOrArray`, `OrBool` and `OrStringArray`. */
function schemaOr(name: string): EncodeValue {
  const schema = structEncoder(name.slice(0, name.indexOf('Or')));
  return (value, writer) => {
    if (typeof value === 'boolean') writer.tag(1, varint).bool(value);
    else if (Array.isArray(value)) {
      for (const item of value) {
        if (typeof item === 'string') text(2, item, writer);
        else writeField(2, schema, item, writer);
      }
    } else {
      if (name.endsWith('OrBool')) writer.tag(1, varint).bool(true);
      writeField(name.endsWith('OrBool') ? 2 : 1, schema, value, writer);
    }
  };
}

function writeField(field: number, encoder: ValueEncoder, value: unknown, writer: BinaryWriter): void {
  writer.tag(field, encoder.wire);
  encoder.encode(value, writer);
}

/** Compiled on first use: definitions may lead back to themselves. */
function structEncoder(name: string): ValueEncoder {
  return nested((value, writer) => encoderOf(name)(value as JsonObject, writer));
}

function definitionEncoder(name: string): ValueEncoder {
  if (name.endsWith('.meta.v1.Time') || name.endsWith('.meta.v1.MicroTime')) return nested(fillTime);
  if (name.endsWith('.resource.Quantity')) return nested((value, writer) => text(1, String(value), writer));
  if (name.endsWith('.intstr.IntOrString')) return nested(fillIntOrString);
  if (name.includes('.JSONSchemaPropsOr')) return nested(schemaOr(name));
  return definitionOf(name).t === undefined ? structEncoder(name) : nested(fillRaw);
}

function valueEncoder(type: FieldType): ValueEncoder {
  if (typeof type !== 'string') {
    // A list as the value of a map is a message of its own, with the list as its first field.
    const element = valueEncoder((type as readonly [FieldType])[0]);
    return nested((value, writer) => {
      for (const item of value as unknown[]) writeField(1, element, item, writer);
    });
  }
  if (type.startsWith('@')) return definitionEncoder(type.slice(1));
  const scalar = scalars[type];
  if (scalar === undefined) throw new Error(`kubernetes-api.json: type ${type} has no form on the wire`);
  return scalar;
}

function fieldEncoder(number: number, type: FieldType): EncodeValue {
  if (Array.isArray(type)) {
    const element = valueEncoder(type[0] as FieldType);
    return (value, writer) => {
      for (const item of value as unknown[]) writeField(number, element, item, writer);
    };
  }
  if (typeof type === 'object') {
    const element = valueEncoder((type as { map: FieldType }).map);
    return (value, writer) => {
      const map = value as JsonObject;
      for (const key of Object.keys(map).sort()) {
        writer.tag(number, lengthDelimited).fork();
        text(1, key, writer);
        writeField(2, element, map[key], writer);
        writer.join();
      }
    };
  }
  const encoder = valueEncoder(type);
  return (value, writer) => writeField(number, encoder, value, writer);
}

interface Step {
  readonly name: string;
  readonly encode: EncodeValue;
  /** Fields of an embedded message, written only when one of them is there. */
  readonly inline?: { readonly number: number; readonly steps: readonly Step[]; readonly names: ReadonlySet<string> };
}

function stepsOf(layout: ReadonlyMap<number, WireField>): Step[] {
  return [...layout]
    .sort(([left], [right]) => left - right)
    .map(([number, { name, type, inline }]): Step => {
      if (inline === undefined) return { name, encode: fieldEncoder(number, type) };
      const steps = stepsOf(inline);
      const names = new Set(
        steps.flatMap((step) => (step.inline === undefined ? [step.name] : [...step.inline.names])),
      );
      return { name, encode: () => {}, inline: { number, steps, names } };
    });
}

function runSteps(steps: readonly Step[], value: JsonObject, writer: BinaryWriter): void {
  for (const { name, encode, inline } of steps) {
    if (inline !== undefined) {
      if (!Object.keys(value).some((key) => inline.names.has(key))) continue;
      writer.tag(inline.number, lengthDelimited).fork();
      runSteps(inline.steps, value, writer);
      writer.join();
      continue;
    }
    const field = value[name];
    if (field !== undefined && field !== null) encode(field, writer);
  }
}

const encoders = new Map<string, Encode>();

function encoderOf(definition: string): Encode {
  let encoder = encoders.get(definition);
  if (encoder === undefined) {
    const steps = stepsOf(wireLayout(definition));
    encoder = (value, writer) => runSteps(steps, value, writer);
    encoders.set(definition, encoder);
  }
  return encoder;
}
