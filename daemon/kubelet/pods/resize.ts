import { stableStringify } from '../../apimachinery/hash.ts';
import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import { ensurePodCgroup } from '../container/cgroups.ts';
import { linuxResources } from '../container/resources.ts';
import type { KubeletContext } from '../context.ts';
import { isRunning } from './pod-runtime.ts';
import type { PodState } from './pod-state.ts';
import { findContainer } from './restart-policy.ts';

const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one));

/** Whether an earlier kubelet reported other resources for this very container than the spec has now. */
function differsFromReported(pod: Pod, { name, resources }: Container, id: string): boolean {
  const status = pod.status?.containerStatuses?.find((one) => one.name === name);
  if (status?.containerID?.endsWith(`//${id}`) !== true) return false;
  const { limits = {}, requests = {} } = resources ?? {};
  const reported = { limits: status.resources?.limits ?? {}, requests: status.resources?.requests ?? {} };
  return stableStringify(reported) !== stableStringify({ limits, requests });
}

/** Tells the runtime the resources of running containers when they changed in the spec, without a restart. */
export async function resizeContainers(context: KubeletContext, state: PodState): Promise<void> {
  const { pod, runtime, resources } = state;
  const running = runtime.containers.filter(isRunning);
  for (const id of resources.keys()) if (!running.some(({ status }) => status.id === id)) resources.delete(id);
  let changed = false;
  for (const { name, status } of running) {
    const container = findContainer(pod, name);
    if (container === undefined) continue;
    const wanted = linuxResources(pod, container, context.node);
    const text = textOf(wanted);
    const told = resources.get(status.id);
    if (told === text) continue;
    if (told !== undefined || differsFromReported(pod, container, status.id)) {
      await context.runtime.updateContainerResources(status.id, wanted);
      changed = true;
    }
    resources.set(status.id, text);
  }
  if (changed) await ensurePodCgroup(pod, context.cgroups);
}
