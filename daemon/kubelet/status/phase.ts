import type { Container, ContainerStatus, Pod } from '../../apimachinery/types/core-v1.ts';
import { isSidecar, restartsAfter } from '../pods/restart-policy.ts';

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';

const byName = (statuses: readonly ContainerStatus[], { name }: Container): ContainerStatus | undefined =>
  statuses.find((status) => status.name === name);

interface InitProgress {
  readonly pending: boolean;
  readonly failed: boolean;
}

function initProgress(pod: Pod, statuses: readonly ContainerStatus[]): InitProgress {
  let pending = false;
  let failed = false;
  for (const container of pod.spec?.initContainers ?? []) {
    const status = byName(statuses, container);
    const terminated = status?.state?.terminated;
    if (isSidecar(container)) {
      const began = status?.started === true || terminated !== undefined || status?.lastState?.terminated !== undefined;
      if (!began) pending = true;
    } else if (terminated === undefined) {
      pending = true;
    } else if (terminated.exitCode !== 0) {
      if (restartsAfter(pod, container, terminated.exitCode)) pending = true;
      else failed = true;
    }
  }
  return { pending, failed };
}

/**
 * The phase of a pod from its containers' states. `terminated`: nothing of the pod will run again, so that containers that
 * could be restarted count as ended.
 */
export function podPhase(
  pod: Pod,
  containers: readonly ContainerStatus[],
  initContainers: readonly ContainerStatus[],
  terminated: boolean,
): PodPhase {
  let waiting = 0;
  let running = 0;
  let succeeded = 0;
  let stopped = 0;
  let unknown = 0;
  let final = true;
  for (const container of pod.spec?.containers ?? []) {
    const status = byName(containers, container);
    if (status === undefined) unknown++;
    else if (status.state?.running !== undefined) running++;
    else if (status.state?.terminated !== undefined) {
      const { exitCode } = status.state.terminated;
      stopped++;
      if (exitCode === 0) succeeded++;
      if (restartsAfter(pod, container, exitCode)) final = false;
    } else if (status.lastState?.terminated !== undefined) {
      stopped++;
      final = false;
    } else waiting++;
  }
  const init = initProgress(pod, initContainers);
  if (init.failed) return 'Failed';
  const began = running > 0 || stopped > 0;
  if (init.pending && !(began && !terminated) && !(terminated && stopped > 0)) return 'Pending';
  if (waiting > 0) return 'Pending';
  if (running > 0 && unknown === 0) return 'Running';
  if (running === 0 && stopped > 0 && unknown === 0) {
    if (!terminated && !final) return 'Running';
    return stopped === succeeded ? 'Succeeded' : 'Failed';
  }
  return 'Pending';
}
