import { apiFacts, type FieldType } from '../codec/schema.ts';

/** What strategic merge needs to know of one field. */
export interface PatchField {
  readonly replace: boolean;
  readonly merge: boolean;
  /** Key of the maps of a merged list; empty for a list of scalars. */
  readonly mergeKey: string;
  /** Type of the value, of the list's elements, or of the map's values. */
  readonly element: PatchType;
}

/** The type of a value: a definition's name, the type of a map's values, or unknown (merged by JSON's own rules). */
export type PatchType = { readonly definition: string } | { readonly values: FieldType } | undefined;

const unknownField: PatchField = { replace: false, merge: false, mergeKey: '', element: undefined };
const cache = new Map<string, Map<string, PatchField>>();

/** A plain `in` would find the `map` that every array has. */
function isList(type: Exclude<FieldType, string>): type is readonly [FieldType] {
  return Array.isArray(type);
}

function typeOf(type: FieldType): PatchType {
  if (typeof type === 'string') return type.startsWith('@') ? { definition: type.slice(1) } : undefined;
  return isList(type) ? typeOf(type[0]) : { values: type.map };
}

export function patchTypeOf(definition: string): PatchType {
  return apiFacts.definitions[definition] === undefined ? undefined : { definition };
}

/** The patch strategy of the field `name` of a value of `type`. */
export function patchField(type: PatchType, name: string): PatchField {
  if (type === undefined) return unknownField;
  if ('values' in type) return { ...unknownField, element: typeOf(type.values) };
  let fields = cache.get(type.definition);
  if (fields === undefined) {
    fields = new Map();
    cache.set(type.definition, fields);
    for (const [field, facts] of Object.entries(apiFacts.definitions[type.definition]?.fields ?? {})) {
      const strategies = facts.strategy?.split(',') ?? [];
      fields.set(field, {
        replace: strategies.includes('replace'),
        merge: strategies.includes('merge'),
        mergeKey: facts.mergeKey ?? '',
        element: typeOf(facts.t),
      });
    }
  }
  return fields.get(name) ?? unknownField;
}
