import { readFile, statfs } from 'node:fs/promises';
import { ContainerState } from '../../../proto/generated/cri/runtime/v1/api.ts';
import { formatTime } from '../../apimachinery/time.ts';
import { labels } from '../container/labels.ts';
import type { KubeletContext } from '../context.ts';
import type { ContainerStats } from '../runtime.ts';

interface CpuStats {
  readonly time: string;
  readonly usageNanoCores?: number;
  readonly usageCoreNanoSeconds: number;
}

interface MemoryStats {
  readonly time: string;
  readonly availableBytes?: number;
  readonly usageBytes: number;
  readonly workingSetBytes: number;
  readonly rssBytes: number;
}

export interface ContainerSummary {
  readonly name: string;
  readonly startTime?: string;
  readonly cpu: CpuStats;
  readonly memory: MemoryStats;
}

export interface PodSummary {
  readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly startTime?: string;
  readonly containers: ContainerSummary[];
  readonly cpu: CpuStats;
  readonly memory: MemoryStats;
}

/** CPU seconds all processes of the host have used, and memory that could not be freed, from /proc. */
export async function nodeUsage(): Promise<{ cpuSeconds: number; workingSetBytes: number; availableBytes: number }> {
  const [stat, meminfo] = await Promise.all([readFile('/proc/stat', 'utf8'), readFile('/proc/meminfo', 'utf8')]);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '')
    .split(' ')
    .map(Number);
  const ticks = 100;
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(meminfo)?.[1] ?? 0) * 1024;
  return {
    cpuSeconds: (user + nice + system + irq + softirq) / ticks,
    workingSetBytes: kib('MemTotal') - kib('MemFree') - kib('Inactive\\(file\\)'),
    availableBytes: kib('MemAvailable'),
  };
}

/** CPU use between two looks at a container, by its id, in billionths of a core. */
export class UsageRates {
  readonly #last = new Map<string, { at: bigint; used: bigint; rate: number }>();

  rate(id: string, at: bigint, used: bigint): number | undefined {
    const before = this.#last.get(id);
    if (before !== undefined && at <= before.at) return before.rate;
    const rate = before === undefined ? 0 : Number(((used - before.used) * 1_000_000_000n) / (at - before.at));
    this.#last.set(id, { at, used, rate });
    if (this.#last.size > 10_000) this.#last.delete(this.#last.keys().next().value as string);
    return before === undefined ? undefined : rate;
  }
}

function containerSummary(stats: ContainerStats, rates: UsageRates): ContainerSummary {
  const { attributes, cpu, memory } = stats;
  const at = cpu?.timestamp ?? 0n;
  const time = formatTime(new Date(Number(at / 1_000_000n)));
  const used = cpu?.usageCoreNanoSeconds?.value ?? 0n;
  const rate = rates.rate(attributes?.id ?? '', at, used);
  const available = Number(memory?.availableBytes?.value ?? 0n);
  return {
    name: attributes?.labels[labels.containerName] ?? attributes?.metadata?.name ?? '',
    cpu: { time, ...(rate === undefined ? {} : { usageNanoCores: rate }), usageCoreNanoSeconds: Number(used) },
    memory: {
      time,
      ...(available === 0 ? {} : { availableBytes: available }),
      usageBytes: Number(memory?.usageBytes?.value ?? memory?.workingSetBytes?.value ?? 0n),
      workingSetBytes: Number(memory?.workingSetBytes?.value ?? 0n),
      rssBytes: Number(memory?.rssBytes?.value ?? 0n),
    },
  };
}

/** What each pod's containers use, as the runtime counts it. */
export async function podSummaries(context: KubeletContext, rates: UsageRates): Promise<PodSummary[]> {
  const pods = new Map<string, PodSummary & { containers: ContainerSummary[] }>();
  const [all, running] = await Promise.all([
    context.runtime.listContainerStats(),
    context.runtime.listContainers({ state: { state: ContainerState.CONTAINER_RUNNING } }),
  ]);
  const ids = new Set(running.map(({ id }) => id));
  for (const stats of all.filter(({ attributes }) => ids.has(attributes?.id ?? ''))) {
    const label = (name: string): string => stats.attributes?.labels[name] ?? '';
    const uid = label(labels.podUid);
    if (uid === '') continue;
    const container = containerSummary(stats, rates);
    const pod = pods.get(uid);
    if (pod !== undefined) {
      pod.containers.push(container);
      continue;
    }
    const startTime = context.status.current(uid)?.startTime;
    pods.set(uid, {
      podRef: { name: label(labels.podName), namespace: label(labels.podNamespace), uid },
      ...(startTime === undefined ? {} : { startTime }),
      containers: [container],
      cpu: container.cpu,
      memory: container.memory,
    });
  }
  return [...pods.values()].map((pod) => ({ ...pod, ...totals(pod.containers) }));
}

function totals(containers: readonly ContainerSummary[]): Pick<PodSummary, 'cpu' | 'memory'> {
  const sum = (of: (container: ContainerSummary) => number): number =>
    containers.reduce((all, one) => all + of(one), 0);
  const time = containers[0]?.cpu.time ?? formatTime();
  return {
    cpu: {
      time,
      usageNanoCores: sum(({ cpu }) => cpu.usageNanoCores ?? 0),
      usageCoreNanoSeconds: sum(({ cpu }) => cpu.usageCoreNanoSeconds),
    },
    memory: {
      time,
      usageBytes: sum(({ memory }) => memory.usageBytes),
      workingSetBytes: sum(({ memory }) => memory.workingSetBytes),
      rssBytes: sum(({ memory }) => memory.rssBytes),
    },
  };
}

/** The body of `/stats/summary`. */
export async function statsSummary(context: KubeletContext, nodeName: string, rates: UsageRates): Promise<object> {
  const [usage, pods, disk, images] = await Promise.all([
    nodeUsage(),
    podSummaries(context, rates),
    statfs(context.paths.root),
    context.runtime.imageFsInfo(),
  ]);
  const time = formatTime();
  const nanos = BigInt(Math.round(usage.cpuSeconds * 1e9));
  const rate = rates.rate('node', BigInt(Date.now()) * 1_000_000n, nanos);
  const capacityBytes = disk.blocks * disk.bsize;
  const availableBytes = disk.bavail * disk.bsize;
  const fs = { time, capacityBytes, availableBytes, usedBytes: capacityBytes - disk.bfree * disk.bsize };
  return {
    node: {
      nodeName,
      startTime: formatTime(new Date(Date.now() - process.uptime() * 1000)),
      cpu: { time, usageNanoCores: rate ?? 0, usageCoreNanoSeconds: Number(nanos) },
      memory: {
        time,
        availableBytes: usage.availableBytes,
        usageBytes: usage.workingSetBytes,
        workingSetBytes: usage.workingSetBytes,
      },
      fs: { ...fs, inodes: disk.files, inodesFree: disk.ffree, inodesUsed: disk.files - disk.ffree },
      runtime: { imageFs: { ...fs, usedBytes: Number(images[0]?.usedBytes?.value ?? 0n) } },
    },
    pods,
  };
}
