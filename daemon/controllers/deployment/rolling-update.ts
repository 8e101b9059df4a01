import type { Deployment, ReplicaSet } from '../../apimachinery/types/apps-v1.ts';
import {
  compareCreation,
  desiredReplicas,
  isRollingUpdate,
  maxSurge,
  maxUnavailable,
  replicasOf,
  sumReplicas,
  sumStatus,
} from './rollout-limits.ts';

/** A replica set and the size it is to have. */
export interface Resize {
  readonly set: ReplicaSet;
  readonly replicas: number;
}

/** The size the new replica set may grow to now, without exceeding desired + maxSurge pods over `all` sets. */
export function newSetReplicas(deployment: Deployment, all: readonly ReplicaSet[], newReplicas: number): number {
  const desired = desiredReplicas(deployment);
  if (!isRollingUpdate(deployment)) return desired;
  const room = desired + maxSurge(deployment) - sumReplicas(all);
  if (room <= 0) return newReplicas;
  return newReplicas + Math.min(room, desired - newReplicas);
}

/** One step of scaling the new replica set; undefined when it has the size it should have now. */
export function resizeNew(deployment: Deployment, all: readonly ReplicaSet[], set: ReplicaSet): Resize | undefined {
  const desired = desiredReplicas(deployment);
  const current = replicasOf(set);
  const replicas = current > desired ? desired : newSetReplicas(deployment, all, current);
  return replicas === current ? undefined : { set, replicas };
}

/**
 * One step of scaling the old replica sets down: first the pods that are not available anyway, oldest set first, then as many
 * available ones as can go without falling below desired - maxUnavailable available pods.
 *
 * Pods of the new set that are not available count against what may be taken away: they might never become so.
 */
export function resizeOld(deployment: Deployment, old: readonly ReplicaSet[], newSet: ReplicaSet): Resize[] {
  if (sumReplicas(old) === 0) return [];
  const minAvailable = desiredReplicas(deployment) - maxUnavailable(deployment);
  const newUnavailable = replicasOf(newSet) - (newSet.status?.availableReplicas ?? 0);
  const maxScaledDown = sumReplicas([...old, newSet]) - minAvailable - newUnavailable;
  if (maxScaledDown <= 0) return [];

  const oldestFirst = [...old].sort(compareCreation);
  const sizes = new Map(oldestFirst.map((set) => [set, replicasOf(set)]));

  let cleanable = maxScaledDown;
  for (const set of oldestFirst) {
    const unhealthy = replicasOf(set) - (set.status?.availableReplicas ?? 0);
    const taken = Math.max(0, Math.min(unhealthy, cleanable));
    sizes.set(set, replicasOf(set) - taken);
    cleanable -= taken;
  }

  let surplus = sumStatus([...old, newSet], 'availableReplicas') - minAvailable;
  for (const set of oldestFirst) {
    const size = sizes.get(set) ?? 0;
    const taken = Math.max(0, Math.min(size, surplus));
    sizes.set(set, size - taken);
    surplus -= taken;
  }
  return oldestFirst
    .map((set) => ({ set, replicas: sizes.get(set) ?? 0 }))
    .filter(({ set, replicas }) => replicas !== replicasOf(set));
}
