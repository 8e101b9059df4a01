import type { Service } from '../apimachinery/types/core-v1.ts';
import type { ApiClient } from '../client/api-client.ts';
import type { Logger } from '../log/logger.ts';
import type { BackOff } from './back-off.ts';
import type { CgroupHost } from './container/cgroups.ts';
import type { ClusterDns } from './container/dns.ts';
import type { ConfigSource } from './container/environment.ts';
import type { NodeResources } from './container/resources.ts';
import type { KubeletEvents } from './events.ts';
import type { ImageManager } from './images/image-manager.ts';
import type { KubeletPaths } from './paths.ts';
import type { ProbeManager } from './probes/probe-manager.ts';
import type { ContainerRuntime } from './runtime.ts';
import type { StatusManager } from './status/status-manager.ts';
import type { VolumeManager } from './volumes/volume-manager.ts';

/** What the work on pods has at hand: the parts of one kubelet, and the facts of its node. */
export interface KubeletContext {
  readonly client: ApiClient;
  readonly runtime: ContainerRuntime;
  /** Such as `containerd`. */
  readonly runtimeName: string;
  readonly events: KubeletEvents;
  readonly logger: Logger;
  readonly paths: KubeletPaths;
  readonly config: ConfigSource;
  readonly volumes: VolumeManager;
  readonly images: ImageManager;
  readonly probes: ProbeManager;
  readonly status: StatusManager;
  readonly crashes: BackOff;
  readonly clusterDns: ClusterDns;
  readonly hostIps: readonly string[];
  readonly node: NodeResources;
  readonly cgroups: CgroupHost;
  services(): readonly Service[];
  allocatable(): Readonly<Record<string, string>>;
  /** Why pods cannot have a network now; undefined when they can. */
  networkProblem(): string | undefined;
  /** A pod's tokens are needed no more. */
  forgetTokens(uid: string): void;
}
