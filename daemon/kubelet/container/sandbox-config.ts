import type { DNSConfig } from '../../../proto/generated/cri/runtime/v1/api.ts';
import { PodSandboxConfig, type PortMapping, Protocol } from '../../../proto/generated/cri/runtime/v1/api.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { podCgroupParent } from './cgroups.ts';
import { podHostname } from './hosts-file.ts';
import { sandboxAnnotations, sandboxLabels, uidOf } from './labels.ts';
import { podLinuxResources } from './resources.ts';
import { sandboxSecurityContext } from './security-context.ts';

const protocols: Record<string, Protocol> = { TCP: Protocol.TCP, UDP: Protocol.UDP, SCTP: Protocol.SCTP };

function portMappings(pod: Pod): PortMapping[] {
  const sidecars = (pod.spec?.initContainers ?? []).filter((one) => one.restartPolicy === 'Always');
  return [...(pod.spec?.containers ?? []), ...sidecars].flatMap(({ ports = [] }) =>
    ports.map(({ containerPort, hostPort = 0, hostIP = '', protocol = 'TCP' }) => ({
      containerPort,
      hostPort,
      hostIp: hostIP,
      protocol: protocols[protocol] ?? Protocol.TCP,
    })),
  );
}

export interface SandboxOptions {
  readonly pod: Pod;
  readonly attempt: number;
  readonly dns: DNSConfig;
  readonly clusterDomain: string;
  readonly logDirectory: string;
  readonly systemdCgroup: boolean;
  /** RFC 3339 time at which the kubelet first saw the pod. */
  readonly seen: string;
}

/** What the runtime needs to know to set up a pod's sandbox. */
export function sandboxConfig(options: SandboxOptions): PodSandboxConfig {
  const { pod } = options;
  const hostNetwork = pod.spec?.hostNetwork === true;
  return PodSandboxConfig.fromPartial({
    metadata: {
      name: pod.metadata?.name ?? '',
      namespace: pod.metadata?.namespace ?? '',
      uid: uidOf(pod),
      attempt: options.attempt,
    },
    hostname: hostNetwork ? '' : podHostname(pod, options.clusterDomain).hostname,
    logDirectory: options.logDirectory,
    dnsConfig: options.dns,
    portMappings: hostNetwork ? [] : portMappings(pod),
    labels: sandboxLabels(pod),
    annotations: sandboxAnnotations(pod, options.seen),
    linux: {
      cgroupParent: podCgroupParent(pod, options.systemdCgroup),
      securityContext: sandboxSecurityContext(pod),
      sysctls: Object.fromEntries((pod.spec?.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value])),
      resources: podLinuxResources(pod),
    },
  });
}
