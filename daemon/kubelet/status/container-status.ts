import { ContainerState as RuntimeState } from '../../../proto/generated/cri/runtime/v1/api.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type {
  Container,
  ContainerState,
  ContainerStatus,
  Pod,
  VolumeMountStatus,
} from '../../apimachinery/types/core-v1.ts';
import { annotations } from '../container/labels.ts';
import type { PodRuntime, RuntimeContainer } from '../pods/pod-runtime.ts';
import { shouldStart } from '../pods/restart-policy.ts';
import type { ProbeResults } from '../probes/results.ts';

/** Why a container is not running although it should be: reason and message of its waiting state. */
export interface StartFailure {
  readonly reason: string;
  readonly message: string;
}

export interface StatusInput {
  readonly pod: Pod;
  readonly runtime: PodRuntime;
  /** Such as `containerd`, before the `://` of container ids. */
  readonly runtimeName: string;
  readonly results: ProbeResults;
  readonly startFailure: (container: string) => StartFailure | undefined;
  readonly terminationMessage: (container: RuntimeContainer) => string;
  /** All containers of the pod have been brought to an end. */
  readonly terminated: boolean;
}

/** Nanoseconds since the epoch as RFC 3339, in whole seconds. What never happened shows as the epoch itself. */
const time = (nanos: bigint): string => formatTime(new Date(Number(nanos / 1_000_000n)));

const waiting = (reason: string, message?: string): ContainerState => ({
  waiting: { reason, ...(message === undefined || message === '' ? {} : { message }) },
});

function stateOf(current: RuntimeContainer, input: StatusInput): ContainerState {
  const { status } = current;
  const containerID = `${input.runtimeName}://${status.id}`;
  switch (status.state) {
    case RuntimeState.CONTAINER_RUNNING:
      return { running: { startedAt: time(status.startedAt) } };
    case RuntimeState.CONTAINER_CREATED:
      return waiting('ContainerCreating');
    case RuntimeState.CONTAINER_EXITED: {
      const message = input.terminationMessage(current);
      return {
        terminated: {
          exitCode: status.exitCode,
          reason: status.reason,
          ...(message === '' ? {} : { message }),
          startedAt: time(status.startedAt),
          finishedAt: time(status.finishedAt),
          containerID,
        },
      };
    }
    default:
      return {
        terminated: {
          exitCode: 137,
          reason: 'ContainerStatusUnknown',
          message: 'The container could not be located when the pod was terminated',
          startedAt: time(status.startedAt),
          finishedAt: time(status.finishedAt),
          containerID,
        },
      };
  }
}

function mountStatuses(container: Container): { volumeMounts?: VolumeMountStatus[] } {
  const mounts = container.volumeMounts ?? [];
  if (mounts.length === 0) return {};
  return {
    volumeMounts: mounts.map(({ name, mountPath, readOnly }) => ({
      name,
      mountPath,
      ...(readOnly === true ? { readOnly, recursiveReadOnly: 'Disabled' } : {}),
    })),
  };
}

/** What is carried over from the status the API has when the runtime no longer has the container. */
function lost(container: Container, old: ContainerStatus | undefined, input: StatusInput, state: ContainerState) {
  const fresh = { state, lastState: {}, restartCount: 0, imageID: '', image: container.image ?? '' };
  if (old === undefined) return fresh;
  if (old.state?.terminated !== undefined) return { ...fresh, ...old };
  const lastState = old.lastState ?? {};
  if (old.state?.running === undefined) return { ...fresh, restartCount: old.restartCount, lastState };
  const terminated = {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located when the pod was deleted.  The container used to be Running',
    startedAt: null as unknown as string,
    finishedAt: null as unknown as string,
  };
  if (input.terminated || input.pod.metadata?.deletionTimestamp !== undefined)
    return { ...fresh, restartCount: old.restartCount, state: { terminated }, lastState };
  return { ...fresh, restartCount: old.restartCount + 1, lastState: { terminated } };
}

/** The API's view of one container of a pod. */
export function containerStatus(
  container: Container,
  old: ContainerStatus | undefined,
  defaultWaiting: string,
  input: StatusInput,
): ContainerStatus {
  const [current, previous] = input.runtime.containers.filter(({ name }) => name === container.name);
  let status: ContainerStatus;
  if (current === undefined) {
    status = {
      name: container.name,
      ready: false,
      started: false,
      ...lost(container, old, input, waiting(defaultWaiting)),
    };
  } else {
    const { status: runtime } = current;
    const running = runtime.state === RuntimeState.CONTAINER_RUNNING;
    const started =
      running && (container.startupProbe === undefined || input.results.startup(runtime.id) === 'success');
    const ready =
      started && (container.readinessProbe === undefined || input.results.readiness(runtime.id) === 'success');
    const user = runtime.user?.linux;
    status = {
      name: container.name,
      state: stateOf(current, input),
      lastState:
        previous === undefined
          ? old?.containerID?.endsWith(runtime.id)
            ? (old.lastState ?? {})
            : {}
          : stateOf(previous, input),
      ready,
      started,
      restartCount: Number(runtime.annotations[annotations.restartCount] ?? runtime.metadata?.attempt ?? 0),
      image:
        runtime.image?.image === undefined || runtime.image.image === ''
          ? (container.image ?? '')
          : runtime.image.image,
      imageID: runtime.imageRef,
      containerID: `${input.runtimeName}://${runtime.id}`,
      ...(user === undefined
        ? {}
        : {
            user: {
              linux: {
                uid: Number(user.uid),
                gid: Number(user.gid),
                supplementalGroups: user.supplementalGroups.map(Number),
              },
            },
          }),
    };
    if (runtime.state === RuntimeState.CONTAINER_CREATED) status.state = waiting(defaultWaiting);
  }
  if (container.resources !== undefined && (container.resources.requests ?? container.resources.limits) !== undefined) {
    status.resources = container.resources;
    if (container.resources.requests !== undefined) status.allocatedResources = container.resources.requests;
  }
  Object.assign(status, mountStatuses(container));
  const failure = input.startFailure(container.name);
  if (failure !== undefined && !input.terminated && shouldStart(input.pod, container, current)) {
    if (status.state?.terminated !== undefined) status.lastState = { terminated: status.state.terminated };
    status.state = waiting(failure.reason, failure.message);
  }
  // A pod that is being taken down shows no container that is still to come.
  if (input.terminated && status.state?.terminated === undefined && status.state?.running === undefined)
    status = endNeverStarted(status, old);
  return status;
}

/** Containers that never ran cannot have succeeded: without this, a pod killed early would look complete. */
function endNeverStarted(status: ContainerStatus, old: ContainerStatus | undefined): ContainerStatus {
  const terminated = {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located when the pod was terminated',
    startedAt: null as unknown as string,
    finishedAt: null as unknown as string,
  };
  if (old?.state?.terminated !== undefined) return { ...status, state: old.state };
  return { ...status, state: { terminated } };
}
