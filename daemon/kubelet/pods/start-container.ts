import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ContainerState } from '../../../proto/generated/cri/runtime/v1/api.ts';
import type { Container, EphemeralContainer, Pod } from '../../apimachinery/types/core-v1.ts';
import { containerConfig } from '../container/container-config.ts';
import { containerEnvironment } from '../container/environment.ts';
import { annotations, uidOf } from '../container/labels.ts';
import { containerMounts } from '../container/mounts.ts';
import { verifyRunAsNonRoot } from '../container/security-context.ts';
import type { KubeletContext } from '../context.ts';
import { type EnsuredImage, ImageError } from '../images/image-manager.ts';
import { podLogDirectory } from '../paths.ts';
import type { ContainerConfig, PodSandboxConfig } from '../runtime.ts';
import type { MountedVolume } from '../volumes/plugin.ts';
import { killContainer } from './kill.ts';
import { runHook } from './lifecycle-hooks.ts';
import { newestContainer, type PodRuntime, type RuntimeContainer } from './pod-runtime.ts';

/** Why a container did not start: the reason and message of its waiting state. */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly reason: string;
  /** When to try again, in milliseconds from now; undefined leaves it to the pod's back-off. */
  readonly retryMs: number | undefined;

  constructor(reason: string, message: string, retryMs?: number) {
    super(message);
    this.reason = reason;
    this.retryMs = retryMs;
  }
}

export interface StartRequest {
  readonly pod: Pod;
  readonly container: Container;
  readonly runtime: PodRuntime;
  readonly sandboxId: string;
  readonly sandbox: PodSandboxConfig;
  readonly podIps: readonly string[];
  readonly volumes: ReadonlyMap<string, MountedVolume>;
}

/** Where the runtime has lost a container, its log files tell how often it had been started. */
async function restartsInLogs(directory: string): Promise<number> {
  const files = await readdir(directory).catch(() => []);
  const counts = files.map((name) => Number(/^(\d+)\.log/.exec(name)?.[1] ?? Number.NaN)).filter(Number.isInteger);
  return counts.length === 0 ? 0 : Math.max(...counts) + 1;
}

async function nextRestartCount(context: KubeletContext, request: StartRequest, current?: RuntimeContainer) {
  if (current === undefined)
    return restartsInLogs(join(podLogDirectory(context.paths, request.pod), request.container.name));
  const count = Number(current.status.annotations[annotations.restartCount] ?? 0);
  if (current.status.state !== ContainerState.CONTAINER_CREATED) return count + 1;
  // A kubelet that was killed between creating and starting it left it behind: this is still that start.
  await context.runtime.removeContainer(current.status.id);
  return count;
}

async function buildConfig(
  context: KubeletContext,
  request: StartRequest,
  { image, ref }: EnsuredImage,
  restartCount: number,
): Promise<ContainerConfig> {
  const { pod, container, podIps, volumes, runtime } = request;
  verifyRunAsNonRoot(pod, container, image);
  const facts = { podIps, hostIps: context.hostIps, nodeAllocatable: context.allocatable() };
  const environment = await containerEnvironment({
    pod,
    container,
    facts,
    config: context.config,
    services: context.services(),
  });
  const mounts = await containerMounts({
    pod,
    container,
    paths: context.paths,
    volumes,
    environment,
    podIps: podIps,
    clusterDomain: context.clusterDns.domain,
    nodeHosts: pod.spec?.hostNetwork === true ? await readFile('/etc/hosts', 'utf8').catch(() => '') : '',
  });
  const { targetContainerName } = container as EphemeralContainer;
  const target = targetContainerName === undefined ? undefined : newestContainer(runtime, targetContainerName);
  return containerConfig({
    pod,
    container,
    restartCount,
    image,
    imageRef: ref,
    environment,
    mounts,
    node: context.node,
    seccompDirectory: join(context.paths.root, 'seccomp/'),
    ...(target === undefined ? {} : { targetId: target.status.id }),
  });
}

/**
 * Pulls the image if need be, creates the container, starts it and runs its postStart hook, with the events of each step.
 * Rejects with a StartError.
 */
export async function startContainer(context: KubeletContext, request: StartRequest): Promise<void> {
  const { pod, container, sandbox } = request;
  const { events, runtime } = context;
  const fail = (reason: string, message: string, retryMs?: number): StartError => {
    events.container(pod, container, 'Warning', 'Failed', `Error: ${message}`);
    return new StartError(reason, message, retryMs);
  };

  let image: EnsuredImage;
  try {
    image = await context.images.ensure(pod, container, sandbox);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    events.container(pod, container, 'Warning', 'Failed', `Error: ${error.reason}`);
    throw new StartError(error.reason, error.message, error.retryMs);
  }

  const current = newestContainer(request.runtime, container.name);
  const restartCount = await nextRestartCount(context, request, current);
  let config: ContainerConfig;
  try {
    config = await buildConfig(context, request, image, restartCount);
  } catch (error) {
    throw fail('CreateContainerConfigError', (error as Error).message);
  }

  let id: string;
  try {
    id = await runtime.createContainer(request.sandboxId, config, sandbox);
  } catch (error) {
    throw fail('CreateContainerError', details(error));
  }
  events.container(pod, container, 'Normal', 'Created', 'Container created');
  try {
    await runtime.startContainer(id);
  } catch (error) {
    throw fail('RunContainerError', details(error));
  }
  events.container(pod, container, 'Normal', 'Started', 'Container started');
  await postStart(context, request, id);
}

/** The runtime's own words, without the wrapping of the call. */
const details = (error: unknown): string =>
  (error as { details?: string }).details ?? (error instanceof Error ? error.message : String(error));

async function postStart(context: KubeletContext, request: StartRequest, containerId: string): Promise<void> {
  const { pod, container, podIps } = request;
  const handler = container.lifecycle?.postStart;
  if (handler === undefined) return;
  const [podIp = ''] = podIps;
  try {
    await runHook({ runtime: context.runtime, container, containerId, podIp, handler });
  } catch (error) {
    context.logger.warn({ err: error, uid: uidOf(pod), container: container.name }, 'postStart hook failed');
    context.events.container(pod, container, 'Warning', 'FailedPostStartHook', 'PostStartHook failed');
    const status = await context.runtime.containerStatus(containerId);
    await killContainer(context, pod, { name: container.name, sandboxId: request.sandboxId, status }, request.runtime, {
      message: 'FailedPostStartHook',
    });
    throw new StartError('PostStartHookError', (error as Error).message);
  }
}
