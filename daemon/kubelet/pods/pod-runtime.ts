import { ContainerState, PodSandboxState } from '../../../proto/generated/cri/runtime/v1/api.ts';
import { labels } from '../container/labels.ts';
import { type ContainerRuntime, type ContainerStatus, isRuntimeError, type PodSandboxStatus } from '../runtime.ts';

/** A container as the runtime has it, with the sandbox it is in. */
export interface RuntimeContainer {
  readonly name: string;
  readonly sandboxId: string;
  readonly status: ContainerStatus;
}

/** All that the runtime has of one pod. */
export interface PodRuntime {
  /** Newest first. */
  readonly sandboxes: readonly PodSandboxStatus[];
  /** Newest first. */
  readonly containers: readonly RuntimeContainer[];
}

export const emptyPodRuntime: PodRuntime = { sandboxes: [], containers: [] };

export const isRunning = ({ status }: RuntimeContainer): boolean => status.state === ContainerState.CONTAINER_RUNNING;
export const isExited = ({ status }: RuntimeContainer): boolean => status.state === ContainerState.CONTAINER_EXITED;

/** The newest container of that name, in any sandbox. */
export function newestContainer(pod: PodRuntime, name: string): RuntimeContainer | undefined {
  return pod.containers.find((container) => container.name === name);
}

/** The sandbox that the pod's containers run in, if it has one that is ready. */
export function readySandbox(pod: PodRuntime): PodSandboxStatus | undefined {
  const [newest] = pod.sandboxes;
  return newest?.state === PodSandboxState.SANDBOX_READY ? newest : undefined;
}

/** Addresses of the pod, in its own network namespace; none while it has no ready sandbox. */
export function sandboxIps(pod: PodRuntime): string[] {
  const network = readySandbox(pod)?.network;
  if (network === undefined || network.ip === '') return [];
  return [network.ip, ...network.additionalIps.map(({ ip }) => ip)];
}

const newestFirst = (a: bigint, b: bigint): number => (a < b ? 1 : a > b ? -1 : 0);

async function unlessGone<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (isRuntimeError(error, 'NotFound')) return undefined;
    throw error;
  }
}

/**
 * Reads what the runtime has of one pod, now. What has exited never changes again: such statuses are taken from `known`, the
 * previous reading.
 */
export async function readPodRuntime(
  runtime: ContainerRuntime,
  uid: string,
  known: PodRuntime = emptyPodRuntime,
): Promise<PodRuntime> {
  const filter = { labelSelector: { [labels.podUid]: uid } };
  const [sandboxes, containers] = await Promise.all([runtime.listPodSandboxes(filter), runtime.listContainers(filter)]);
  const exited = new Map(known.containers.filter(isExited).map((container) => [container.status.id, container]));
  const [sandboxStatuses, containerStatuses] = await Promise.all([
    Promise.all(sandboxes.map(({ id }) => unlessGone(runtime.podSandboxStatus(id)))),
    Promise.all(
      containers.map(async ({ id, podSandboxId, metadata }): Promise<RuntimeContainer | undefined> => {
        const earlier = exited.get(id);
        if (earlier !== undefined) return earlier;
        const status = await unlessGone(runtime.containerStatus(id));
        return status && { name: metadata?.name ?? '', sandboxId: podSandboxId, status };
      }),
    ),
  ]);
  return {
    sandboxes: sandboxStatuses
      .filter((status) => status !== undefined)
      .sort((a, b) => newestFirst(a.createdAt, b.createdAt)),
    containers: containerStatuses
      .filter((container) => container !== undefined)
      .sort((a, b) => newestFirst(a.status.createdAt, b.status.createdAt)),
  };
}
