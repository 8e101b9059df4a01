import facts from '../../apimachinery/kubernetes-api.json' with { type: 'json' };

/** The type of a field as `kubernetes-api.json` writes it: a scalar name, `@definition`, `[element]` or `{map: value}`. */
export type FieldType = string | readonly [FieldType] | { readonly map: FieldType };

export interface FieldSchema {
  readonly t: FieldType;
  /** Protobuf field number and wire type. */
  readonly n?: number;
  readonly w?: string;
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
  readonly mapType?: 'atomic' | 'granular';
  readonly strategy?: string;
  readonly mergeKey?: string;
}

export interface Definition {
  readonly proto?: string;
  readonly fields?: Readonly<Record<string, FieldSchema>>;
  readonly required?: readonly string[];
  readonly gvk?: readonly [string, string, string];
  /** A definition that is a scalar: `date-time`, `int-or-string`, `any`, `object`, `string`. */
  readonly t?: string;
}

export interface SubresourceFacts {
  /** Group, version and kind of the body. */
  readonly kind: readonly [string, string, string];
  readonly verbs: readonly string[];
}

export interface ResourceFacts {
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly sub?: Readonly<Record<string, SubresourceFacts>>;
}

export interface ApiFacts {
  readonly version: string;
  readonly definitions: Readonly<Record<string, Definition>>;
  /** By `/v1/pods`, `apps/v1/deployments`. */
  readonly resources: Readonly<Record<string, ResourceFacts>>;
}

/** The distilled facts of the Kubernetes API that this version serves. */
export const apiFacts: ApiFacts = facts as unknown as ApiFacts;

export function definitionOf(name: string): Definition {
  const definition = apiFacts.definitions[name];
  if (definition === undefined) throw new Error(`no definition ${name}`);
  return definition;
}

export function resourceFacts(group: string, version: string, resource: string): ResourceFacts | undefined {
  return apiFacts.resources[`${group}/${version}/${resource}`];
}

const definitionsByKind = new Map<string, string>();
for (const [name, definition] of Object.entries(apiFacts.definitions)) {
  if (definition.gvk !== undefined) {
    const key = definition.gvk.join('/');
    const known = definitionsByKind.get(key);
    // Lists and options of meta/v1 are registered under every group: the group's own definition wins.
    if (known === undefined || known.includes('.meta.v1.')) definitionsByKind.set(key, name);
  }
}

export function definitionOfKind(group: string, version: string, kind: string): string | undefined {
  return definitionsByKind.get(`${group}/${version}/${kind}`);
}
