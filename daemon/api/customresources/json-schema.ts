import type { CustomResourceDefinitionVersion, JSONSchemaProps } from '../../apimachinery/types/apiextensions-v1.ts';

/** A node of a structural schema: `JSONSchemaProps` with its unions resolved. */
export interface JsonSchema
  extends Omit<
    JSONSchemaProps,
    'items' | 'additionalProperties' | 'properties' | 'allOf' | 'anyOf' | 'oneOf' | 'not' | 'default'
  > {
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly allOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly not?: JsonSchema;
  readonly default?: unknown;
}

export type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const anything: JsonSchema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

/** The schema of a version's objects; `spec.preserveUnknownFields` and a missing schema keep everything. */
export function schemaOf(version: CustomResourceDefinitionVersion): JsonSchema {
  return (version.schema?.openAPIV3Schema as JsonSchema | undefined) ?? anything;
}

/** The schema of the value under `name` of an object; undefined when the schema says nothing of it. */
export function propertySchema(schema: JsonSchema | undefined, name: string): JsonSchema | undefined {
  const own = schema?.properties;
  if (own !== undefined && Object.hasOwn(own, name)) return own[name];
  const additional = schema?.additionalProperties;
  return typeof additional === 'object' ? additional : undefined;
}

/** `spec.foo`, `spec.map[key.with.dots]`: a field below a path, as Kubernetes writes paths. */
export function fieldPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
