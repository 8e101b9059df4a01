import t from 'tap';
import { equalJson } from '../patch/json-value.ts';
import { encodeMessage } from '../protobuf/encode.ts';
import { decodeObject } from './decode.ts';
import { decodeProtobuf } from './protobuf.ts';
import { apiFacts } from './schema.ts';

/** The client's models alone: the client itself wants a newer Node than this project does. */
const modelsFile = new URL('../../../node_modules/@kubernetes/client-node/dist/gen/models/all.js', import.meta.url);
const models = (await import(modelsFile.href)) as Readonly<Record<string, unknown>>;

/** What the official JavaScript client says of a model: its fields, by their names in JSON. */
interface Model {
  getAttributeTypeMap(): readonly {
    readonly name: string;
    readonly baseName: string;
    readonly type: string;
    readonly format: string;
  }[];
}

const capitalized = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** The client's class for a definition: groups that share a name are told apart by their own. */
function modelOf(definition: string): Model | undefined {
  const parts = definition.split('.');
  const name = parts.pop()!;
  const version = capitalized(parts.pop()!);
  const group = capitalized(parts.pop()!.replaceAll('-', ''));
  const found = [`${group}${version}${name}`, `${version}${name}`].find((candidate) => candidate in models);
  return found === undefined ? undefined : (models[found] as Model | undefined);
}

const known = Object.keys(apiFacts.definitions).flatMap((definition) => {
  const model = modelOf(definition);
  return model?.getAttributeTypeMap === undefined || apiFacts.definitions[definition]?.fields === undefined
    ? []
    : [{ definition, model }];
});

t.test('every field that the client knows is in the tables', (t) => {
  t.ok(known.length > 600);
  for (const { definition, model } of known) {
    const fields = apiFacts.definitions[definition]!.fields!;
    const missing = model.getAttributeTypeMap().filter(({ baseName }) => !(baseName in fields));
    t.same(
      missing.map(({ baseName }) => baseName),
      [],
      definition,
    );
  }
  t.end();
});

const scalars: Readonly<Record<string, unknown>> = {
  string: 'x',
  boolean: true,
  number: 7,
  Date: '2026-01-02T03:04:05Z',
};

/** A value of a model with every field set, as deep as `depth` goes. */
function fullValue(type: string, format: string, depth: number): unknown {
  const list = /^Array<(.*)>$/.exec(type);
  if (list !== null) return [fullValue(list[1]!, format, depth)];
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
  if (map !== null) return { key: fullValue(map[1]!, format, depth) };
  if (format === 'byte') return 'eA==';
  if (type === 'V1MicroTime') return '2026-01-02T03:04:05.000006Z';
  if (type === 'IntOrString') return '25%';
  if (type === 'any' || type === 'object') return { any: [1, { a: null }] };
  if (type in scalars) return scalars[type];
  const model = models[type] as Model | undefined;
  if (model?.getAttributeTypeMap === undefined || depth === 0) return {};
  return Object.fromEntries(
    model
      .getAttributeTypeMap()
      .map(({ baseName, type: inner, format: form }) => [baseName, fullValue(inner, form, depth - 1)]),
  );
}

/** Quantities are plain text to the client: any will do, and `x` is none. */
function withQuantities(definition: string, value: unknown, depth = 0): unknown {
  const fields = apiFacts.definitions[definition]?.fields;
  if (fields === undefined || typeof value !== 'object' || value === null) return value;
  const fix = (type: unknown, inner: unknown): unknown => {
    if (Array.isArray(type)) return (inner as unknown[]).map((item) => fix(type[0], item));
    if (typeof type === 'object' && type !== null) {
      return Object.fromEntries(
        Object.entries(inner as object).map(([key, item]) => [key, fix((type as { map: unknown }).map, item)]),
      );
    }
    const name = String(type);
    if (name.endsWith('.resource.Quantity')) return '2Gi';
    return name.startsWith('@') ? withQuantities(name.slice(1), inner, depth + 1) : inner;
  };
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fix(fields[name]!.t, inner)]));
}

const schemaOfSchemas = /JSONSchemaProps|CustomResource/;
/** Versions that are served, and single objects: a list holds no more than they do. */
const served = /\.v\d+\.(?!.*List$)/;

t.test('objects with every field set survive JSON and protobuf', (t) => {
  const kinds = known.filter(({ definition }) => {
    const { gvk, fields } = apiFacts.definitions[definition]!;
    return (
      gvk !== undefined &&
      fields?.['metadata'] !== undefined &&
      served.test(definition) &&
      !schemaOfSchemas.test(definition)
    );
  });
  t.ok(kinds.length > 60);
  for (const { definition, model } of kinds) {
    const full = Object.fromEntries(
      model.getAttributeTypeMap().map(({ baseName, type, format }) => [baseName, fullValue(type, format, 8)]),
    );
    const value = withQuantities(definition, full) as Record<string, unknown>;
    const decoded = decodeObject<Record<string, unknown>>(definition, value);
    t.same(decoded.unknownFields, [], definition);
    t.ok(equalJson(decoded.object, value), `${definition} in JSON`);
    const { apiVersion: _version, kind: _kind, ...message } = value;
    const back = decodeProtobuf(definition, encodeMessage(definition, message));
    if (!equalJson(withoutTypes(back), withoutTypes(message))) t.same(back, message, `${definition} in protobuf`);
  }
  t.end();
});

/** Objects inside objects (claim templates, list items) have their type in JSON, and none on the wire. */
function withoutTypes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTypes);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(
    ([name, inner]) => !((name === 'apiVersion' || name === 'kind') && inner === 'x'),
  );
  return Object.fromEntries(entries.map(([name, inner]) => [name, withoutTypes(inner)]));
}
