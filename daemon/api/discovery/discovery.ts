import { createHash } from 'node:crypto';
import { apiFacts, resourceFacts, type SubresourceFacts } from '../codec/schema.ts';
import type { VirtualResource } from '../resource-api.ts';
import type { ResourceRow } from '../resources/resource-row.ts';

/** The order in which Kubernetes lists its groups: clients take the first group that has a resource's name. */
const groupOrder = [
  '',
  'apiregistration.k8s.io',
  'apps',
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'networking.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'scheduling.k8s.io',
  'coordination.k8s.io',
  'node.k8s.io',
  'discovery.k8s.io',
  'resource.k8s.io',
  'flowcontrol.apiserver.k8s.io',
];

interface ApiResource {
  readonly name: string;
  readonly singularName: string;
  readonly namespaced: boolean;
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly storageVersionHash?: string;
}

export interface GroupVersion {
  readonly group: string;
  readonly version: string;
  readonly resources: ApiResource[];
}

/** A group version that another server answers. */
export interface ForeignVersion extends GroupVersion {
  /** That server cannot be asked now: this is what it said last. */
  readonly isStale: boolean;
}

/** `v2` before `v1` before `v1beta1` before `v1alpha1`. */
export function compareVersions(a: string, b: string): number {
  const parse = (version: string) => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    return match === null
      ? undefined
      : [match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0, Number(match[1]), Number(match[3] ?? 0)];
  };
  const left = parse(a);
  const right = parse(b);
  if (left === undefined || right === undefined) return left === right ? (a < b ? -1 : 1) : left === undefined ? 1 : -1;
  for (let i = 0; i < 3; i++) if (left[i] !== right[i]) return right[i]! - left[i]!;
  return 0;
}

/** Kubernetes lists `watch` between `update` and nothing: verbs are sorted, and watch is one where list is. */
function servedVerbs(verbs: readonly string[]): string[] {
  return [
    ...new Set(
      verbs.includes('list') && verbs.includes('get') && verbs.includes('create') ? [...verbs, 'watch'] : verbs,
    ),
  ].sort();
}

/** What the server serves: the legacy documents, one per group version, and the aggregated one. */
export class Discovery {
  readonly #virtual: readonly VirtualResource[];
  #versions: readonly GroupVersion[] = [];
  #rows: readonly ResourceRow[] = [];
  #foreign: readonly ForeignVersion[] = [];

  constructor(rows: readonly ResourceRow[], virtual: Iterable<VirtualResource>) {
    this.#virtual = [...virtual];
    this.update(rows);
  }

  /** What is served from now on. */
  update(rows: readonly ResourceRow[]): void {
    this.#rows = rows;
    const virtual = this.#virtual;
    const versions = new Map<string, GroupVersion>();
    const add = (group: string, version: string, ...resources: ApiResource[]): void => {
      const key = `${group}/${version}`;
      let found = versions.get(key);
      if (found === undefined) {
        found = { group, version, resources: [] };
        versions.set(key, found);
      }
      found.resources.push(...resources);
    };
    for (const { group, version, resources } of this.#foreign) add(group, version, ...resources);
    for (const row of rows) add(row.handle.group, row.handle.version, ...resourcesOf(row));
    for (const { kind } of virtual) {
      const facts = resourceFacts(kind.group, kind.version, kind.resource);
      add(kind.group, kind.version, {
        name: kind.resource,
        singularName: kind.kind.toLowerCase(),
        namespaced: kind.namespaced,
        kind: kind.kind,
        verbs: [...(facts?.verbs ?? ['create'])].sort(),
        ...(kind.resource === 'componentstatuses' ? { shortNames: ['cs'] } : {}),
      });
    }
    for (const version of versions.values()) version.resources.sort((a, b) => (a.name < b.name ? -1 : 1));
    const rank = (group: string) => (groupOrder.includes(group) ? groupOrder.indexOf(group) : groupOrder.length);
    this.#versions = [...versions.values()].sort(
      (a, b) =>
        rank(a.group) - rank(b.group) ||
        (a.group < b.group ? -1 : a.group > b.group ? 1 : compareVersions(a.version, b.version)),
    );
  }

  /** What other servers serve from now on. */
  setForeign(versions: readonly ForeignVersion[]): void {
    this.#foreign = versions;
    this.update(this.#rows);
  }

  #freshness({ group, version }: GroupVersion): string {
    const foreign = this.#foreign.find((one) => one.group === group && one.version === version);
    return foreign?.isStale === true ? 'Stale' : 'Current';
  }

  /** Every group and version, in order. */
  groupVersions(): (readonly [string, string])[] {
    return this.#versions.map(({ group, version }) => [group, version] as const);
  }

