import { mkdir } from 'node:fs/promises';
import { isApiError } from '../../apimachinery/api-error.ts';
import { formatDuration } from '../../apimachinery/duration.ts';
import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import { runtimeclasses } from '../../apimachinery/types/resources.ts';
import { ensurePodCgroup } from '../container/cgroups.ts';
import { hostDns, podDns } from '../container/dns.ts';
import { containerHash, formatPod, uidOf } from '../container/labels.ts';
import { sandboxConfig } from '../container/sandbox-config.ts';
import type { KubeletContext } from '../context.ts';
import { podDirectory, podLogDirectory } from '../paths.ts';
import type { PodSandboxConfig } from '../runtime.ts';
import type { MountedVolume } from '../volumes/plugin.ts';
import { computeActions, type PodActions } from './actions.ts';
import { killContainer, killPod } from './kill.ts';
import { isExited, newestContainer, type PodRuntime, readPodRuntime, readySandbox, sandboxIps } from './pod-runtime.ts';
import { type PodState, podVersion } from './pod-state.ts';
import { reportStatus } from './report.ts';
import { resizeContainers } from './resize.ts';
import { StartError, startContainer } from './start-container.ts';

/** How long content of volumes (ConfigMaps, tokens) may be behind its source. */
const VOLUME_REFRESH_MS = 60_000;

/** A step failed in a way that was reported; try again after the pod's back-off, or at a certain time. */
export class SyncError extends Error {
  override readonly name = 'SyncError';
  readonly retryMs: number | undefined;

  constructor(message: string, retryMs?: number) {
    super(message);
    this.retryMs = retryMs;
  }
}

export interface SyncResult {
  /** Nothing of the pod runs, and nothing of it will. */
  readonly finished: boolean;
  /** Something was done: look again at once. */
  readonly acted: boolean;
  /** When there is something to do again, in milliseconds from now, whether or not anything happens. */
  readonly retryMs?: number;
}

const podIpsOf = (context: KubeletContext, pod: Pod, runtime: PodRuntime): readonly string[] =>
  pod.spec?.hostNetwork === true ? context.hostIps : sandboxIps(runtime);

async function setUpVolumes(context: KubeletContext, state: PodState): Promise<ReadonlyMap<string, MountedVolume>> {
  const { pod } = state;
  const fresh = Date.now() - state.volumesAt < VOLUME_REFRESH_MS && state.volumesFor === podVersion(pod);
  if (state.volumes !== undefined && fresh) return state.volumes;
  const facts = {
    podIps: podIpsOf(context, pod, state.runtime),
    hostIps: context.hostIps,
    nodeAllocatable: context.allocatable(),
  };
  try {
    state.volumes = await context.volumes.setUp(pod, facts);
  } catch (error) {
    context.events.pod(pod, 'Warning', 'FailedMount', (error as Error).message);
    throw new SyncError((error as Error).message);
  }
  state.volumesAt = Date.now();
  state.volumesFor = podVersion(pod);
  return state.volumes;
}

async function sandboxConfigOf(context: KubeletContext, state: PodState, attempt: number): Promise<PodSandboxConfig> {
  const { pod } = state;
  return sandboxConfig({
    pod,
    attempt,
    dns: podDns(pod, context.clusterDns, await hostDns()),
    clusterDomain: context.clusterDns.domain,
    logDirectory: podLogDirectory(context.paths, pod),
    systemdCgroup: context.cgroups.systemd,
    seen: state.seen,
  });
}

