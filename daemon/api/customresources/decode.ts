import { type Decoded, decodeObject } from '../codec/decode.ts';
import { cloneObject } from '../registry/clone-object.ts';
import { prune } from './coerce.ts';
import { isJsonObject, type JsonSchema, propertySchema } from './json-schema.ts';

const objectMeta = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countKeys(item), 0);
  return Object.values(value).reduce<number>((sum, item) => sum + 1 + countKeys(item), 0);
}

/** Decoder of the objects of a schema: metadata by its own type, all else pruned. */
export function customDecoder(schema: JsonSchema): (value: unknown) => Decoded<object> {
  return (value) => {
    const keys = countKeys(value);
    const object = cloneObject(value) as Record<string, unknown>;
    const unknownFields: string[] = [];
    const { metadata } = object;
    if (metadata === undefined || metadata === null) object['metadata'] = {};
    else {
      const decoded = decodeObject<object>(objectMeta, metadata);
      object['metadata'] = decoded.object;
      unknownFields.push(...decoded.unknownFields.map((field) => `metadata.${field}`));
    }
    prune(object, schema, true, '', unknownFields);
    coerceEmbedded(object, schema);
    return { object, unknownFields, keys };
  };
}

/** Metadata of embedded resources is typed too. */
function coerceEmbedded(value: unknown, schema: JsonSchema | undefined): void {
  if (schema === undefined) return;
  if (Array.isArray(value)) {
    for (const item of value) coerceEmbedded(item, schema.items);
    return;
  }
  if (!isJsonObject(value)) return;
  if (schema['x-kubernetes-embedded-resource'] === true && isJsonObject(value['metadata'])) {
    value['metadata'] = decodeObject<object>(objectMeta, value['metadata']).object;
  }
  for (const name of Object.keys(value)) coerceEmbedded(value[name], propertySchema(schema, name));
}