  /** Groups in order, each with its versions, best first. */
  #groups(): Map<string, GroupVersion[]> {
    const groups = new Map<string, GroupVersion[]>();
    for (const version of this.#versions) {
      const list = groups.get(version.group);
      if (list === undefined) groups.set(version.group, [version]);
      else list.push(version);
    }
    return groups;
  }

  /** `/api` */
  coreVersions(serverAddress: string): object {
    return {
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
    };
  }

  /** `/apis` */
  groupList(): object {
    const groups = [...this.#groups().keys()].filter((group) => group !== '').map((group) => this.#group(group));
    return { kind: 'APIGroupList', apiVersion: 'v1', groups };
  }

  /** `/apis/<group>`; undefined when there is none. */
  group(name: string): object | undefined {
    return this.#groups().has(name) && name !== ''
      ? { kind: 'APIGroup', apiVersion: 'v1', ...this.#group(name) }
      : undefined;
  }

  #group(name: string) {
    const versions = (this.#groups().get(name) ?? []).map(({ version }) => ({
      groupVersion: `${name}/${version}`,
      version,
    }));
    return { name, versions, preferredVersion: versions[0] };
  }

  /** `/api/v1` and `/apis/<group>/<version>`; undefined when there is none. */
  resources(group: string, version: string): object | undefined {
    const found = this.#versions.find((candidate) => candidate.group === group && candidate.version === version);
    if (found === undefined) return undefined;
    return {
      kind: 'APIResourceList',
      ...(group === '' ? {} : { apiVersion: 'v1' }),
      groupVersion: group === '' ? version : `${group}/${version}`,
      resources: found.resources,
    };
  }

  /** The aggregated document: of the core group for `/api`, of all others for `/apis`. */
  aggregated(core: boolean, version: 'v2' | 'v2beta1'): object {
    const items = [...this.#groups()]
      .filter(([group]) => (group === '') === core)
      .map(([group, versions]) => ({
        metadata: group === '' ? { creationTimestamp: null } : { name: group, creationTimestamp: null },
        versions: versions.map((found) => ({
          version: found.version,
          resources: aggregatedResources(found),
          freshness: this.#freshness(found),
        })),
      }));
    return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items };
  }

  /** All paths that a request for `/` lists. */
  paths(): string[] {
    const paths = ['/api', '/api/v1', '/apis', '/apis/'];
    for (const [group, versions] of this.#groups()) {
      if (group === '') continue;
      paths.push(`/apis/${group}`);
      for (const { version } of versions) paths.push(`/apis/${group}/${version}`);
    }
    return paths;
  }
}

function resourcesOf(row: ResourceRow): ApiResource[] {
  const { group, version, resource, kind, namespaced, verbs } = row.handle;
  const facts = resourceFacts(group, version, resource);
  const resources: ApiResource[] = [
    {
      name: resource,
      singularName: row.singular,
      namespaced,
      kind,
      verbs: servedVerbs(verbs),
      ...(row.shortNames === undefined ? {} : { shortNames: row.shortNames }),
      ...(row.categories === undefined ? {} : { categories: row.categories }),
      storageVersionHash: createHash('sha256')
        .update(`${group}/${version}/${kind}`)
        .digest()
        .subarray(0, 8)
        .toString('base64'),
    },
  ];
  for (const [name, subresource] of Object.entries(facts?.sub ?? customSubresources(row))) {
    const [subGroup, subVersion, subKind] = subresource.kind;
    const foreign = subGroup !== group || subVersion !== version;
    resources.push({
      name: `${resource}/${name}`,
      singularName: '',
      namespaced,
      ...(foreign ? { group: subGroup, version: subVersion } : {}),
      kind: subKind,
      verbs: subresource.verbs.includes('connect') ? connectVerbs(name) : [...subresource.verbs].sort(),
    });
  }
  return resources;
}

/** Of a custom resource: `status` is the object itself. */
function customSubresources({ handle }: ResourceRow): Record<string, SubresourceFacts> {
  const { group, version, kind, subresources } = handle;
  const verbs = ['get', 'patch', 'update'];
  return Object.fromEntries(
    subresources.map((name) => [
      name,
      { kind: name === 'scale' ? (['autoscaling', 'v1', 'Scale'] as const) : ([group, version, kind] as const), verbs },
    ]),
  );
}

/** What connecting looks like in discovery: the verbs of the HTTP methods that it takes. */
function connectVerbs(name: string): string[] {
  return name === 'proxy' ? ['create', 'delete', 'get', 'patch', 'update'] : ['create', 'get'];
}

function aggregatedResources({ group, version, resources }: GroupVersion): object[] {
  const top = resources.filter((resource) => !resource.name.includes('/'));
  return top.map((resource) => {
    const below = resources.filter((candidate) => candidate.name.startsWith(`${resource.name}/`));
    return {
      resource: resource.name,
      responseKind: { group, version, kind: resource.kind },
      scope: resource.namespaced ? 'Namespaced' : 'Cluster',
      singularResource: resource.singularName,
      verbs: resource.verbs,
      ...(resource.shortNames === undefined ? {} : { shortNames: resource.shortNames }),
      ...(resource.categories === undefined ? {} : { categories: resource.categories }),
      ...(below.length === 0
        ? {}
        : {
            subresources: below.map((subresource) => ({
              subresource: subresource.name.slice(resource.name.length + 1),
              responseKind: {
                group: subresource.group ?? group,
                version: subresource.version ?? version,
                kind: subresource.kind,
              },
              verbs: subresource.verbs,
            })),
          }),
    };
  });
}

/** Major and minor of the API that is served, such as 1 and 36. */
export function servedVersion(): { major: string; minor: string } {
  const match = /^v(\d+)\.(\d+)/.exec(apiFacts.version);
  if (match === null) throw new Error(`kubernetes-api.json: bad version ${apiFacts.version}`);
  return { major: match[1]!, minor: match[2]! };
}