async function createSandbox(context: KubeletContext, state: PodState, config: PodSandboxConfig): Promise<void> {
  const { pod } = state;
  const problem = pod.spec?.hostNetwork === true ? undefined : context.networkProblem();
  if (problem !== undefined) {
    context.events.pod(pod, 'Warning', 'NetworkNotReady', `network is not ready: ${problem}`);
    throw new SyncError(`network is not ready: ${problem}`, 500);
  }
  await mkdir(podLogDirectory(context.paths, pod), { recursive: true, mode: 0o755 });
  await ensurePodCgroup(pod, context.cgroups);
  try {
    await context.runtime.runPodSandbox(config, await runtimeHandler(context, pod));
  } catch (error) {
    const message = `Failed to create pod sandbox: ${(error as Error).message}`;
    context.events.pod(pod, 'Warning', 'FailedCreatePodSandBox', message);
    throw new SyncError(message);
  }
}

/** The runtime's name for the pod's RuntimeClass. */
async function runtimeHandler(context: KubeletContext, pod: Pod): Promise<string> {
  const name = pod.spec?.runtimeClassName;
  if (name === undefined || name === '') return '';
  try {
    return (await context.client.get(runtimeclasses, { name })).handler;
  } catch (error) {
    if (isApiError(error, 'NotFound')) throw new Error(`RuntimeClass.node.k8s.io ${JSON.stringify(name)} not found`);
    throw error;
  }
}

/** Milliseconds until a container that has ended may start again. */
function crashDelay(context: KubeletContext, state: PodState, container: Container): number {
  const { pod } = state;
  const current = newestContainer(state.runtime, container.name);
  if (current === undefined || !isExited(current)) return 0;
  const key = `${uidOf(pod)}/${container.name}/${containerHash(container)}`;
  const ended = Number(current.status.finishedAt / 1_000_000n);
  const remaining = context.crashes.remaining(key, ended);
  if (remaining === 0) {
    context.crashes.next(key, ended);
    return 0;
  }
  context.events.container(
    pod,
    container,
    'Warning',
    'BackOff',
    `Back-off restarting failed container ${container.name} in pod ${formatPod(pod)}`,
  );
  const delay = formatDuration(context.crashes.delay(key));
  state.failures.set(container.name, {
    reason: 'CrashLoopBackOff',
    message: `back-off ${delay} restarting failed container=${container.name} pod=${formatPod(pod)}`,
  });
  return remaining;
}

/** Starts what the actions say, one after the other. Resolves to when to look again, if some could not be started. */
async function startAll(
  context: KubeletContext,
  state: PodState,
  containers: readonly Container[],
  sandbox: PodSandboxConfig,
  volumes: ReadonlyMap<string, MountedVolume>,
): Promise<{ started: number; failed: boolean; retryMs: number | undefined }> {
  let started = 0;
  let failed = false;
  let retryMs: number | undefined;
  const soonest = (ms: number): void => {
    retryMs = Math.min(ms, retryMs ?? Number.POSITIVE_INFINITY);
  };
  const sandboxId = readySandbox(state.runtime)?.id;
  if (sandboxId === undefined) return { started, failed: true, retryMs };
  for (const container of containers) {
    const wait = crashDelay(context, state, container);
    if (wait > 0) {
      soonest(wait);
      continue;
    }
    try {
      await startContainer(context, {
        pod: state.pod,
        container,
        runtime: state.runtime,
        sandboxId,
        sandbox,
        podIps: podIpsOf(context, state.pod, state.runtime),
        volumes,
      });
      state.failures.delete(container.name);
      started++;
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      state.failures.set(container.name, { reason: error.reason, message: error.message });
      if (error.retryMs === undefined) failed = true;
      else soonest(error.retryMs);
    }
  }
  return { started, failed, retryMs };
}

/** Old containers and sandboxes are kept for their logs and last state, one of each; the rest goes. */
async function removeDead(context: KubeletContext, runtime: PodRuntime): Promise<void> {
  const names = new Set(runtime.containers.map(({ name }) => name));
  const [newestSandbox, ...oldSandboxes] = runtime.sandboxes;
  const kept = new Set<string | undefined>([newestSandbox?.id]);
  for (const name of names) {
    const all = runtime.containers.filter((container) => container.name === name);
    const dead = all.filter(isExited);
    const spare = all[0] === dead[0] ? 2 : 1;
    for (const { status } of dead.slice(spare)) await context.runtime.removeContainer(status.id);
    for (const { sandboxId } of all.filter((one) => !dead.slice(spare).includes(one))) kept.add(sandboxId);
  }
  for (const { id } of oldSandboxes) if (!kept.has(id)) await context.runtime.removePodSandbox(id);
}

