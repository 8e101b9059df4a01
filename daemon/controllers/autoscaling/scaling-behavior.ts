import type {
  HorizontalPodAutoscalerBehavior,
  HorizontalPodAutoscalerSpec,
  HPAScalingRules,
} from '../../apimachinery/types/autoscaling-v2.ts';

/** Something that happened at a time, in milliseconds: a recommendation of so many replicas, or a change by so many. */
export interface Dated {
  readonly at: number;
  readonly count: number;
}

/** What is remembered of one autoscaler between its rounds. */
export interface ScalingHistory {
  recommendations: Dated[];
  /** Replicas added and removed, each a positive count. */
  added: Dated[];
  removed: Dated[];
}

export interface Outcome {
  readonly replicas: number;
  readonly ableToScale: readonly [reason: string, message: string];
  readonly limited: readonly [status: 'True' | 'False', reason: string, message: string];
}

const defaultUp: HPAScalingRules = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
};
const defaultDown: HPAScalingRules = {
  stabilizationWindowSeconds: 300,
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
};

export function rulesOf(behavior: HorizontalPodAutoscalerBehavior | undefined): {
  up: HPAScalingRules;
  down: HPAScalingRules;
} {
  return { up: { ...defaultUp, ...behavior?.scaleUp }, down: { ...defaultDown, ...behavior?.scaleDown } };
}

/** The size to set: the desired one, held back by what was recommended lately, by the rate of change, and by the bounds. */
export function applyBehavior(
  spec: HorizontalPodAutoscalerSpec,
  history: ScalingHistory,
  current: number,
  desired: number,
  nowMs: number,
): Outcome {
  const { up, down } = rulesOf(spec.behavior);
  const stabilized = stabilize(history, current, desired, up, down, nowMs);
  const ableToScale: Outcome['ableToScale'] =
    stabilized === desired
      ? ['ReadyForNewScale', 'recommended size matches current size']
      : stabilized > desired
        ? [
            'ScaleDownStabilized',
            'recent recommendations were higher than current one, applying the highest recent recommendation',
          ]
        : [
            'ScaleUpStabilized',
            'recent recommendations were lower than current one, applying the lowest recent recommendation',
          ];
  return { ...bound(spec, history, current, stabilized, up, down, nowMs), ableToScale };
}

/** Never above the lowest (going up) or below the highest (going down) recommendation of the window. */
function stabilize(
  history: ScalingHistory,
  current: number,
  desired: number,
  up: HPAScalingRules,
  down: HPAScalingRules,
  nowMs: number,
): number {
  const window = (rules: HPAScalingRules): number => nowMs - (rules.stabilizationWindowSeconds ?? 0) * 1000;
  let lowest = desired;
  let highest = desired;
  for (const { at, count } of history.recommendations) {
    if (at > window(up)) lowest = Math.min(lowest, count);
    if (at > window(down)) highest = Math.max(highest, count);
  }
  const oldest = Math.min(window(up), window(down));
  history.recommendations = history.recommendations.filter(({ at }) => at > oldest);
  history.recommendations.push({ at: nowMs, count: desired });
  return Math.min(Math.max(current, lowest), highest);
}

function bound(
  { minReplicas = 1, maxReplicas }: HorizontalPodAutoscalerSpec,
  history: ScalingHistory,
  current: number,
  desired: number,
  up: HPAScalingRules,
  down: HPAScalingRules,
  nowMs: number,
): Pick<Outcome, 'replicas' | 'limited'> {
  if (desired > current) {
    const limit = Math.max(current, rateLimit(up, history, current, nowMs, 1));
    const max = Math.min(maxReplicas, limit);
    if (desired > max) {
      const limited: Outcome['limited'] =
        limit < maxReplicas
          ? ['True', 'ScaleUpLimit', 'the desired replica count is increasing faster than the maximum scale rate']
          : ['True', 'TooManyReplicas', 'the desired replica count is more than the maximum replica count'];
      return { replicas: max, limited };
    }
  } else if (desired < current) {
    const limit = Math.min(current, rateLimit(down, history, current, nowMs, -1));
    const min = Math.max(minReplicas, limit);
    if (desired < min) {
      const limited: Outcome['limited'] =
        limit > minReplicas
          ? ['True', 'ScaleDownLimit', 'the desired replica count is decreasing faster than the maximum scale rate']
          : ['True', 'TooFewReplicas', 'the desired replica count is less than the minimum replica count'];
      return { replicas: min, limited };
    }
  }
  return {
    replicas: desired,
    limited: ['False', 'DesiredWithinRange', 'the desired count is within the acceptable range'],
  };
}

/** The furthest size that the policies allow, reckoned from the size at the start of each one's period. */
function rateLimit(
  rules: HPAScalingRules,
  history: ScalingHistory,
  current: number,
  nowMs: number,
  direction: 1 | -1,
): number {
  if (rules.selectPolicy === 'Disabled') return current;
  const limits = (rules.policies ?? []).map(({ type, value, periodSeconds }) => {
    const since = nowMs - periodSeconds * 1000;
    const sum = (events: readonly Dated[]): number =>
      events.reduce((total, { at, count }) => (at > since ? total + count : total), 0);
    const start = current - sum(history.added) + sum(history.removed);
    if (type === 'Pods') return start + direction * value;
    const share = start * (1 + (direction * value) / 100);
    return direction === 1 ? Math.ceil(share) : Math.floor(share);
  });
  if (limits.length === 0) return current;
  // "Max" means the policy that allows the greatest change.
  const furthest = (rules.selectPolicy === 'Min') === (direction === 1) ? Math.min : Math.max;
  return Math.max(0, furthest(...limits));
}

/** Remembers a change of size for the policies that look back. */
export function recordChange(history: ScalingHistory, before: number, after: number, nowMs: number): void {
  const longestPeriodMs = 1_800_000;
  const recent = (events: Dated[]): Dated[] => events.filter(({ at }) => at > nowMs - longestPeriodMs);
  history.added = recent(history.added);
  history.removed = recent(history.removed);
  if (after > before) history.added.push({ at: nowMs, count: after - before });
  if (after < before) history.removed.push({ at: nowMs, count: before - after });
}
