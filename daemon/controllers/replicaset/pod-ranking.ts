import { findCondition, isPodActive, isPodReady } from '../../apimachinery/conditions.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';

export const podDeletionCostAnnotation = 'controller.kubernetes.io/pod-deletion-cost';

const phaseRank: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/**
 * The `count` pods to delete first when scaling down, as Kubernetes ranks them: unscheduled, then pending, not ready, cheaper
 * to delete, sharing a node with more of the related pods, ready for a shorter time, restarted more often, younger. Times
 * are compared by order of magnitude, so that among pods of like age the choice is spread rather than always the newest.
 *
 * `related` are the active pods of every replica set of the same owner: they say which nodes are doubled up.
 */
export function podsToDelete(active: readonly Pod[], related: readonly Pod[], count: number, now: Date): Pod[] {
  if (count >= active.length) return [...active];
  const podsOnNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec?.nodeName;
    if (node !== undefined && isPodActive(pod)) podsOnNode.set(node, (podsOnNode.get(node) ?? 0) + 1);
  }
  const rankOf = (pod: Pod): number => podsOnNode.get(pod.spec?.nodeName ?? '') ?? 0;
  return [...active].sort((a, b) => comparePods(a, b, rankOf, now)).slice(0, count);
}

/** Negative when `a` goes first. */
function comparePods(a: Pod, b: Pod, rankOf: (pod: Pod) => number, now: Date): number {
  return (
    Number(isAssigned(a)) - Number(isAssigned(b)) ||
    (phaseRank[a.status?.phase ?? ''] ?? 0) - (phaseRank[b.status?.phase ?? ''] ?? 0) ||
    Number(isPodReady(a)) - Number(isPodReady(b)) ||
    deletionCost(a) - deletionCost(b) ||
    rankOf(b) - rankOf(a) ||
    (isPodReady(a) && isPodReady(b) ? compareAge(readySince(a), readySince(b), a, b, now) : 0) ||
    maxRestarts(b) - maxRestarts(a) ||
    compareAge(createdAt(a), createdAt(b), a, b, now)
  );
}

function isAssigned(pod: Pod): boolean {
  return (pod.spec?.nodeName ?? '') !== '';
}

/** Cost of -2^31 to 2^31-1; anything else counts as none (the API refuses it). */
export function deletionCost(pod: Pod): number {
  const text = pod.metadata.annotations?.[podDeletionCostAnnotation];
  if (text === undefined || !/^(0|-?[1-9]\d{0,9})$/.test(text)) return 0;
  const cost = Number(text);
  return cost === (cost | 0) ? cost : 0;
}

function readySince(pod: Pod): number | undefined {
  return parseTime(findCondition(pod.status?.conditions, 'Ready')?.lastTransitionTime);
}

function createdAt(pod: Pod): number | undefined {
  return parseTime(pod.metadata.creationTimestamp);
}

/** The younger goes first; one without a time is the youngest. Of like age (same power of two): by uid, which is random. */
function compareAge(a: number | undefined, b: number | undefined, podA: Pod, podB: Pod, now: Date): number {
  if (a === b) return 0;
  if (a === undefined) return -1;
  if (b === undefined) return 1;
  const difference = magnitude(now.getTime() - a) - magnitude(now.getTime() - b);
  if (difference !== 0) return difference;
  return (podA.metadata.uid ?? '') < (podB.metadata.uid ?? '') ? -1 : 1;
}

function magnitude(ageMs: number): number {
  return ageMs > 0 ? Math.floor(Math.log2(ageMs * 1e6)) : -1;
}

function maxRestarts(pod: Pod): number {
  return Math.max(0, ...(pod.status?.containerStatuses ?? []).map((status) => status.restartCount ?? 0));
}
