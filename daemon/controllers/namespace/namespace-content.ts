import { isApiError } from '../../apimachinery/api-error.ts';
import { apiVersionOf, type KubernetesObject, type Resource } from '../../apimachinery/resource.ts';
import type { ApiClient } from '../../client/api-client.ts';
import { messageOf } from '../workload/pod-control.ts';

/** What is left in a namespace after a round of deleting, and what went wrong. */
export interface RemainingContent {
  /** Remaining objects by `resource.group`. */
  readonly counts: ReadonlyMap<string, number>;
  /** How many remaining objects carry each finalizer. */
  readonly finalizers: ReadonlyMap<string, number>;
  readonly errors: readonly string[];
  /** How long the remaining objects may reasonably take to go, in seconds. */
  readonly estimateSeconds: number;
}

/** For pods that say nothing of their grace period. */
const defaultPodGraceSeconds = 15;

/**
 * Asks for the deletion of everything in the namespace, of every kind, and counts what is still there. Pods go first, and
 * all else once they are gone: what they use, such as network policies, stays while they run.
 */
export async function deleteAllContent(
  client: ApiClient,
  resources: readonly Resource[],
  namespace: string,
): Promise<RemainingContent> {
  const counts = new Map<string, number>();
  const finalizers = new Map<string, number>();
  const errors: string[] = [];
  let estimateSeconds = 0;
  for (const resource of podsFirst(resources)) {
    if (!resource.namespaced || !resource.verbs.includes('delete')) continue;
    try {
      const remaining = await deleteResource(client, resource, namespace);
      if (remaining.length === 0) continue;
      counts.set(groupResource(resource), remaining.length);
      for (const object of remaining) {
        for (const finalizer of object.metadata?.finalizers ?? []) {
          finalizers.set(finalizer, (finalizers.get(finalizer) ?? 0) + 1);
        }
        if (isPods(resource)) {
          const grace = object.metadata?.deletionGracePeriodSeconds ?? defaultPodGraceSeconds;
          estimateSeconds = Math.max(estimateSeconds, grace);
        }
      }
      if (isPods(resource)) break;
    } catch (error) {
      // A kind that is not served (any more) has nothing in the namespace.
      if (isApiError(error, 'NotFound') || isApiError(error, 'MethodNotAllowed')) continue;
      errors.push(
        `unexpected items still remain in namespace: ${namespace} for gvr: ${gvr(resource)}: ${messageOf(error)}`,
      );
    }
  }
  return { counts, finalizers, errors, estimateSeconds };
}

function podsFirst(resources: readonly Resource[]): Resource[] {
  return [...resources].sort((a, b) => Number(isPods(b)) - Number(isPods(a)));
}

function isPods(resource: Resource): boolean {
  return resource.group === '' && resource.resource === 'pods';
}

async function deleteResource(client: ApiClient, resource: Resource, namespace: string): Promise<KubernetesObject[]> {
  const before = await listMetadata(client, resource, namespace);
  if (before.length === 0) return [];
  if (resource.verbs.includes('deletecollection')) {
    await client.deleteCollection(resource, { namespace }, { propagationPolicy: 'Background' });
  } else {
    for (const object of before) {
      try {
        await client.delete(
          resource,
          { namespace, name: object.metadata?.name ?? '' },
          { propagationPolicy: 'Background' },
        );
      } catch (error) {
        if (!isApiError(error, 'NotFound')) throw error;
      }
    }
  }
  return listMetadata(client, resource, namespace);
}

async function listMetadata(client: ApiClient, resource: Resource, namespace: string): Promise<KubernetesObject[]> {
  return (await client.list(resource, { namespace })).items;
}

export function groupResource(resource: Resource): string {
  return `${resource.resource}.${resource.group}`;
}

function gvr(resource: Resource): string {
  return `${apiVersionOf(resource)}, Resource=${resource.resource}`;
}
