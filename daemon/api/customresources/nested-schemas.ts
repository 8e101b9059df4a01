import type { CustomResourceDefinition } from '../../apimachinery/types/apiextensions-v1.ts';
import { DecodeError, decodeObject } from '../codec/decode.ts';
import { badRequest } from '../status-errors.ts';
import { isJsonObject, type JsonObject } from './json-schema.ts';

const schemaDefinition = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps';

/** Keywords that hold one schema, several, or several by name. */
const one = ['not', 'items', 'additionalProperties', 'additionalItems'] as const;
const listed = ['allOf', 'anyOf', 'oneOf'] as const;
const named = ['properties', 'patternProperties', 'definitions'] as const;

/**
 * Checks, in place, the schemas that the API's own types hold as any value (`items`, `additionalProperties`), so that what
 * comes after finds schemas wherever there can be one. Fails with 400.
 */
export function decodeNestedSchemas(crd: CustomResourceDefinition): void {
  for (const { schema } of crd.spec?.versions ?? []) {
    if (schema?.openAPIV3Schema !== undefined) decodeBelow(schema.openAPIV3Schema as JsonObject);
  }
}

function decodeBelow(schema: JsonObject): void {
  for (const keyword of one) {
    const value = schema[keyword];
    if (value === undefined || (typeof value === 'boolean' && keyword !== 'items')) continue;
    // A list of schemas is refused by name later.
    if (Array.isArray(value)) continue;
    const decoded = decodeSchema(value);
    schema[keyword] = decoded;
    decodeBelow(decoded);
  }
  for (const keyword of listed) {
    for (const item of (schema[keyword] as JsonObject[] | undefined) ?? []) decodeBelow(item);
  }
  for (const keyword of named) {
    for (const item of Object.values((schema[keyword] as JsonObject | undefined) ?? {})) {
      if (isJsonObject(item)) decodeBelow(item);
    }
  }
}

function decodeSchema(value: unknown): JsonObject {
  try {
    return decodeObject<JsonObject>(schemaDefinition, value).object;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw badRequest(
      `CustomResourceDefinition in version "v1" cannot be handled as a CustomResourceDefinition: ${error.message}`,
    );
  }
}
