import { isPodReady } from '../../apimachinery/conditions.ts';
import { stableStringify } from '../../apimachinery/hash.ts';
import { matchLabels } from '../../apimachinery/label-selector.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import type { Pod, Service } from '../../apimachinery/types/core-v1.ts';
import { pods, services } from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { ControllerContext } from '../controller-context.ts';
import { isTerminating } from '../workload/pod-state.ts';

/** A Service without a selector has its endpoints from somebody else. */
export function hasSelector(service: Service): boolean {
  return service.spec?.selector !== undefined && service.spec.selector !== null;
}

/** An empty selector selects nothing here. */
export function selectsPod(service: Service, pod: Pod): boolean {
  const selector = service.spec?.selector ?? {};
  return Object.keys(selector).length > 0 && matchLabels(selector).matches(pod.metadata.labels);
}

/** What of a pod shows in endpoints; as long as it stays the same, its services need no look. */
function endpointFacts(pod: Pod): string {
  const { hostname, subdomain, nodeName } = pod.spec ?? {};
  return stableStringify([
    pod.status?.podIPs ?? pod.status?.podIP,
    pod.status?.phase,
    isPodReady(pod),
    isTerminating(pod),
    nodeName,
    hostname,
    subdomain,
    pod.metadata.labels,
  ]);
}

export interface ServiceSources {
  readonly services: Informer<Service>;
  readonly pods: Informer<Pod>;
  podsOf(service: Service): Pod[];
  /** Queues the services that select the pod. */
  queueServicesOf(pod: Pod): void;
}

/** Calls `queue` with the key of every Service whose endpoints may have changed. */
export function watchServices(context: ControllerContext, queue: (key: string) => void): ServiceSources {
  const enqueue = (service: Service): void => queue(keyOf(service));
  const serviceInformer = context.watch(services, { onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
  const queueServicesOf = (...states: Pod[]): void => {
    for (const service of serviceInformer.lister.list(states[0]?.metadata.namespace)) {
      if (states.some((pod) => selectsPod(service, pod))) enqueue(service);
    }
  };
  const podInformer = context.watch(pods, {
    onAdd: (pod) => queueServicesOf(pod),
    onUpdate: (pod, old) => {
      if (endpointFacts(pod) !== endpointFacts(old)) queueServicesOf(pod, old);
    },
    onDelete: (pod) => queueServicesOf(pod),
  });
  return {
    services: serviceInformer,
    pods: podInformer,
    queueServicesOf,
    podsOf: (service) => podInformer.lister.list(service.metadata.namespace).filter((pod) => selectsPod(service, pod)),
  };
}
