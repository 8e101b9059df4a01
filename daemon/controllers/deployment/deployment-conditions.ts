import { findCondition } from '../../apimachinery/conditions.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { DeploymentCondition } from '../../apimachinery/types/apps-v1.ts';

export const progressing = 'Progressing';
export const available = 'Available';
export const replicaFailure = 'ReplicaFailure';

/** Reasons of the conditions, as clients match them. */
export const reasons = {
  newSetCreated: 'NewReplicaSetCreated',
  setCreateError: 'ReplicaSetCreateError',
  setUpdated: 'ReplicaSetUpdated',
  newSetFound: 'FoundNewReplicaSet',
  newSetAvailable: 'NewReplicaSetAvailable',
  timedOut: 'ProgressDeadlineExceeded',
  paused: 'DeploymentPaused',
  resumed: 'DeploymentResumed',
  minimumAvailable: 'MinimumReplicasAvailable',
  minimumUnavailable: 'MinimumReplicasUnavailable',
} as const;

export function newCondition(
  type: string,
  status: string,
  reason: string,
  message: string,
  now: Date,
): DeploymentCondition {
  const time = formatTime(now);
  return { type, status, reason, message, lastUpdateTime: time, lastTransitionTime: time };
}

/** Same status and reason: nothing new. Same status: the transition time stays. The changed one moves to the end. */
export function setCondition(
  conditions: readonly DeploymentCondition[],
  condition: DeploymentCondition,
): DeploymentCondition[] {
  const current = findCondition(conditions, condition.type);
  if (current?.status === condition.status && current.reason === condition.reason) return [...conditions];
  const kept =
    current?.status === condition.status && current.lastTransitionTime !== undefined
      ? { ...condition, lastTransitionTime: current.lastTransitionTime }
      : condition;
  return [...withoutCondition(conditions, condition.type), kept];
}

export function withoutCondition(conditions: readonly DeploymentCondition[], type: string): DeploymentCondition[] {
  return conditions.filter((condition) => condition.type !== type);
}
