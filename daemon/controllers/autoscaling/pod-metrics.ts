import { isApiError } from '../../apimachinery/api-error.ts';
import { milliOf } from '../../apimachinery/quantity.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { ApiClient } from '../../client/api-client.ts';
import { messageOf } from '../workload/pod-control.ts';

interface PodMetricsObject extends KubernetesObject {
  timestamp?: string;
  containers?: { name: string; usage?: Record<string, string> }[];
}

/** Served by whatever measures pods; it need not be there. */
export const podMetricsResource: Resource<PodMetricsObject> = {
  group: 'metrics.k8s.io',
  version: 'v1beta1',
  resource: 'pods',
  kind: 'PodMetrics',
  namespaced: true,
  verbs: ['get', 'list'],
  subresources: [],
  definition: '',
};

/** Thousandths of the resource's unit used, by pod name. */
export type PodUsage = Map<string, number>;

/**
 * What the selected pods use of a resource, over all containers or in one. Throws when nobody measures, with the words
 * that end up in the autoscaler's conditions.
 */
export async function podUsage(
  client: ApiClient,
  namespace: string,
  labelSelector: string,
  resource: string,
  container: string | undefined,
): Promise<PodUsage> {
  let items: PodMetricsObject[];
  try {
    ({ items } = await client.list(podMetricsResource, { namespace, labelSelector }));
  } catch (error) {
    const reason = isApiError(error, 'NotFound')
      ? 'the server could not find the requested resource (get pods.metrics.k8s.io)'
      : messageOf(error);
    throw new Error(
      `unable to get metrics for resource ${resource}: unable to fetch metrics from resource metrics API: ${reason}`,
    );
  }
  if (items.length === 0) {
    throw new Error(`unable to get metrics for resource ${resource}: no metrics returned from resource metrics API`);
  }
  const usage: PodUsage = new Map();
  for (const { metadata, containers = [] } of items) {
    const measured = containers.filter(({ name }) => container === undefined || name === container);
    // A pod of which one container is not measured yet says too little.
    if (measured.length === 0 || measured.some((entry) => entry.usage?.[resource] === undefined)) continue;
    usage.set(
      metadata?.name ?? '',
      measured.reduce((sum, entry) => sum + milliOf(entry.usage?.[resource]), 0),
    );
  }
  return usage;
}
