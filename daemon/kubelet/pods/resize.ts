import { stableStringify } from '../../apimachinery/hash.ts';
import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import { ensurePodCgroup } from '../container/cgroups.ts';
import { linuxResources } from '../container/resources.ts';
import type { KubeletContext } from '../context.ts';
import type { LinuxContainerResources } from '../runtime.ts';
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
  const changes: { id: string; wanted: LinuxContainerResources; text: string }[] = [];
  for (const { name, status } of running) {
    const container = findContainer(pod, name);
    if (container === undefined) continue;
    const { id } = status;
    const wanted = linuxResources(pod, container, context.node);
    const text = textOf(wanted);
    const told = resources.get(id);
    if (told === text) continue;
    if (told !== undefined || differsFromReported(pod, container, id)) changes.push({ id, wanted, text });
    else resources.set(id, text);
  }
  if (changes.length === 0) return;
  // No container may have more than its pod: when growing the pod comes first, when shrinking it comes last.
  await ensurePodCgroup(pod, context.cgroups);
  for (const { id, wanted, text } of changes) {
    try {
      await context.runtime.updateContainerResources(id, wanted);
      resources.set(id, text);
    } catch (err) {
      // Tried again at the next step; the container runs on with what it has.
      context.logger.warn({ err, pod: pod.metadata?.name, container: id }, 'cannot resize a container');
    }
  }
  await ensurePodCgroup(pod, context.cgroups);
}
