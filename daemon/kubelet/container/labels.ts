import { fnv32a } from '../../apimachinery/hash.ts';
import type { Pod, Container as PodContainer } from '../../apimachinery/types/core-v1.ts';

/** What the kubelet writes on sandboxes and containers, so that another kubelet (or tool) knows whose they are. */
export const labels = {
  podName: 'io.kubernetes.pod.name',
  podNamespace: 'io.kubernetes.pod.namespace',
  podUid: 'io.kubernetes.pod.uid',
  containerName: 'io.kubernetes.container.name',
} as const;

export const annotations = {
  hash: 'io.kubernetes.container.hash',
  restartCount: 'io.kubernetes.container.restartCount',
  terminationMessagePath: 'io.kubernetes.container.terminationMessagePath',
  terminationMessagePolicy: 'io.kubernetes.container.terminationMessagePolicy',
  preStop: 'io.kubernetes.container.preStopHandler',
  ports: 'io.kubernetes.container.ports',
  podGracePeriod: 'io.kubernetes.pod.terminationGracePeriod',
  podDeletionGracePeriod: 'io.kubernetes.pod.deletionGracePeriod',
  configSeen: 'kubernetes.io/config.seen',
  configSource: 'kubernetes.io/config.source',
} as const;

type StringMap = Record<string, string>;

const podLabels = (pod: Pod): StringMap => ({
  [labels.podName]: pod.metadata?.name ?? '',
  [labels.podNamespace]: pod.metadata?.namespace ?? '',
  [labels.podUid]: uidOf(pod),
});

/** A pod that reached a node always has a uid. */
export function uidOf(pod: Pod): string {
  const uid = pod.metadata?.uid;
  if (uid === undefined || uid === '')
    throw new Error(`pod ${pod.metadata?.namespace}/${pod.metadata?.name} has no uid`);
  return uid;
}

/** How log lines and errors name a pod: `name_namespace(uid)`. */
export function formatPod(pod: Pod): string {
  return `${pod.metadata?.name}_${pod.metadata?.namespace}(${pod.metadata?.uid})`;
}

/**
 * Changes when the container must be replaced by another: with its name or its image. Other fields that can change in
 * place (resources) do not restart it.
 */
export function containerHash(container: Pick<PodContainer, 'name' | 'image'>): string {
  return fnv32a(JSON.stringify({ name: container.name, image: container.image ?? '' })).toString(16);
}

export function sandboxLabels(pod: Pod): StringMap {
  return { ...pod.metadata?.labels, ...podLabels(pod) };
}

export function sandboxAnnotations(pod: Pod, seen: string): StringMap {
  return { ...pod.metadata?.annotations, [annotations.configSeen]: seen, [annotations.configSource]: 'api' };
}

export function containerLabels(pod: Pod, container: PodContainer): StringMap {
  return { [labels.containerName]: container.name, ...podLabels(pod) };
}

export function containerAnnotations(pod: Pod, container: PodContainer, restartCount: number): StringMap {
  const result: StringMap = {
    [annotations.hash]: containerHash(container),
    [annotations.restartCount]: String(restartCount),
    [annotations.terminationMessagePath]: container.terminationMessagePath ?? '',
    [annotations.terminationMessagePolicy]: container.terminationMessagePolicy ?? 'File',
  };
  const { deletionGracePeriodSeconds } = pod.metadata ?? {};
  const { terminationGracePeriodSeconds } = pod.spec ?? {};
  if (deletionGracePeriodSeconds !== undefined)
    result[annotations.podDeletionGracePeriod] = String(deletionGracePeriodSeconds);
  if (terminationGracePeriodSeconds !== undefined)
    result[annotations.podGracePeriod] = String(terminationGracePeriodSeconds);
  if (container.lifecycle?.preStop !== undefined)
    result[annotations.preStop] = JSON.stringify(container.lifecycle.preStop);
  if ((container.ports ?? []).length > 0) result[annotations.ports] = JSON.stringify(container.ports);
  return result;
}
