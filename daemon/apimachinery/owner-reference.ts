import { apiVersionOf, type KubernetesObject, type Resource } from './resource.ts';
import type { OwnerReference } from './types/meta-v1.ts';

/** The owner that manages `object`, if one does. */
export function controllerOf(object: KubernetesObject): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find((reference) => reference.controller === true);
}

export function isControlledBy(object: KubernetesObject, owner: KubernetesObject): boolean {
  const uid = owner.metadata?.uid;
  return uid !== undefined && controllerOf(object)?.uid === uid;
}

/** The reference that makes `owner` the managing controller of what carries it (`metav1.NewControllerRef`). */
export function makeControllerReference(resource: Resource, owner: KubernetesObject): OwnerReference {
  return { ...makeOwnerReference(resource, owner), controller: true, blockOwnerDeletion: true };
}

/** A reference to `owner` that keeps what carries it alive, without managing it. */
export function makeOwnerReference(resource: Resource, owner: KubernetesObject): OwnerReference {
  const { name, uid } = owner.metadata ?? {};
  if (name === undefined || uid === undefined) {
    throw new Error('an owner must have a name and a uid');
  }
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, name, uid };
}
