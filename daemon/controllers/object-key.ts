import type { KubernetesObject } from '../apimachinery/resource.ts';
import type { ObjectKey } from '../client/api-client.ts';

/** The key that `keyOf` makes, from its parts. */
export function joinKey(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

/** What a client reaches the object by. */
export function objectKey(object: KubernetesObject): ObjectKey {
  const { namespace, name } = object.metadata ?? {};
  return { ...(namespace === undefined || namespace === '' ? {} : { namespace }), name: name ?? '' };
}
