import { ContainerState } from '../../../proto/generated/cri/runtime/v1/api.ts';
import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import type { RuntimeContainer } from './pod-runtime.ts';

/** An init container that keeps running beside the others. */
export const isSidecar = (container: Container): boolean => container.restartPolicy === 'Always';

export function findContainer(pod: Pod, name: string): Container | undefined {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  return [...containers, ...initContainers, ...(ephemeralContainers as Container[])].find((one) => one.name === name);
}

const isInitContainer = (pod: Pod, { name }: Container): boolean =>
  (pod.spec?.initContainers ?? []).some((one) => one.name === name);

/** What a rule of the container says about an exit code, if one does. */
function ruledRestart(container: Container, exitCode: number): boolean | undefined {
  for (const { action, exitCodes } of container.restartPolicyRules ?? []) {
    const listed = exitCodes?.values?.includes(exitCode) ?? false;
    if (action === 'Restart' && (exitCodes?.operator === 'NotIn' ? !listed : listed)) return true;
  }
  return undefined;
}

/** Whether a container that ended with `exitCode` is started again; init containers only after a failure. */
export function restartsAfter(pod: Pod, container: Container, exitCode: number): boolean {
  const ruled = ruledRestart(container, exitCode);
  if (ruled !== undefined) return ruled;
  const init = isInitContainer(pod, container);
  const policy = container.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always';
  if (policy === 'Never') return false;
  if (policy === 'OnFailure' || (init && !isSidecar(container))) return exitCode !== 0;
  return true;
}

/** Whether a container that is not running shall be started (again). */
export function shouldStart(pod: Pod, container: Container, current: RuntimeContainer | undefined): boolean {
  if (pod.metadata?.deletionTimestamp !== undefined) return false;
  if (current === undefined) return true;
  switch (current.status.state) {
    case ContainerState.CONTAINER_RUNNING:
      return false;
    case ContainerState.CONTAINER_EXITED:
      return restartsAfter(pod, container, current.status.exitCode);
    default:
      // Created but never started, or in a state the runtime lost track of.
      return true;
  }
}