const hasWork = (actions: PodActions): boolean =>
  actions.killPod ||
  actions.createSandbox ||
  actions.kills.length + actions.initContainersToStart.length > 0 ||
  actions.containersToStart.length + actions.ephemeralToStart.length > 0;

/**
 * One step of a pod towards its spec: reads what the runtime has of it, reports the status, and does what is missing.
 * Rejects with a SyncError for what has been reported as an event.
 */
export async function syncPod(context: KubeletContext, state: PodState): Promise<SyncResult> {
  const { pod } = state;
  const uid = uidOf(pod);
  state.runtime = await readPodRuntime(context.runtime, uid, state.runtime);
  context.probes.update(pod, state.runtime);
  const status = await reportStatus(context, state, false);
  if (status.phase === 'Succeeded' || status.phase === 'Failed') return { finished: true, acted: false };

  await resizeContainers(context, state);
  const actions = computeActions(pod, state.runtime, context.probes);
  await mkdir(podDirectory(context.paths, uid), { recursive: true, mode: 0o750 });
  if (!hasWork(actions)) {
    await setUpVolumes(context, state);
    return { finished: false, acted: false, retryMs: VOLUME_REFRESH_MS };
  }
  if (actions.killPod) {
    if (actions.createSandbox && state.runtime.sandboxes.length > 0 && !neverWorked(state.runtime))
      context.events.pod(pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
    await killPod(context, pod, state.runtime);
    if (!actions.createSandbox) {
      state.runtime = await readPodRuntime(context.runtime, uid, state.runtime);
      await reportStatus(context, state, true);
      return { finished: true, acted: true };
    }
  }
  await Promise.all(
    actions.kills.map(({ running, message, reason, container }) => {
      const probe = { LivenessProbe: container.livenessProbe, StartupProbe: container.startupProbe }[reason as string];
      const graceSeconds = probe?.terminationGracePeriodSeconds;
      return killContainer(context, pod, running, state.runtime, {
        message,
        ...(graceSeconds === undefined ? {} : { graceSeconds }),
      });
    }),
  );
  const volumes = await setUpVolumes(context, state);
  const config = await sandboxConfigOf(context, state, actions.attempt);
  if (actions.createSandbox) {
    await createSandbox(context, state, config);
    state.runtime = await readPodRuntime(context.runtime, uid, state.runtime);
    await reportStatus(context, state, false);
  } else if (actions.kills.length > 0) state.runtime = await readPodRuntime(context.runtime, uid, state.runtime);
  const order = [...actions.ephemeralToStart, ...actions.initContainersToStart, ...actions.containersToStart];
  const { started, failed, retryMs } = await startAll(context, state, order, config, volumes);
  if (started > 0) await removeDead(context, await readPodRuntime(context.runtime, uid, state.runtime));
  if (failed) {
    state.runtime = await readPodRuntime(context.runtime, uid, state.runtime);
    context.probes.update(pod, state.runtime);
    await reportStatus(context, state, false);
    throw new SyncError('some containers could not be started');
  }
  // Without a start there is nothing new to see, but for the reasons of waiting.
  if (started === 0) await reportStatus(context, state, false);
  return { finished: false, acted: started > 0, ...(retryMs === undefined ? {} : { retryMs }) };
}

/** A sandbox whose creation failed half-way is no change anyone would notice. */
function neverWorked(runtime: PodRuntime): boolean {
  return runtime.containers.length === 0 && readySandbox(runtime) === undefined;
}
