import type { ListMeta, ObjectMeta } from './types/meta-v1.ts';

/** What every Kubernetes object has. */
export interface KubernetesObject {
  apiVersion?: string;
  kind?: string;
  metadata?: ObjectMeta;
}

/**
 * A typed handle on one served resource, such as `pods` of core/v1. The generated table `types/resources.ts` holds one
 * for each built-in resource; a handle for a custom resource is written by hand with the type of its objects.
 */
export interface Resource<T extends KubernetesObject = KubernetesObject> {
  /** API group; empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** Plural, lower-case name, as in the URL. */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly subresources: readonly string[];
  /** Name of the object's schema in `kubernetes-api.json`; empty for a custom resource. */
  readonly definition: string;
  /** Never set: carries the object's type. */
  readonly __object?: T;
}

export interface ObjectList<T> {
  apiVersion: string;
  kind: string;
  metadata: ListMeta;
  items: T[];
}

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf(resource: Pick<Resource, 'group' | 'version'>): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}
