import { formatTime } from '../../apimachinery/time.ts';
import type { Container, ContainerStatus, PodStatus } from '../../apimachinery/types/core-v1.ts';
import { qosClass } from '../container/qos.ts';
import { sandboxIps } from '../pods/pod-runtime.ts';
import { isSidecar } from '../pods/restart-policy.ts';
import { podConditions } from './conditions.ts';
import { containerStatus, type StatusInput } from './container-status.ts';
import { type PodPhase, podPhase } from './phase.ts';

export interface PodStatusInput extends StatusInput {
  readonly hostIps: readonly string[];
  /** The last status written, or the one in the API. */
  readonly old: PodStatus;
  /** Why the kubelet itself ended the pod: eviction, a deadline, refusal. */
  readonly verdict?: { readonly reason: string; readonly message: string };
  readonly now?: Date;
}

const isFinal = (phase: string | undefined): boolean => phase === 'Succeeded' || phase === 'Failed';

/** A pod's status from what the runtime has, the probes found and the kubelet decided. */
export function podStatus(input: PodStatusInput): PodStatus {
  const { pod, old, runtime } = input;
  const now = formatTime(input.now ?? new Date());
  const init = pod.spec?.initContainers ?? [];
  const find = (list: readonly ContainerStatus[] | undefined, name: string): ContainerStatus | undefined =>
    list?.find((status) => status.name === name);

  const initContainerStatuses = init.map((container) => {
    const status = containerStatus(
      container,
      find(old.initContainerStatuses, container.name),
      'PodInitializing',
      input,
    );
    // One that has run to its end counts as ready.
    if (!isSidecar(container)) {
      status.ready = status.state?.terminated?.exitCode === 0;
      status.started = status.state?.running !== undefined && status.started === true;
    }
    return status;
  });
  const hasInit = init.length > 0;
  const waitingReason = hasInit ? 'PodInitializing' : 'ContainerCreating';
  const containerStatuses = (pod.spec?.containers ?? []).map((container) =>
    containerStatus(container, find(old.containerStatuses, container.name), waitingReason, input),
  );
  const ephemeral = (pod.spec?.ephemeralContainers ?? []) as Container[];
  const ephemeralContainerStatuses = ephemeral.map((container) =>
    containerStatus(container, find(old.ephemeralContainerStatuses, container.name), 'ContainerCreating', input),
  );

  let phase: PodPhase = podPhase(pod, containerStatuses, initContainerStatuses, input.terminated);
  if (input.verdict !== undefined) phase = 'Failed';
  // A pod that has ended never runs again.
  else if (isFinal(old.phase)) phase = old.phase as PodPhase;

  const ips = pod.spec?.hostNetwork === true ? input.hostIps : sandboxIps(runtime);
  const podIps = ips.length > 0 ? ips : (old.podIPs ?? []).map(({ ip }) => ip);
  const conditions = podConditions(
    { pod, phase, runtime, containers: containerStatuses, initContainers: initContainerStatuses },
    old.conditions ?? [],
    now,
  );
  if (input.verdict?.reason === 'Evicted')
    conditions.push({
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'TerminationByKubelet',
      message: input.verdict.message,
      lastTransitionTime: old.conditions?.find(({ type }) => type === 'DisruptionTarget')?.lastTransitionTime ?? now,
    });
  const { generation } = pod.metadata ?? {};
  const reason = input.verdict?.reason ?? (isFinal(phase) ? old.reason : undefined);
  const message = input.verdict?.message ?? (isFinal(phase) ? old.message : undefined);
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    phase,
    conditions,
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
    hostIP: input.hostIps[0] ?? '',
    hostIPs: input.hostIps.map((ip) => ({ ip })),
    ...(podIps.length === 0 ? {} : { podIP: podIps[0] ?? '', podIPs: podIps.map((ip) => ({ ip })) }),
    startTime: old.startTime ?? now,
    ...(hasInit ? { initContainerStatuses } : {}),
    containerStatuses,
    ...(ephemeral.length > 0 ? { ephemeralContainerStatuses } : {}),
    qosClass: qosClass(pod),
  };
}
