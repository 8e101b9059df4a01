import { keyOf } from '../../apimachinery/object-key.ts';
import { controllerOf } from '../../apimachinery/owner-reference.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { pods } from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { WorkQueue } from '../../client/work-queue.ts';
import type { ControllerContext } from '../controller-context.ts';
import { joinKey } from '../object-key.ts';
import type { Expectations } from './expectations.ts';
import { refersTo } from './owner-reference.ts';
import { indexByController } from './pod-index.ts';
import { isTerminating } from './pod-state.ts';

export interface PodOwnerWatch<T> {
  readonly owners: Informer<T>;
  readonly ownerResource: Resource;
  readonly expectations: Expectations;
  readonly queue: () => WorkQueue;
  readonly matches: (owner: T, pod: Pod) => boolean;
  /** Called for an update of a pod that stays with its owner, such as to look again when it becomes available. */
  readonly onOwnedUpdate?: (owner: T, pod: Pod, old: Pod) => void;
}

/**
 * Turns what happens to pods into keys of their owners: settles expectations, queues the owner of a pod that came, changed
 * or went, both owners when it changed hands, and every owner that might adopt an orphan.
 */
export function watchPodsOf<T extends KubernetesObject>(
  context: ControllerContext,
  watch: PodOwnerWatch<T>,
): Informer<Pod> {
  const { owners, ownerResource, expectations, queue } = watch;

  const ownerOf = (pod: Pod): T | undefined => {
    const reference = controllerOf(pod);
    if (reference === undefined || !refersTo(reference, ownerResource)) return undefined;
    const owner = owners.lister.get(joinKey(pod.metadata.namespace, reference.name));
    return owner?.metadata?.uid === reference.uid ? owner : undefined;
  };

  const queueAdopters = (pod: Pod): void => {
    for (const owner of owners.lister.list(pod.metadata.namespace)) {
      if (watch.matches(owner, pod)) queue().add(keyOf(owner));
    }
  };

  const removed = (pod: Pod): void => {
    const owner = ownerOf(pod);
    if (owner === undefined) return;
    expectations.deletionObserved(keyOf(owner), keyOf(pod));
    queue().add(keyOf(owner));
  };

  const informer = context.watch(pods, {
    onAdd: (pod) => {
      // Seen for the first time already on its way out: that is what a restart in mid-deletion looks like.
      if (isTerminating(pod)) {
        removed(pod);
        return;
      }
      if (controllerOf(pod) === undefined) {
        queueAdopters(pod);
        return;
      }
      const owner = ownerOf(pod);
      if (owner === undefined) return;
      expectations.creationObserved(keyOf(owner));
      queue().add(keyOf(owner));
    },
    onUpdate: (pod, old) => {
      if (pod.metadata.resourceVersion === old.metadata.resourceVersion) return;
      const reference = controllerOf(pod);
      const oldReference = controllerOf(old);
      const changedHands = reference?.uid !== oldReference?.uid;
      const labelsChanged = JSON.stringify(pod.metadata.labels ?? {}) !== JSON.stringify(old.metadata.labels ?? {});
      if (isTerminating(pod)) {
        removed(pod);
        if (changedHands || labelsChanged) removed(old);
        return;
      }
      if (changedHands) {
        const oldOwner = ownerOf(old);
        if (oldOwner !== undefined) queue().add(keyOf(oldOwner));
      }
      if (reference === undefined) {
        if (changedHands || labelsChanged) queueAdopters(pod);
        return;
      }
      const owner = ownerOf(pod);
      if (owner === undefined) return;
      queue().add(keyOf(owner));
      watch.onOwnedUpdate?.(owner, pod, old);
    },
    onDelete: removed,
  });
  indexByController(informer);
  return informer;
}
