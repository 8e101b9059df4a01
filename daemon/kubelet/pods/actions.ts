import { ContainerState, NamespaceMode, PodSandboxState } from '../../../proto/generated/cri/runtime/v1/api.ts';
import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import { annotations, containerHash } from '../container/labels.ts';
import type { ProbeResults } from '../probes/results.ts';
import { isExited, isRunning, newestContainer, type PodRuntime, type RuntimeContainer } from './pod-runtime.ts';
import { isSidecar, restartsAfter, shouldStart } from './restart-policy.ts';

export type KillReason =
  | 'ContainerDefinitionChanged'
  | 'LivenessProbe'
  | 'StartupProbe'
  | 'Unknown'
  | 'FailedPostStart';

export interface ContainerKill {
  readonly running: RuntimeContainer;
  readonly container: Container;
  readonly reason: KillReason;
  /** Text of the Killing event. */
  readonly message: string;
}

/** What to do to bring a pod closer to its spec. */
export interface PodActions {
  /** Stop the sandbox and all in it, before anything else. */
  readonly killPod: boolean;
  readonly createSandbox: boolean;
  /** Number of the sandbox to create. */
  readonly attempt: number;
  readonly initContainersToStart: readonly Container[];
  readonly containersToStart: readonly Container[];
  readonly ephemeralToStart: readonly Container[];
  readonly kills: readonly ContainerKill[];
}

const nothing: PodActions = {
  killPod: false,
  createSandbox: false,
  attempt: 0,
  initContainersToStart: [],
  containersToStart: [],
  ephemeralToStart: [],
  kills: [],
};

/** Whether the pod needs another sandbox, and its number. */
export function sandboxChange(pod: Pod, runtime: PodRuntime): { changed: boolean; attempt: number } {
  const [newest] = runtime.sandboxes;
  if (newest === undefined) return { changed: true, attempt: 0 };
  const next = { changed: true, attempt: (newest.metadata?.attempt ?? 0) + 1 };
  const ready = runtime.sandboxes.filter(({ state }) => state === PodSandboxState.SANDBOX_READY);
  if (ready.length > 1 || newest.state !== PodSandboxState.SANDBOX_READY) return next;
  const hostNetwork = pod.spec?.hostNetwork === true;
  const mode = newest.linux?.namespaces?.options?.network;
  if (mode !== undefined && mode !== (hostNetwork ? NamespaceMode.NODE : NamespaceMode.POD)) return next;
  if (!hostNetwork && (newest.network?.ip ?? '') === '') return next;
  return { changed: false, attempt: newest.metadata?.attempt ?? 0 };
}

const definitionChanged = (container: Container, running: RuntimeContainer): boolean =>
  running.status.annotations[annotations.hash] !== containerHash(container);

/** Why a running container must end, if it must. */
function killOf(
  container: Container,
  running: RuntimeContainer,
  results: ProbeResults,
  restarts: boolean,
  sidecar = false,
): ContainerKill | undefined {
  const kind = sidecar ? 'Init container' : 'Container';
  const because = (reason: KillReason, what: string, again: boolean): ContainerKill => ({
    running,
    container,
    reason,
    message: `${kind} ${container.name} ${what}${again ? ', will be restarted' : ''}`,
  });
  const { id } = running.status;
  if (definitionChanged(container, running)) return because('ContainerDefinitionChanged', 'definition changed', true);
  if (results.liveness(id) === 'failure') return because('LivenessProbe', 'failed liveness probe', restarts);
  if (results.startup(id) === 'failure') return because('StartupProbe', 'failed startup probe', restarts);
  return undefined;
}

/** A container the probe or the definition ended runs again unless nothing may be restarted. */
const restartsWhenKilled = (pod: Pod, container: Container): boolean => restartsAfter(pod, container, 137);

interface InitPlan {
  readonly start: Container[];
  readonly kills: ContainerKill[];
  /** All init containers are done (sidecars: started), so the others may run. */
  readonly done: boolean;
  /** One failed for good. */
  readonly failed: boolean;
}

