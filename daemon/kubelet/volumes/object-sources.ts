import { apiError, isApiError } from '../../apimachinery/api-error.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import { configmaps, persistentvolumeclaims, persistentvolumes, secrets } from '../../apimachinery/types/resources.ts';
import type { ApiClient } from '../../client/api-client.ts';
import type { VolumeSources } from './plugin.ts';
import type { TokenManager } from './service-account-token.ts';

/** How long an object read for one pod serves the next; a pod's volumes follow changes at its next sync after that. */
const TIME_TO_LIVE_MS = 10_000;

interface Entry {
  readonly until: number;
  readonly object: Promise<KubernetesObject>;
}

/**
 * Reads the objects that pods name, one by one, as a node's permissions allow, and keeps each for a moment so that a
 * hundred pods of one Deployment cost one request.
 */
export function createObjectSources(client: ApiClient, tokens: TokenManager): VolumeSources {
  const cache = new Map<string, Entry>();

  function read<T extends KubernetesObject>(resource: Resource<T>, name: string, namespace?: string): Promise<T> {
    const key = `${resource.resource}/${namespace ?? ''}/${name}`;
    const now = Date.now();
    const cached = cache.get(key);
    if (cached !== undefined && now < cached.until) return cached.object as Promise<T>;
    if (cache.size > 1000) for (const [old, entry] of cache) if (entry.until <= now) cache.delete(old);
    const object = client
      .get(resource, namespace === undefined ? { name } : { namespace, name })
      .catch((error: unknown) => {
        // Users know the kubelet's words for it: the kind in lower case, where the API says the resource.
        if (!isApiError(error, 'NotFound')) throw error;
        throw apiError('NotFound', `${resource.kind.toLowerCase()} ${JSON.stringify(name)} not found`);
      });
    cache.set(key, { until: now + TIME_TO_LIVE_MS, object });
    // A failure is not kept: the pod is waiting for the object to appear.
    object.catch(() => cache.delete(key));
    return object;
  }

  return {
    configMap: (namespace, name) => read(configmaps, name, namespace),
    secret: (namespace, name) => read(secrets, name, namespace),
    // Claims and volumes are waited for until they are bound: always as they are now.
    claim: (namespace, name) => client.get(persistentvolumeclaims, { namespace, name }),
    volume: (name) => client.get(persistentvolumes, { name }),
    serviceAccountToken: (pod, audience, seconds) => tokens.token(pod, audience, seconds),
  };
}
