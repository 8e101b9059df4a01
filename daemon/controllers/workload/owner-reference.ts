import type { Resource } from '../../apimachinery/resource.ts';
import type { OwnerReference } from '../../apimachinery/types/meta-v1.ts';

/** The API group of an `apiVersion` (empty for core). */
export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

/** True when the reference is to an object of this resource, in whatever version. */
export function refersTo(reference: OwnerReference, resource: Resource): boolean {
  return reference.kind === resource.kind && groupOf(reference.apiVersion) === resource.group;
}
