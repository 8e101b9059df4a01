import { findCondition } from '../../apimachinery/conditions.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';

/** Milliseconds until a ready pod counts as available (0: it does); undefined when it is not ready. */
export function podAvailableInMs(pod: Pod, minReadySeconds: number, now: Date): number | undefined {
  const ready = findCondition(pod.status?.conditions, 'Ready');
  if (ready?.status !== 'True') return undefined;
  if (minReadySeconds === 0) return 0;
  const since = parseTime(ready.lastTransitionTime);
  return since === undefined ? undefined : Math.max(0, since + minReadySeconds * 1000 - now.getTime());
}

/** Being deleted: waiting for its grace period or its finalizers. */
export function isTerminating(object: KubernetesObject): boolean {
  return object.metadata?.deletionTimestamp !== undefined;
}
