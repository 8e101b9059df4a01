import { LinuxContainerResources } from '../../../proto/generated/cri/runtime/v1/api.ts';
import { milliOf, unitsOf } from '../../apimachinery/quantity.ts';
import type { Container, Pod, ResourceRequirements } from '../../apimachinery/types/core-v1.ts';
import { qosClass } from './qos.ts';

const MIN_SHARES = 2;
const MAX_SHARES = 262_144;
const SHARES_PER_CPU = 1024;
const QUOTA_PERIOD_US = 100_000;
const MIN_QUOTA_US = 1000;
const SYSTEM_CRITICAL_PRIORITY = 2_000_000_000;

/** The node facts that resources depend on. */
export interface NodeResources {
  readonly memoryBytes: number;
  readonly cgroup2: boolean;
}

export function milliCpuToShares(milli: number): number {
  if (milli === 0) return MIN_SHARES;
  return Math.min(MAX_SHARES, Math.max(MIN_SHARES, Math.floor((milli * SHARES_PER_CPU) / 1000)));
}

/** CPU time in microseconds per period; 0 for no limit. */
export function milliCpuToQuota(milli: number): number {
  return milli === 0 ? 0 : Math.max(MIN_QUOTA_US, Math.floor((milli * QUOTA_PERIOD_US) / 1000));
}

/**
 * How soon the kernel kills a container when memory runs out: last the guaranteed ones, first those that asked for
 * nothing, and in between by how much of the node's memory they asked for.
 */
export function oomScoreAdjust(pod: Pod, container: Container, memoryBytes: number): number {
  if ((pod.spec?.priority ?? 0) >= SYSTEM_CRITICAL_PRIORITY) return -997;
  const qos = qosClass(pod);
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const score = 1000 - Math.floor((1000 * unitsOf(container.resources?.requests?.['memory'])) / memoryBytes);
  if (score < 3) return 3;
  return score === 1000 ? 999 : score;
}

function cpuAndMemory(resources: ResourceRequirements | undefined): Partial<LinuxContainerResources> {
  const limit = milliOf(resources?.limits?.['cpu']);
  const request = resources?.requests?.['cpu'] === undefined ? limit : milliOf(resources.requests['cpu']);
  return {
    cpuShares: BigInt(milliCpuToShares(request)),
    cpuQuota: BigInt(milliCpuToQuota(limit)),
    cpuPeriod: BigInt(QUOTA_PERIOD_US),
    memoryLimitInBytes: BigInt(unitsOf(resources?.limits?.['memory'])),
  };
}

export function linuxResources(pod: Pod, container: Container, node: NodeResources): LinuxContainerResources {
  return LinuxContainerResources.fromPartial({
    ...cpuAndMemory(container.resources),
    oomScoreAdj: BigInt(oomScoreAdjust(pod, container, node.memoryBytes)),
    hugepageLimits: Object.entries(container.resources?.limits ?? {})
      .filter(([name]) => name.startsWith('hugepages-'))
      .map(([name, value]) => ({
        // `2Mi` is `2MB` to the kernel's hugetlb controller.
        pageSize: `${name.slice('hugepages-'.length).replace(/i$/, '')}B`,
        limit: BigInt(unitsOf(value)),
      })),
    // One process out of memory ends its container, not a random part of it.
    unified: node.cgroup2 ? { 'memory.oom.group': '1' } : {},
  });
}

/** The sum over a pod's containers (sidecars included), with CPU and memory unlimited unless every container limits them. */
export function podRequirements(pod: Pod): ResourceRequirements {
  if (pod.spec?.resources !== undefined) return pod.spec.resources;
  const sidecars = (pod.spec?.initContainers ?? []).filter((one) => one.restartPolicy === 'Always');
  const all = [...(pod.spec?.containers ?? []), ...sidecars];
  const sum = (kind: 'limits' | 'requests', name: string): number =>
    all.reduce((total, { resources }) => total + milliOf(resources?.[kind]?.[name]), 0);
  const limited = (name: string): boolean => all.every(({ resources }) => milliOf(resources?.limits?.[name]) > 0);
  const list = (kind: 'limits' | 'requests', names: readonly string[]): Record<string, string> =>
    Object.fromEntries(names.map((name) => [name, `${sum(kind, name)}m`]));
  return {
    requests: list('requests', ['cpu', 'memory']),
    limits: list('limits', ['cpu', 'memory'].filter(limited)),
  };
}

export function podLinuxResources(pod: Pod): LinuxContainerResources {
  return LinuxContainerResources.fromPartial(cpuAndMemory(podRequirements(pod)));
}
