import { formatTime } from './time.ts';
import type { Pod } from './types/core-v1.ts';

/** What conditions of all kinds have in common. */
export interface AnyCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export function findCondition<C extends AnyCondition>(
  conditions: readonly C[] | undefined,
  type: string,
): C | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isConditionTrue(conditions: readonly AnyCondition[] | undefined, type: string): boolean {
  return findCondition(conditions, type)?.status === 'True';
}

/**
 * A new list with `condition` in it. `lastTransitionTime` moves only when the status changes, or is set at first. The same
 * array comes back when nothing but times would change, so callers can tell by identity.
 */
export function withCondition<C extends AnyCondition>(
  conditions: readonly C[] | undefined,
  condition: C,
  now: Date = new Date(),
): C[] {
  const list = conditions ?? [];
  const old = findCondition(list, condition.type);
  if (
    old !== undefined &&
    old.status === condition.status &&
    (old.reason ?? '') === (condition.reason ?? '') &&
    (old.message ?? '') === (condition.message ?? '')
  ) {
    return list as C[];
  }
  const lastTransitionTime =
    old !== undefined && old.status === condition.status && old.lastTransitionTime !== undefined
      ? old.lastTransitionTime
      : (condition.lastTransitionTime ?? formatTime(now));
  const next = { ...condition, lastTransitionTime };
  return old === undefined ? [...list, next] : list.map((entry) => (entry === old ? next : entry));
}

export function isPodReady(pod: Pod): boolean {
  return isConditionTrue(pod.status?.conditions, 'Ready');
}

/** Ready, and has been for `minReadySeconds` (`podutil.IsPodAvailable`). */
export function isPodAvailable(pod: Pod, minReadySeconds: number, now: number = Date.now()): boolean {
  const ready = findCondition(pod.status?.conditions, 'Ready');
  if (ready?.status !== 'True') {
    return false;
  }
  const since = Date.parse(ready.lastTransitionTime ?? '');
  return minReadySeconds === 0 || (!Number.isNaN(since) && since + minReadySeconds * 1000 <= now);
}

/** Succeeded or failed: it runs no container and never will again. */
export function isPodTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** Neither finished nor being deleted (`controller.IsPodActive`). */
export function isPodActive(pod: Pod): boolean {
  return !isPodTerminal(pod) && pod.metadata.deletionTimestamp === undefined;
}
