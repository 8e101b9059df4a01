import { isPodAvailable, isPodReady } from '../../apimachinery/conditions.ts';
import { matchLabels } from '../../apimachinery/label-selector.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { ReplicaSetCondition } from '../../apimachinery/types/apps-v1.ts';
import type { Pod, PodTemplateSpec } from '../../apimachinery/types/core-v1.ts';
import { omitZero } from '../workload/status-equal.ts';

/** Status of a ReplicaSet and of a ReplicationController alike. */
export interface ReplicaStatus {
  availableReplicas?: number;
  conditions?: ReplicaSetCondition[];
  fullyLabeledReplicas?: number;
  observedGeneration?: number;
  readyReplicas?: number;
  replicas: number;
  terminatingReplicas?: number;
}

export interface ReplicaStatusInput {
  readonly old: ReplicaStatus | undefined;
  readonly generation: number | undefined;
  readonly template: PodTemplateSpec | undefined;
  readonly desired: number;
  readonly minReadySeconds: number;
  readonly active: readonly Pod[];
  /** Undefined for a kind whose status does not count them. */
  readonly terminating: number | undefined;
  /** What kept the last round from creating or deleting pods. */
  readonly error: string | undefined;
  readonly now: Date;
}

export function replicaStatus(input: ReplicaStatusInput): ReplicaStatus {
  const { active, desired, minReadySeconds, now, old } = input;
  const templateLabels = matchLabels(input.template?.metadata?.labels);
  const conditions = failureConditions(old?.conditions ?? [], active.length - desired, input.error, now);
  return omitZero<ReplicaStatus>(
    {
      replicas: active.length,
      fullyLabeledReplicas: active.filter((pod) => templateLabels.matches(pod.metadata.labels)).length,
      readyReplicas: active.filter(isPodReady).length,
      availableReplicas: active.filter((pod) => isPodAvailable(pod, minReadySeconds, now.getTime())).length,
      ...(input.terminating === undefined ? {} : { terminatingReplicas: input.terminating }),
      ...(input.generation === undefined ? {} : { observedGeneration: input.generation }),
      conditions,
    },
    ['replicas', 'terminatingReplicas'],
  );
}

function failureConditions(
  old: readonly ReplicaSetCondition[],
  surplus: number,
  error: string | undefined,
  now: Date,
): ReplicaSetCondition[] {
  const others = old.filter((condition) => condition.type !== 'ReplicaFailure');
  if (error === undefined) return others;
  const reason = surplus < 0 ? 'FailedCreate' : 'FailedDelete';
  const current = old.find((condition) => condition.type === 'ReplicaFailure');
  // A failure that is known already keeps its first message.
  if (current !== undefined) return [...old];
  return [
    ...others,
    { type: 'ReplicaFailure', status: 'True', reason, message: error, lastTransitionTime: formatTime(now) },
  ];
}
