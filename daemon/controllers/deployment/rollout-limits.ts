import { scaledValue } from '../../apimachinery/int-or-string.ts';
import type { Deployment, ReplicaSet } from '../../apimachinery/types/apps-v1.ts';

const defaultShare = '25%';

export function desiredReplicas(deployment: Deployment): number {
  return deployment.spec.replicas ?? 1;
}

export function replicasOf(set: ReplicaSet): number {
  return set.spec.replicas ?? 1;
}

export function isRollingUpdate(deployment: Deployment): boolean {
  return (deployment.spec.strategy?.type ?? 'RollingUpdate') === 'RollingUpdate';
}

/** Surge rounds up, unavailable down; both 0 would never move, so one may then be unavailable. */
function fenceposts(deployment: Deployment): { surge: number; unavailable: number } {
  const rolling = deployment.spec.strategy?.rollingUpdate;
  const surge = scaledValue(rolling?.maxSurge ?? defaultShare, desiredReplicas(deployment), true);
  const unavailable = scaledValue(rolling?.maxUnavailable ?? defaultShare, desiredReplicas(deployment), false);
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

/** How many pods a rolling update may have above the desired count. */
export function maxSurge(deployment: Deployment): number {
  return isRollingUpdate(deployment) ? fenceposts(deployment).surge : 0;
}

/** How many of the desired pods may be missing or not available during a rolling update. */
export function maxUnavailable(deployment: Deployment): number {
  if (!isRollingUpdate(deployment) || desiredReplicas(deployment) === 0) return 0;
  return Math.min(fenceposts(deployment).unavailable, desiredReplicas(deployment));
}

export function sumReplicas(sets: readonly ReplicaSet[]): number {
  return sets.reduce((sum, set) => sum + replicasOf(set), 0);
}

export function sumStatus(
  sets: readonly ReplicaSet[],
  field: 'replicas' | 'readyReplicas' | 'availableReplicas' | 'terminatingReplicas',
): number {
  return sets.reduce((sum, set) => sum + (set.status?.[field] ?? 0), 0);
}

export function activeSets(sets: readonly ReplicaSet[]): ReplicaSet[] {
  return sets.filter((set) => replicasOf(set) > 0);
}

const createdAt = (set: ReplicaSet): string => set.metadata.creationTimestamp ?? '';
const nameOf = (set: ReplicaSet): string => set.metadata.name ?? '';

/** Oldest first; by name among those of the same second. */
export function compareCreation(a: ReplicaSet, b: ReplicaSet): number {
  return createdAt(a) === createdAt(b) ? (nameOf(a) < nameOf(b) ? -1 : 1) : createdAt(a) < createdAt(b) ? -1 : 1;
}
