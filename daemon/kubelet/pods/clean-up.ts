import { rm } from 'node:fs/promises';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { removePodCgroup } from '../container/cgroups.ts';
import { uidOf } from '../container/labels.ts';
import type { KubeletContext } from '../context.ts';
import { podDirectory, podLogDirectory } from '../paths.ts';
import type { PodRuntime } from './pod-runtime.ts';

/** After a pod's last container: what only running containers need. Its logs and last states stay. */
export async function releasePod(context: KubeletContext, pod: Pod): Promise<void> {
  context.probes.forget(uidOf(pod));
  context.forgetTokens(uidOf(pod));
  await context.volumes.tearDown(uidOf(pod));
}

/** Takes away everything a pod has on this node. The pod's containers have ended. */
export async function removePod(context: KubeletContext, pod: Pod, runtime: PodRuntime): Promise<void> {
  const uid = uidOf(pod);
  await releasePod(context, pod);
  for (const { status } of runtime.containers) await context.runtime.removeContainer(status.id);
  for (const { id } of runtime.sandboxes) await context.runtime.removePodSandbox(id);
  await removePodCgroup(uid, context.cgroups);
  await rm(podDirectory(context.paths, uid), { recursive: true, force: true });
  await rm(podLogDirectory(context.paths, pod), { recursive: true, force: true });
  context.crashes.forget(`${uid}/`);
}
