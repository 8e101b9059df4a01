import type { ContainerStatus, Pod, PodStatus } from '../../apimachinery/types/core-v1.ts';
import { uidOf } from '../container/labels.ts';
import type { KubeletContext } from '../context.ts';
import { isRunning, type RuntimeContainer, readPodRuntime, readySandbox } from '../pods/pod-runtime.ts';
import type { PodWorkers } from '../pods/pod-workers.ts';
import { findContainer } from '../pods/restart-policy.ts';
import { HttpError } from './http-error.ts';

/** The pod of that name (and uid, if given). Throws 404. */
export function findPod(workers: PodWorkers, namespace: string, name: string, uid?: string): Pod {
  const found = workers.pods.find(
    ({ metadata }) =>
      metadata?.namespace === namespace && metadata.name === name && (uid === undefined || metadata.uid === uid),
  );
  if (found === undefined) throw new HttpError(404, `pod "${namespace}/${name}" not found`);
  return found;
}

/** The pod's running container of that name. Rejects with 404. */
export async function runningContainer(context: KubeletContext, pod: Pod, name: string): Promise<RuntimeContainer> {
  const runtime = await readPodRuntime(context.runtime, uidOf(pod));
  const found = runtime.containers.find((container) => container.name === name && isRunning(container));
  if (found === undefined) throw new HttpError(404, `container not found ("${name}")`);
  return found;
}

export async function sandboxOf(context: KubeletContext, pod: Pod): Promise<string> {
  const sandbox = readySandbox(await readPodRuntime(context.runtime, uidOf(pod)));
  if (sandbox === undefined) throw new HttpError(404, `failed to find sandbox for pod "${pod.metadata?.name}"`);
  return sandbox.id;
}

function statusOf({ containerStatuses, initContainerStatuses, ephemeralContainerStatuses }: PodStatus, name: string) {
  return [containerStatuses, initContainerStatuses, ephemeralContainerStatuses]
    .flatMap((list): readonly ContainerStatus[] => list ?? [])
    .find((status) => status.name === name);
}

/** The id of the container whose log is meant: the one running, the last that ran, or with `previous` the one before. Throws 400. */
export function loggedContainer(context: KubeletContext, pod: Pod, name: string, previous: boolean): string {
  const podName = pod.metadata?.name;
  if (findContainer(pod, name) === undefined)
    throw new HttpError(404, `container "${name}" not found in pod "${podName}"`);
  const bad = (text: string): HttpError => new HttpError(400, text);
  const status = statusOf(context.status.current(uidOf(pod)) ?? pod.status ?? {}, name);
  if (status === undefined) throw bad(`container "${name}" in pod "${podName}" is not available`);
  const { state, lastState } = status;
  const bare = (id: string | undefined): string => id?.replace(/^.*:\/\//, '') ?? '';
  const last = bare(lastState?.terminated?.containerID);
  if (previous) {
    if (last === '') throw bad(`previous terminated container "${name}" in pod "${podName}" not found`);
    return last;
  }
  if (state?.running !== undefined) return bare(status.containerID);
  if (state?.terminated !== undefined) {
    const id = bare(state.terminated.containerID);
    if (id !== '') return id;
    if (last !== '') return last;
    throw bad(`container "${name}" in pod "${podName}" is terminated`);
  }
  if (last !== '') return last;
  const reason = state?.waiting?.reason ?? '';
  if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff') {
    const why = reason === 'ErrImagePull' ? "image can't be pulled" : 'trying and failing to pull image';
    throw bad(`container "${name}" in pod "${podName}" is waiting to start: ${why}`);
  }
  throw bad(`container "${name}" in pod "${podName}" is waiting to start: ${reason}`);
}
