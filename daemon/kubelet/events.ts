import type { Container, ObjectReference, Pod } from '../apimachinery/types/core-v1.ts';
import type { EventRecorder, EventType } from '../client/event-recorder.ts';

/** Where the kubelet reports what happens to pods and to its node. Never throws: an event that is lost is logged. */
export interface KubeletEvents {
  pod(pod: Pod, type: EventType, reason: string, message: string): void;
  /** About one container: the event's object carries its `fieldPath`. */
  container(pod: Pod, container: Pick<Container, 'name'>, type: EventType, reason: string, message: string): void;
  node(type: EventType, reason: string, message: string): void;
}

/** `spec.containers{web}`, by the list that the container is in. */
export function containerFieldPath(pod: Pod, name: string): string {
  const lists = ['containers', 'initContainers', 'ephemeralContainers'] as const;
  const list = lists.find((one) => pod.spec?.[one]?.some((container) => container.name === name));
  return list === undefined ? '' : `spec.${list}{${name}}`;
}

function podReference(pod: Pod, fieldPath?: string): ObjectReference {
  const { name = '', namespace = '', uid = '', resourceVersion } = pod.metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    name,
    namespace,
    uid,
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(fieldPath === undefined || fieldPath === '' ? {} : { fieldPath }),
  };
}

export function createKubeletEvents(recorder: EventRecorder, nodeName: string): KubeletEvents {
  // The kubelet knows its node by name before it knows the object: the name stands in for the uid.
  const node: ObjectReference = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeName };
  return {
    pod: (pod, type, reason, message) => recorder.event(podReference(pod), type, reason, message),
    container: (pod, { name }, type, reason, message) =>
      recorder.event(podReference(pod, containerFieldPath(pod, name)), type, reason, message),
    node: (type, reason, message) => recorder.event(node, type, reason, message),
  };
}
