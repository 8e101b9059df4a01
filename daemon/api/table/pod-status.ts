import { parseTime } from '../../apimachinery/time.ts';
import type { ContainerStatus, Pod } from '../../apimachinery/types/core-v1.ts';

/** What kubectl shows of a pod in one line. */
export interface PodSummary {
  readonly ready: number;
  readonly containers: number;
  readonly status: string;
  readonly restarts: number;
  /** When a container last ended and was started again. */
  readonly lastRestart: string | undefined;
}

interface Restarts {
  count: number;
  last: string | undefined;
}

function countRestarts(restarts: Restarts, { restartCount, lastState }: ContainerStatus): void {
  restarts.count += restartCount;
  const finished = lastState?.terminated?.finishedAt;
  if (finished !== undefined && (parseTime(finished) ?? 0) > (parseTime(restarts.last) ?? 0)) restarts.last = finished;
}

function endOf({ state }: ContainerStatus): string | undefined {
  const end = state?.terminated;
  if (end === undefined) return undefined;
  return end.reason || (end.signal ? `Signal:${end.signal}` : `ExitCode:${end.exitCode}`);
}

/** The first init container that has not done its part, as `Init:...`; undefined when all have. */
function initProgress(pod: Pod, sidecars: ReadonlySet<string>, counts: { ready: number }): string | undefined {
  const total = pod.spec.initContainers?.length ?? 0;
  for (const [index, container] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const { state } = container;
    if (state?.terminated?.exitCode === 0) continue;
    if (sidecars.has(container.name) && container.started === true) {
      if (container.ready) counts.ready++;
      continue;
    }
    const end = endOf(container);
    if (end !== undefined) return `Init:${end}`;
    const waiting = state?.waiting?.reason;
    if (waiting && waiting !== 'PodInitializing') return `Init:${waiting}`;
    return `Init:${index}/${total}`;
  }
  return undefined;
}

const hasCondition = (pod: Pod, type: string) =>
  pod.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') === true;

/** kubectl's reading of a pod's status: its phase, unless something more telling is known. */
export function summarizePod(pod: Pod): PodSummary {
  const status = pod.status ?? {};
  const initContainers = pod.spec.initContainers ?? [];
  const sidecars = new Set(initContainers.filter((one) => one.restartPolicy === 'Always').map((one) => one.name));
  const counts = { ready: 0 };
  let reason = status.reason || status.phase || '';
  if (status.conditions?.some(({ type, reason: why }) => type === 'PodScheduled' && why === 'SchedulingGated')) {
    reason = 'SchedulingGated';
  }
  let restarts: Restarts = { count: 0, last: undefined };
  const sidecarRestarts: Restarts = { count: 0, last: undefined };
  for (const container of status.initContainerStatuses ?? []) {
    countRestarts(restarts, container);
    if (sidecars.has(container.name)) countRestarts(sidecarRestarts, container);
  }
  const progress = initProgress(pod, sidecars, counts);
  if (progress !== undefined) reason = progress;
  if (progress === undefined || hasCondition(pod, 'Initialized')) {
    restarts = sidecarRestarts;
    let running = false;
    for (const container of [...(status.containerStatuses ?? [])].reverse()) {
      countRestarts(restarts, container);
      const waiting = container.state?.waiting?.reason;
      const end = endOf(container);
      if (waiting) reason = waiting;
      else if (end !== undefined) reason = end;
      else if (container.ready && container.state?.running !== undefined) {
        running = true;
        counts.ready++;
      }
    }
    if (reason === 'Completed' && running) reason = hasCondition(pod, 'Ready') ? 'Running' : 'NotReady';
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    if (status.reason === 'NodeLost') reason = 'Unknown';
    else if (status.phase !== 'Failed' && status.phase !== 'Succeeded') reason = 'Terminating';
  }
  return {
    ready: counts.ready,
    containers: pod.spec.containers.length + sidecars.size,
    status: reason,
    restarts: restarts.count,
    lastRestart: restarts.last,
  };
}
