import { findCondition } from '../../apimachinery/conditions.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type {
  Deployment,
  DeploymentCondition,
  DeploymentStatus,
  ReplicaSet,
} from '../../apimachinery/types/apps-v1.ts';
import { omitZero } from '../workload/status-equal.ts';
import {
  available,
  newCondition,
  progressing,
  reasons,
  replicaFailure,
  setCondition,
  withoutCondition,
} from './deployment-conditions.ts';
import { desiredReplicas, maxUnavailable, sumReplicas, sumStatus } from './rollout-limits.ts';

/** `progressDeadlineSeconds` of 2^31-1 (what old API versions default to) means there is none. */
export function progressDeadlineMs(deployment: Deployment): number | undefined {
  const seconds = deployment.spec.progressDeadlineSeconds;
  return seconds === undefined || seconds === 2 ** 31 - 1 ? undefined : seconds * 1000;
}

/** The counts, and the Available condition. */
export function countedStatus(
  deployment: Deployment,
  all: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  now: Date,
): DeploymentStatus {
  const availableReplicas = sumStatus(all, 'availableReplicas');
  const enough = availableReplicas >= desiredReplicas(deployment) - maxUnavailable(deployment);
  const condition = enough
    ? newCondition(available, 'True', reasons.minimumAvailable, 'Deployment has minimum availability.', now)
    : newCondition(
        available,
        'False',
        reasons.minimumUnavailable,
        'Deployment does not have minimum availability.',
        now,
      );
  return omitZero<DeploymentStatus>(
    {
      ...(deployment.metadata.generation === undefined ? {} : { observedGeneration: deployment.metadata.generation }),
      replicas: sumStatus(all, 'replicas'),
      updatedReplicas: newSet?.status?.replicas ?? 0,
      readyReplicas: sumStatus(all, 'readyReplicas'),
      availableReplicas,
      unavailableReplicas: Math.max(0, sumReplicas(all) - availableReplicas),
      terminatingReplicas: sumStatus(all, 'terminatingReplicas'),
      ...(deployment.status?.collisionCount === undefined ? {} : { collisionCount: deployment.status.collisionCount }),
      conditions: setCondition(deployment.status?.conditions ?? [], condition),
    },
    ['terminatingReplicas', 'collisionCount'],
  );
}

export function isComplete(deployment: Deployment, status: DeploymentStatus | undefined): boolean {
  const desired = desiredReplicas(deployment);
  return (
    (status?.updatedReplicas ?? 0) === desired &&
    (status?.replicas ?? 0) === desired &&
    (status?.availableReplicas ?? 0) === desired &&
    (status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

/** More updated, fewer old, more ready or more available pods than the last status says. */
function hasProgressed(old: DeploymentStatus | undefined, status: DeploymentStatus): boolean {
  const oldPods = (s: DeploymentStatus | undefined): number => (s?.replicas ?? 0) - (s?.updatedReplicas ?? 0);
  return (
    (status.updatedReplicas ?? 0) > (old?.updatedReplicas ?? 0) ||
    oldPods(status) < oldPods(old) ||
    (status.readyReplicas ?? 0) > (old?.readyReplicas ?? 0) ||
    (status.availableReplicas ?? 0) > (old?.availableReplicas ?? 0)
  );
}

/** No progress for longer than the deadline. A rollout that completed does not time out; one that did stays so. */
function hasTimedOut(deployment: Deployment, status: DeploymentStatus, now: Date): boolean {
  const deadline = progressDeadlineMs(deployment);
  const condition = findCondition(status.conditions, progressing);
  if (deadline === undefined || condition === undefined || condition.reason === reasons.newSetAvailable) return false;
  if (condition.reason === reasons.timedOut) return true;
  return (parseTime(condition.lastUpdateTime) ?? now.getTime()) + deadline < now.getTime();
}

/** The full status of a rollout: counts, Available, Progressing, and the failures of its replica sets. */
export function rolloutStatus(
  deployment: Deployment,
  all: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  now: Date,
): DeploymentStatus {
  const status = countedStatus(deployment, all, newSet, now);
  let conditions: DeploymentCondition[] = status.conditions ?? [];
  const subject =
    newSet === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${newSet.metadata.name}"`;

  if (progressDeadlineMs(deployment) === undefined) {
    conditions = withoutCondition(conditions, progressing);
  } else {
    const current = findCondition(deployment.status?.conditions, progressing);
    const wasComplete =
      (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && current?.reason === reasons.newSetAvailable;
    if (!wasComplete) conditions = progressConditions(deployment, { ...status, conditions }, subject, current, now);
  }

  const failure = setFailure(all, newSet);
  conditions = failure === undefined ? withoutCondition(conditions, replicaFailure) : setCondition(conditions, failure);
  return omitZero({ ...status, conditions }, ['terminatingReplicas', 'collisionCount']);
}

function progressConditions(
  deployment: Deployment,
  status: DeploymentStatus,
  subject: string,
  current: DeploymentCondition | undefined,
  now: Date,
): DeploymentCondition[] {
  const conditions = status.conditions ?? [];
  if (isComplete(deployment, status)) {
    const message = `${subject} has successfully progressed.`;
    return setCondition(conditions, newCondition(progressing, 'True', reasons.newSetAvailable, message, now));
  }
  if (hasProgressed(deployment.status, status)) {
    const condition = newCondition(progressing, 'True', reasons.setUpdated, `${subject} is progressing.`, now);
    // Rewritten even when nothing but lastUpdateTime changes: the deadline counts from it.
    return current?.status === 'True' && current.lastTransitionTime !== undefined
      ? [...withoutCondition(conditions, progressing), { ...condition, lastTransitionTime: current.lastTransitionTime }]
      : [...withoutCondition(conditions, progressing), condition];
  }
  if (hasTimedOut(deployment, status, now)) {
    const message = `${subject} has timed out progressing.`;
    return setCondition(conditions, newCondition(progressing, 'False', reasons.timedOut, message, now));
  }
  return conditions;
}

function setFailure(all: readonly ReplicaSet[], newSet: ReplicaSet | undefined): DeploymentCondition | undefined {
  const failureOf = (set: ReplicaSet) => findCondition(set.status?.conditions, replicaFailure);
  const failed = newSet !== undefined && failureOf(newSet) !== undefined ? newSet : all.find(failureOf);
  const condition = failed === undefined ? undefined : failureOf(failed);
  if (condition === undefined) return undefined;
  const time = condition.lastTransitionTime;
  return { ...condition, ...(time === undefined ? {} : { lastUpdateTime: time }) };
}

/** When to look whether the rollout has stalled, in milliseconds from now; undefined when it cannot. */
export function stallCheckInMs(deployment: Deployment, status: DeploymentStatus, now: Date): number | undefined {
  const deadline = progressDeadlineMs(deployment);
  const condition = findCondition(deployment.status?.conditions, progressing);
  if (deadline === undefined || condition === undefined) return undefined;
  if (isComplete(deployment, status) || condition.reason === reasons.timedOut) return undefined;
  const since = parseTime(condition.lastUpdateTime) ?? now.getTime();
  return Math.max(0, since + deadline - now.getTime()) + 1000;
}
