import type { KubernetesObject } from './resource.ts';

/** The key of caches and work queues: `namespace/name`, or `name` for a cluster-scoped object. */
export function keyOf(object: KubernetesObject): string {
  const metadata = object.metadata;
  return metadata?.namespace ? `${metadata.namespace}/${metadata.name}` : (metadata?.name ?? '');
}

/** The parts of a key that `keyOf` made. */
export function splitKey(key: string): { namespace?: string; name: string } {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
