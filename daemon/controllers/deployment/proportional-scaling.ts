import type { Deployment, ReplicaSet } from '../../apimachinery/types/apps-v1.ts';
import { desiredReplicasAnnotationOf, maxReplicasAnnotationOf } from './revision.ts';
import type { Resize } from './rolling-update.ts';
import {
  activeSets,
  compareCreation,
  desiredReplicas,
  isRollingUpdate,
  maxSurge,
  replicasOf,
  sumReplicas,
} from './rollout-limits.ts';

/** Someone changed `spec.replicas` since the active sets were last sized. */
export function isScalingEvent(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  return activeSets(sets).some((set) => {
    const desired = desiredReplicasAnnotationOf(set);
    return desired !== undefined && desired !== desiredReplicas(deployment);
  });
}

/**
 * Sizes for the replica sets after the Deployment was scaled. A single active set takes it all; a finished rollout empties
 * the old ones; in the middle of a rolling update what is added or removed is spread in proportion to the sets' sizes, so
 * that the risk stays spread as it was.
 */
export function scaleSets(
  deployment: Deployment,
  newSet: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): Resize[] {
  const all = newSet === undefined ? [...old] : [...old, newSet];
  const desired = desiredReplicas(deployment);
  const only = activeOrLatest(newSet, all);
  if (only !== undefined) return [{ set: only, replicas: desired }];
  if (isSaturated(deployment, newSet)) return activeSets(old).map((set) => ({ set, replicas: 0 }));
  if (!isRollingUpdate(deployment)) return [];

  const active = activeSets(all);
  const allowed = desired > 0 ? desired + maxSurge(deployment) : 0;
  const toAdd = allowed - sumReplicas(active);
  // The larger set is closer to what the user sees; of equal ones grow the newer and shrink the older.
  active.sort((a, b) => replicasOf(b) - replicasOf(a) || (toAdd > 0 ? compareCreation(b, a) : compareCreation(a, b)));
  let added = 0;
  const sizes = active.map((set) => {
    const share = toAdd === 0 ? 0 : proportion(deployment, set, toAdd, added);
    added += share;
    return { set, replicas: replicasOf(set) + share };
  });
  const [largest, ...rest] = sizes;
  if (largest === undefined || toAdd === 0) return sizes;
  return [{ set: largest.set, replicas: Math.max(0, largest.replicas + toAdd - added) }, ...rest];
}

/** The one set to scale when at most one is active. */
function activeOrLatest(newSet: ReplicaSet | undefined, all: readonly ReplicaSet[]): ReplicaSet | undefined {
  const active = activeSets(all);
  if (active.length > 1) return undefined;
  return active[0] ?? newSet ?? [...all].sort(compareCreation).at(-1);
}

/** The new set has everything the Deployment wants and all of it is available. */
export function isSaturated(deployment: Deployment, set: ReplicaSet | undefined): boolean {
  const desired = desiredReplicas(deployment);
  return (
    set !== undefined &&
    replicasOf(set) === desired &&
    desiredReplicasAnnotationOf(set) === desired &&
    (set.status?.availableReplicas ?? 0) === desired
  );
}

function proportion(deployment: Deployment, set: ReplicaSet, toAdd: number, added: number): number {
  if (replicasOf(set) === 0 || toAdd === added) return 0;
  const share = fraction(deployment, set);
  return toAdd > 0 ? Math.min(share, toAdd - added) : Math.max(share, toAdd - added);
}

/** How far this set's size is from its share of the new total. */
function fraction(deployment: Deployment, set: ReplicaSet): number {
  const size = replicasOf(set);
  if (desiredReplicas(deployment) === 0) return -size;
  // The total at the time this set was sized: comparing with it makes repeated scaling converge.
  const total = maxReplicasAnnotationOf(set) || deployment.status?.replicas || 0;
  if (total === 0) return 0;
  return Math.round((size * (desiredReplicas(deployment) + maxSurge(deployment))) / total) - size;
}
