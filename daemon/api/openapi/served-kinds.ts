import { apiFacts, definitionOfKind, type SubresourceFacts } from '../codec/schema.ts';

/** A resource as an OpenAPI document shows it. */
export interface ServedKind {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly sub?: Readonly<Record<string, SubresourceFacts>>;
  /** Name of the schema of its objects; that of a list is the same with `List`. */
  readonly definition: string;
  /** Of a custom resource: strategic merge and protobuf are not for it. */
  readonly isCustom?: boolean;
}

const stable = /^v\d+$/;

/** The built-in resources of the stable versions. */
export const builtinKinds: readonly ServedKind[] = Object.entries(apiFacts.resources).flatMap(([path, facts]) => {
  const [group = '', version = '', resource = ''] = path.split('/');
  const definition = definitionOfKind(group, version, facts.kind);
  return stable.test(version) && definition !== undefined ? [{ ...facts, group, version, resource, definition }] : [];
});

/** `api/v1`, `apis/apps/v1`: the path of a group version, as the index of OpenAPI v3 names it. */
export function groupVersionPath({ group, version }: Pick<ServedKind, 'group' | 'version'>): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}
