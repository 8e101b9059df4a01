import { BinaryReader } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import t from 'tap';
import { decodeProtobuf } from '../codec/protobuf.ts';
import { apiFacts, definitionOf, type FieldType } from '../codec/schema.ts';
import { equalJson } from '../patch/json-value.ts';
import { encodeMessage } from './encode.ts';
import { decodeObject, encodeObject, encodeWatchFrame, listHead, listItem, sealEnvelope } from './envelope.ts';

/** A value of a type with no zero values in it: those that Go's readers cannot tell from absent ones. */
function typeValue(type: FieldType, depth: number): fc.Arbitrary<unknown> {
  if (typeof type !== 'string') {
    if (Array.isArray(type))
      return fc.array(typeValue(type[0] as FieldType, depth + 1), { minLength: 1, maxLength: 2 });
    const key = fc.constantFrom('a', 'b', 'c.d/e');
    return fc.dictionary(key, typeValue((type as { map: FieldType }).map, depth + 1), { minKeys: 1, maxKeys: 2 });
  }
  if (type.startsWith('@')) return definitionValue(type.slice(1), depth);
  switch (type) {
    case 'string':
      return fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' });
    case 'boolean':
      return fc.constant(true);
    case 'byte':
      return fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('base64'));
    case 'int32':
      return fc.integer().filter((value) => value !== 0);
    case 'int64':
      return fc.maxSafeInteger().filter((value) => value !== 0);
    case 'double':
      return fc.integer({ min: 1 }).map((value) => value / 4);
    default:
      return fc.constant({ any: [1, 'x', null] });
  }
}

function definitionValue(name: string, depth: number): fc.Arbitrary<unknown> {
  const definition = definitionOf(name);
  const date = fc.date({ min: new Date('1970-01-02'), max: new Date('2100-01-01'), noInvalidDate: true });
  if (name.endsWith('.Time')) return date.map((value) => `${value.toISOString().slice(0, 19)}Z`);
  if (name.endsWith('.MicroTime')) return date.map((value) => `${value.toISOString().slice(0, 23)}123Z`);
  if (name.endsWith('.Quantity')) return fc.constantFrom('1', '100m', '2Gi');
  if (name.endsWith('.IntOrString')) return fc.oneof(fc.integer(), fc.constantFrom('25%', 'http'));
  if (name.endsWith('OrBool')) return fc.oneof(fc.boolean(), fc.constant({ type: 'string' }));
  if (name.endsWith('OrStringArray')) return fc.oneof(fc.constant(['a', 'b']), fc.constant({ type: 'string' }));
  if (name.endsWith('OrArray')) return fc.oneof(fc.constant([{ type: 'string' }]), fc.constant({ type: 'string' }));
  if (definition.fields === undefined) return fc.constant({ raw: true });
  if (depth > 5) return fc.constant({});
  const fields = Object.entries(definition.fields).filter(([field]) => field !== 'apiVersion' && field !== 'kind');
  return fc.record(Object.fromEntries(fields.map(([field, { t: type }]) => [field, typeValue(type, depth + 1)])), {
    requiredKeys: [],
  });
}

t.test('every kind survives the wire', (t) => {
  const kinds = Object.entries(apiFacts.definitions).filter(
    ([name, { gvk, fields }]) =>
      gvk !== undefined && fields?.['metadata'] !== undefined && /\.v\d+\./.test(name) && !name.endsWith('List'),
  );
  t.ok(kinds.length > 50);
  for (const [name] of kinds) {
    fc.assert(
      fc.property(definitionValue(name, 3), (value) =>
        equalJson(decodeProtobuf(name, encodeMessage(name, value as object)), value),
      ),
      { numRuns: 5 },
    );
  }
  t.end();
});

t.test('a pod, byte by byte', (t) => {
  const pod = {
    metadata: { name: 'a' },
    spec: { containers: [{ name: 'c' }], volumes: [{ name: 'v', emptyDir: {} }] },
  };
  t.equal(
    Buffer.from(encodeMessage('io.k8s.api.core.v1.Pod', pod)).toString('hex'),
    `0a030a0161${'120e'}${'0a07'}${'0a0176'}${'12021200'}${'1203'}${'0a0163'}`,
  );
  t.end();
});

t.test('objects travel in an envelope', (t) => {
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { b: 'c' } };
  const bytes = encodeObject(configMap);
  t.equal(bytes.subarray(0, 4).toString('latin1'), 'k8s\0');
  t.same(decodeObject(bytes), configMap);
  t.throws(() => encodeObject({ apiVersion: 'example.com/v1', kind: 'Widget' }), /has no protobuf form/);
  t.throws(() => decodeObject(Buffer.from('{}')), /does not appear to be a protobuf message/);
  t.end();
});

t.test('a list in parts is the list as a whole', (t) => {
  const items = ['a', 'b'].map((name) => ({ metadata: { name } }));
  const parts = items.map((item) => listItem(encodeMessage('io.k8s.api.core.v1.Pod', item)));
  const metadata = encodeMessage('io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta', { resourceVersion: '7' });
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const streamed = Buffer.concat([listHead('v1', 'PodList', metadata, size), ...parts]);
  const list = { metadata: { resourceVersion: '7' }, items };
  const whole = sealEnvelope('v1', 'PodList', encodeMessage('io.k8s.api.core.v1.PodList', list));
  t.equal(streamed.toString('hex'), whole.toString('hex'));
  t.end();
});

t.test('watch frames', (t) => {
  const object = encodeObject({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } });
  const frame = encodeWatchFrame('ADDED', object);
  t.equal(frame.readUInt32BE(), frame.length - 4);
  const reader = new BinaryReader(frame.subarray(4));
  t.same([reader.tag()[0], reader.string(), reader.tag()[0]], [1, 'ADDED', 2]);
  const raw = new BinaryReader(reader.bytes());
  raw.tag();
  t.same(decodeObject(Buffer.from(raw.bytes())).metadata, { name: 'a' });
  t.end();
});
