import { formatTime } from '../../apimachinery/time.ts';
import type { Pod, PodStatus } from '../../apimachinery/types/core-v1.ts';
import type { LabelSelector } from '../../apimachinery/types/meta-v1.ts';
import { podQosClass } from './pod-qos.ts';
import type { WriteContext } from './resource-row.ts';
import { keepSpec, keepStatus, setOrDelete } from './status-separation.ts';

export function preparePodForCreate(pod: Pod, { now }: WriteContext): void {
  const status: PodStatus = { phase: 'Pending', qosClass: podQosClass(pod) };
  if ((pod.spec.schedulingGates?.length ?? 0) > 0) {
    status.conditions = [
      {
        type: 'PodScheduled',
        status: 'False',
        lastProbeTime: undefined,
        lastTransitionTime: formatTime(now),
        reason: 'SchedulingGated',
        message: 'Scheduling is blocked due to non-empty scheduling gates',
      },
    ];
    delete status.conditions[0]!.lastProbeTime;
  }
  pod.status = status;
  mergeMatchLabelKeys(pod);
}

export function preparePodForUpdate(pod: Pod, old: Pod): void {
  keepStatus(pod, old);
}

export function preparePodStatusForUpdate(pod: Pod, old: Pod): void {
  keepSpec(pod, old);
  setOrDelete(pod.metadata, 'ownerReferences', old.metadata.ownerReferences);
  setOrDelete(pod.metadata, 'deletionTimestamp', old.metadata.deletionTimestamp);
  // The class is fixed at creation: a kubelet of another opinion does not change it.
  if (pod.status !== undefined) setOrDelete(pod.status, 'qosClass', old.status?.qosClass ?? pod.status.qosClass);
}

/** `ephemeralcontainers`: only the list of ephemeral containers changes. */
export function preparePodEphemeralContainers(pod: Pod, old: Pod): void {
  pod.spec = { ...old.spec, ephemeralContainers: pod.spec.ephemeralContainers };
  keepStatus(pod, old);
}

/** `resize`: only resources and resize policies of the containers that are there change. */
export function preparePodResize(pod: Pod, old: Pod): void {
  const resized = (containers: Pod['spec']['containers']) =>
    containers.map((container) => {
      const wanted = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(
        (other) => other.name === container.name,
      );
      return wanted === undefined
        ? container
        : { ...container, resources: wanted.resources, resizePolicy: wanted.resizePolicy };
    });
  pod.spec = {
    ...old.spec,
    containers: resized(old.spec.containers),
    ...(old.spec.initContainers === undefined ? {} : { initContainers: resized(old.spec.initContainers) }),
  };
  keepStatus(pod, old);
}

/** `matchLabelKeys`: the pod's own values join the selector, so that a rollout spreads apart from the one before. */
function mergeMatchLabelKeys(pod: Pod): void {
  const labels = pod.metadata.labels ?? {};
  const require = (selector: LabelSelector | undefined, keys: readonly string[] | undefined, operator: string) => {
    if (selector === undefined) return;
    for (const key of keys ?? []) {
      const value = labels[key];
      if (value === undefined) continue;
      selector.matchExpressions ??= [];
      selector.matchExpressions.push({ key, operator, values: [value] });
    }
  };
  for (const constraint of pod.spec.topologySpreadConstraints ?? []) {
    require(constraint.labelSelector, constraint.matchLabelKeys, 'In');
  }
  const { affinity } = pod.spec;
  if (affinity === undefined) return;
  for (const side of [affinity.podAffinity, affinity.podAntiAffinity]) {
    const terms = [
      ...(side?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(side?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((weighted) => weighted.podAffinityTerm),
    ];
    for (const term of terms) {
      require(term.labelSelector, term.matchLabelKeys, 'In');
      require(term.labelSelector, term.mismatchLabelKeys, 'NotIn');
    }
  }
}

/**
 * How long a deletion may wait: what is asked for or the pod's own period; nothing when no kubelet has the pod or it has
 * ended.
 */
export function podGracePeriod(pod: Pod, requested: number | undefined): number {
  if (!pod.spec.nodeName) return 0;
  if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') return 0;
  const seconds = requested ?? pod.spec.terminationGracePeriodSeconds ?? 30;
  return seconds < 0 ? 1 : seconds;
}
