import type { Container, Node, Pod } from '../apimachinery/types/core-v1.ts';

export type EventType = 'Normal' | 'Warning';

/** Where the kubelet reports what happens to pods and to its node. Never throws: an event that is lost is logged. */
export interface KubeletEvents {
  pod(pod: Pod, type: EventType, reason: string, message: string): void;
  /** About one container: the event's object carries its `fieldPath`. */
  container(pod: Pod, container: Pick<Container, 'name'>, type: EventType, reason: string, message: string): void;
  node(node: Pick<Node, 'metadata'>, type: EventType, reason: string, message: string): void;
}

/** `spec.containers{web}`, by the list that the container is in. */
export function containerFieldPath(pod: Pod, name: string): string {
  const lists = ['containers', 'initContainers', 'ephemeralContainers'] as const;
  const list = lists.find((one) => pod.spec?.[one]?.some((container) => container.name === name));
  return list === undefined ? '' : `spec.${list}{${name}}`;
}
