import { isPodReady, withCondition } from '../../apimachinery/conditions.ts';
import { scaledValue } from '../../apimachinery/int-or-string.ts';
import { formatTime, parseTime } from '../../apimachinery/time.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import type { Condition } from '../../apimachinery/types/meta-v1.ts';
import type { PodDisruptionBudget, PodDisruptionBudgetStatus } from '../../apimachinery/types/policy-v1.ts';

/** An eviction that the API let through counts as done for this long, in milliseconds; then it is taken for lost. */
export const evictionTimeoutMs = 2 * 60_000;

/** What the pods' owners want, or why that cannot be told. */
export type ExpectedScale =
  | { readonly scale: number; readonly unmanaged: readonly string[] }
  | { readonly error: string };

/** How many healthy pods a budget asks for. */
export function desiredHealthy(budget: PodDisruptionBudget, expected: number): number {
  const { maxUnavailable, minAvailable } = budget.spec ?? {};
  if (maxUnavailable !== undefined) return Math.max(0, expected - scaledValue(maxUnavailable, expected, true));
  return minAvailable === undefined ? 0 : scaledValue(minAvailable, expected, true);
}

export function budgetStatus(
  budget: PodDisruptionBudget,
  pods: readonly Pod[],
  expected: number,
  now: Date,
): { status: PodDisruptionBudgetStatus; recheckMs: number | undefined } {
  const { disrupted, recheckMs } = stillDisrupted(budget, pods, now);
  const currentHealthy = pods.filter(
    (pod) =>
      pod.metadata.deletionTimestamp === undefined &&
      isPodReady(pod) &&
      disrupted[pod.metadata.name ?? ''] === undefined,
  ).length;
  const desired = desiredHealthy(budget, expected);
  const disruptionsAllowed = expected === 0 ? 0 : Math.max(0, currentHealthy - desired);
  const enough = disruptionsAllowed > 0;
  const { generation = 0 } = budget.metadata;
  const conditions = disruptionCondition(
    budget,
    enough ? 'True' : 'False',
    enough ? 'SufficientPods' : 'InsufficientPods',
    '',
    now,
  );
  return {
    status: {
      currentHealthy,
      desiredHealthy: desired,
      disruptionsAllowed,
      expectedPods: expected,
      observedGeneration: generation,
      ...(Object.keys(disrupted).length === 0 ? {} : { disruptedPods: disrupted }),
      conditions,
    },
    recheckMs,
  };
}

/** The conditions with DisruptionAllowed as given. */
export function disruptionCondition(
  budget: PodDisruptionBudget,
  status: 'True' | 'False',
  reason: string,
  message: string,
  now: Date,
): Condition[] {
  const condition: Condition = {
    type: 'DisruptionAllowed',
    status,
    reason,
    message,
    observedGeneration: budget.metadata.generation ?? 0,
    lastTransitionTime: formatTime(now),
  };
  return withCondition(budget.status?.conditions, condition, now);
}

/** Evictions under way: those whose pod is gone or is being deleted have happened, old ones never will. */
function stillDisrupted(
  budget: PodDisruptionBudget,
  pods: readonly Pod[],
  now: Date,
): { disrupted: Record<string, string>; recheckMs: number | undefined } {
  const known = budget.status?.disruptedPods ?? {};
  const disrupted: Record<string, string> = {};
  let recheckMs: number | undefined;
  for (const pod of pods) {
    const since = known[pod.metadata.name ?? ''];
    if (since === undefined || pod.metadata.deletionTimestamp !== undefined) continue;
    const left = (parseTime(since) ?? 0) + evictionTimeoutMs - now.getTime();
    if (left < 0) continue;
    disrupted[pod.metadata.name ?? ''] = since;
    recheckMs = recheckMs === undefined ? left : Math.min(recheckMs, left);
  }
  return { disrupted, recheckMs };
}
