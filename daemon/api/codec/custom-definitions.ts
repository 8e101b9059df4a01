import type { Shape } from '../patch/value-shape.ts';
import type { Decoded } from './decode.ts';

/** What the codec and server-side apply know of a custom resource: the counterpart of an entry of `kubernetes-api.json`. */
export interface CustomDefinition {
  /** A copy that holds only what the schema knows. Throws a `DecodeError`. */
  readonly decode: (value: unknown) => Decoded<object>;
  readonly shape: Shape;
}

/** Names of definitions of custom resources begin with this; no other name does. */
export const customPrefix = 'custom:';

/** Whether a handle's definition is that of a custom resource: it has a schema, and no protobuf form. */
export function isCustomDefinition(name: string): boolean {
  return name.startsWith(customPrefix);
}

const definitions = new Map<string, CustomDefinition>();

/** Publishes or replaces the definition that a handle names. */
export function setCustomDefinition(name: string, definition: CustomDefinition): void {
  definitions.set(name, definition);
}

export function customDefinition(name: string): CustomDefinition | undefined {
  return definitions.get(name);
}
