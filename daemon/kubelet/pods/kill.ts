import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import type { Logger } from '../../log/logger.ts';
import { annotations } from '../container/labels.ts';
import type { KubeletEvents } from '../events.ts';
import type { ContainerRuntime } from '../runtime.ts';
import { runHook } from './lifecycle-hooks.ts';
import { isRunning, type PodRuntime, type RuntimeContainer, sandboxIps } from './pod-runtime.ts';
import { findContainer, isSidecar } from './restart-policy.ts';

/** However long its hook took, a container has this long to end by itself. */
const MINIMUM_GRACE_SECONDS = 2;
const DEFAULT_GRACE_SECONDS = 30;

export interface KillContext {
  readonly runtime: ContainerRuntime;
  readonly events: KubeletEvents;
  readonly logger: Logger;
}

export interface KillOptions {
  /** Text of the Killing event; default: `Stopping container <name>`. */
  readonly message?: string;
  /** Instead of the pod's own grace period. */
  readonly graceSeconds?: number;
  /** Aborted when there is no more time for hooks. */
  readonly signal?: AbortSignal;
}

/** How long containers of a pod may take to end, in seconds. */
export function gracePeriod(pod: Pod): number {
  const { metadata, spec } = pod;
  // Even a forced deletion leaves a moment, so that the runtime can tell a clean end from a kill.
  return Math.max(
    1,
    metadata?.deletionGracePeriodSeconds ?? spec?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS,
  );
}

async function preStop(context: KillContext, pod: Pod, running: RuntimeContainer, podIp: string, options: KillOptions) {
  const container = findContainer(pod, running.name) ?? restoredContainer(running);
  const handler = container.lifecycle?.preStop;
  if (handler === undefined) return;
  const { runtime, events } = context;
  const containerId = running.status.id;
  try {
    await runHook({
      runtime,
      container,
      containerId,
      podIp,
      handler,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  } catch (error) {
    context.logger.warn({ err: error, pod: pod.metadata?.name, container: running.name }, 'preStop hook failed');
    events.container(pod, container, 'Warning', 'FailedPreStopHook', 'PreStopHook failed');
  }
}

/** What the container was, as far as its annotations say, when the pod is known no more. */
function restoredContainer(running: RuntimeContainer): Container {
  const hook = running.status.annotations[annotations.preStop];
  const ports = running.status.annotations[annotations.ports];
  return {
    name: running.name,
    ...(hook === undefined ? {} : { lifecycle: { preStop: JSON.parse(hook) } }),
    ...(ports === undefined ? {} : { ports: JSON.parse(ports) }),
  };
}

/** Ends one container: its preStop hook, then SIGTERM, and SIGKILL once the grace period, which counts from now, is over. */
export async function killContainer(
  context: KillContext,
  pod: Pod,
  running: RuntimeContainer,
  runtime: PodRuntime,
  options: KillOptions = {},
): Promise<void> {
  if (!isRunning(running)) return;
  const [podIp = ''] = sandboxIps(runtime);
  const grace = options.graceSeconds ?? gracePeriod(pod);
  const message = options.message ?? `Stopping container ${running.name}`;
  context.events.container(pod, { name: running.name }, 'Normal', 'Killing', message);
  const began = Date.now();
  if (grace > 0) {
    const hook = preStop(context, pod, running, podIp, options);
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, grace * 1000);
      options.signal?.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([hook, limit]);
    clearTimeout(timer);
  }
  const left = grace - (Date.now() - began) / 1000;
  const seconds =
    options.signal?.aborted === true || grace === 0 ? 0 : Math.max(MINIMUM_GRACE_SECONDS, Math.ceil(left));
  await context.runtime.stopContainer(running.status.id, grace === 1 ? 1 : seconds);
}

/** Ends all running containers of a pod: all at once, but sidecars after the others and in reverse order. */
export async function killContainers(
  context: KillContext,
  pod: Pod,
  runtime: PodRuntime,
  options: KillOptions = {},
): Promise<void> {
  const sidecars = (pod.spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
  const total = options.graceSeconds ?? gracePeriod(pod);
  const began = Date.now();
  const running = runtime.containers.filter(isRunning);
  await Promise.all(
    running
      .filter(({ name }) => !sidecars.includes(name))
      .map((container) => killContainer(context, pod, container, runtime, options)),
  );
  for (const name of sidecars.reverse()) {
    const left = Math.max(0, Math.ceil(total - (Date.now() - began) / 1000));
    for (const container of running.filter((one) => one.name === name))
      await killContainer(context, pod, container, runtime, { ...options, graceSeconds: left });
  }
}

/** Ends a pod: its containers, then all of its sandboxes, which takes its network down. */
export async function killPod(
  context: KillContext,
  pod: Pod,
  runtime: PodRuntime,
  options: KillOptions = {},
): Promise<void> {
  await killContainers(context, pod, runtime, options);
  for (const { id } of runtime.sandboxes) await context.runtime.stopPodSandbox(id);
}