function planInitContainers(pod: Pod, runtime: PodRuntime, results: ProbeResults): InitPlan {
  const plan: InitPlan = { start: [], kills: [], done: true, failed: false };
  const sandboxId = runtime.sandboxes[0]?.id;
  const inSandbox: PodRuntime = { ...runtime, containers: runtime.containers.filter((c) => c.sandboxId === sandboxId) };
  // Once a container proper has been made in this sandbox, init containers are behind us; the runtime may have lost them.
  const initialized = (pod.spec?.containers ?? []).some(({ name }) => newestContainer(inSandbox, name) !== undefined);
  for (const container of pod.spec?.initContainers ?? []) {
    const current = newestContainer(inSandbox, container.name);
    if (isSidecar(container)) {
      if (current !== undefined && isRunning(current)) {
        const kill = killOf(container, current, results, true, true);
        if (kill !== undefined) {
          plan.kills.push(kill);
          plan.start.push(container);
        }
        const started = container.startupProbe === undefined || results.startup(current.status.id) === 'success';
        if (!initialized && (kill !== undefined || !started)) return { ...plan, done: false };
      } else if (shouldStart(pod, container, current)) {
        plan.start.push(container);
        if (!initialized) return { ...plan, done: false };
      }
    } else if (!initialized) {
      if (current !== undefined && isRunning(current)) {
        if (!definitionChanged(container, current)) return { ...plan, done: false };
        plan.kills.push({
          running: current,
          container,
          reason: 'ContainerDefinitionChanged',
          message: `Init container ${container.name} definition changed, will be restarted`,
        });
        plan.start.push(container);
        return { ...plan, done: false };
      }
      if (current !== undefined && isExited(current) && current.status.exitCode === 0) continue;
      if (!shouldStart(pod, container, current)) return { ...plan, done: false, failed: true };
      plan.start.push(container);
      return { ...plan, done: false };
    }
  }
  return plan;
}

function planNewSandbox(pod: Pod, runtime: PodRuntime, attempt: number): PodActions {
  const started = runtime.containers.length > 0;
  // With restartPolicy Never, containers that ran with the lost sandbox do not run again.
  if (pod.spec?.restartPolicy === 'Never' && attempt > 0 && started) return { ...nothing, killPod: true, attempt };
  const finished = (container: Container): boolean => {
    const current = newestContainer(runtime, container.name);
    if (current === undefined || !isExited(current)) return false;
    return pod.spec?.restartPolicy === 'OnFailure' && current.status.exitCode === 0;
  };
  const toStart = (pod.spec?.containers ?? []).filter((container) => !finished(container));
  if (toStart.length === 0) return { ...nothing, killPod: true, attempt };
  const [init] = pod.spec?.initContainers ?? [];
  return {
    ...nothing,
    killPod: true,
    createSandbox: true,
    attempt,
    initContainersToStart: init === undefined ? [] : [init],
    containersToStart: init === undefined ? toStart : [],
  };
}

/** Compares a pod's spec with what the runtime has of it. Pure: the order of work is in `sync-pod.ts`. */
export function computeActions(pod: Pod, runtime: PodRuntime, results: ProbeResults): PodActions {
  const { changed, attempt } = sandboxChange(pod, runtime);
  if (changed) return planNewSandbox(pod, runtime, attempt);

  const ephemeralToStart = ((pod.spec?.ephemeralContainers ?? []) as Container[]).filter(
    ({ name }) => newestContainer(runtime, name) === undefined,
  );
  const init = planInitContainers(pod, runtime, results);
  if (init.failed) return { ...nothing, killPod: true, attempt, kills: init.kills };
  const kills = [...init.kills];
  const containersToStart: Container[] = [];
  if (init.done) {
    let kept = 0;
    for (const container of pod.spec?.containers ?? []) {
      const current = newestContainer(runtime, container.name);
      if (current !== undefined && isRunning(current)) {
        const again = restartsWhenKilled(pod, container);
        const kill = killOf(container, current, results, again);
        if (kill === undefined) kept++;
        else {
          kills.push(kill);
          if (again || kill.reason === 'ContainerDefinitionChanged') containersToStart.push(container);
        }
      } else if (shouldStart(pod, container, current)) {
        containersToStart.push(container);
        if (current?.status.state === ContainerState.CONTAINER_UNKNOWN)
          kills.push({
            running: current,
            container,
            reason: 'Unknown',
            message: `Container is in ${JSON.stringify('unknown')} state, try killing it before restart`,
          });
      }
    }
    if (kept === 0 && containersToStart.length === 0) return { ...nothing, killPod: true, attempt, kills: [] };
  }
  return { ...nothing, attempt, initContainersToStart: init.start, containersToStart, ephemeralToStart, kills };
}
