import { ContainerConfig, type Mount } from '../../../proto/generated/cri/runtime/v1/api.ts';
import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import type { Image } from '../runtime.ts';
import { expand } from './expansion.ts';
import { containerAnnotations, containerLabels } from './labels.ts';
import { linuxResources, type NodeResources } from './resources.ts';
import { containerSecurityContext } from './security-context.ts';

/** Path of a container's log below the sandbox's log directory. */
export function containerLogPath(name: string, restartCount: number): string {
  return `${name}/${restartCount}.log`;
}

export interface ContainerOptions {
  readonly pod: Pod;
  readonly container: Container;
  readonly restartCount: number;
  readonly image: Image;
  readonly imageRef: string;
  readonly environment: ReadonlyMap<string, string>;
  readonly mounts: readonly Mount[];
  readonly node: NodeResources;
  readonly seccompDirectory: string;
  readonly targetId?: string;
}

/** Translates a container of a pod for the runtime. */
export function containerConfig(options: ContainerOptions): ContainerConfig {
  const { pod, container, restartCount, environment } = options;
  const expanded = (words: readonly string[] | undefined): string[] =>
    (words ?? []).map((word) => expand(word, (name) => environment.get(name)));
  return ContainerConfig.fromPartial({
    metadata: { name: container.name, attempt: restartCount },
    image: { image: options.imageRef, userSpecifiedImage: container.image ?? '' },
    command: expanded(container.command),
    args: expanded(container.args),
    workingDir: container.workingDir ?? '',
    envs: [...environment].map(([key, value]) => ({ key, value })),
    mounts: [...options.mounts],
    labels: containerLabels(pod, container),
    annotations: containerAnnotations(pod, container, restartCount),
    logPath: containerLogPath(container.name, restartCount),
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    linux: {
      resources: linuxResources(pod, container, options.node),
      securityContext: containerSecurityContext(options),
    },
  });
}
