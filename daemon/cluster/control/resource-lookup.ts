import { apiError } from '../../apimachinery/api-error.ts';
import type { APIResourceList } from '../../apimachinery/types/meta-v1.ts';
import type { RestCaller } from './rest-caller.ts';

export interface ServedResource {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

interface DiscoveredGroups {
  readonly groups: readonly { readonly name: string; readonly preferredVersion: { readonly groupVersion: string } }[];
}

async function served(
  caller: RestCaller,
  groupVersion: string,
): Promise<readonly (ServedResource & { readonly names: readonly string[] })[]> {
  const path = groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`;
  const { value } = await caller.json<APIResourceList>({ method: 'GET', path });
  const [group, version] = groupVersion.includes('/')
    ? (groupVersion.split('/') as [string, string])
    : ['', groupVersion];
  return value.resources
    .filter((resource) => !resource.name.includes('/'))
    .map((resource) => ({
      group,
      version,
      resource: resource.name,
      kind: resource.kind,
      namespaced: resource.namespaced,
      names: [resource.name, resource.singularName, resource.kind.toLowerCase(), ...(resource.shortNames ?? [])],
    }));
}

async function groupVersions(caller: RestCaller): Promise<readonly string[]> {
  const { value } = await caller.json<DiscoveredGroups>({ method: 'GET', path: '/apis', accept: 'application/json' });
  return ['v1', ...value.groups.map((group) => group.preferredVersion.groupVersion)];
}

/** Finds what a user means by `deploy`, `pods`, `Ingress` or `events.events.k8s.io`, in the order of discovery. */
export async function lookupResource(caller: RestCaller, wanted: string): Promise<ServedResource> {
  const [name = '', ...group] = wanted.toLowerCase().split('.');
  for (const groupVersion of await groupVersions(caller)) {
    if (group.length > 0 && !groupVersion.startsWith(`${group.join('.')}/`)) continue;
    const found = (await served(caller, groupVersion)).find((resource) => resource.names.includes(name));
    if (found !== undefined) return found;
  }
  throw apiError('NotFound', `the server doesn't have a resource type "${wanted}"`);
}

/** Finds the resource of a document's `apiVersion` and `kind`. */
export async function lookupKind(caller: RestCaller, apiVersion: string, kind: string): Promise<ServedResource> {
  try {
    const found = (await served(caller, apiVersion)).find((resource) => resource.kind === kind);
    if (found !== undefined) return found;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 404) throw error;
  }
  throw apiError('BadRequest', `no matches for kind "${kind}" in version "${apiVersion}"`);
}

export function collectionPath(resource: ServedResource, namespace: string | undefined): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${resource.resource}`;
}
