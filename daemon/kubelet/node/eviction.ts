import { readFile } from 'node:fs/promises';
import { unitsOf } from '../../apimachinery/quantity.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { labels } from '../container/labels.ts';
import { qosClass } from '../container/qos.ts';
import { podRequirements } from '../container/resources.ts';
import type { KubeletContext } from '../context.ts';
import { diskUsage, type ImageGarbageCollector } from '../images/image-garbage-collection.ts';
import type { PodWorkers } from '../pods/pod-workers.ts';
import { diskEvictionThreshold, memoryEvictionThreshold } from './host-facts.ts';
import type { NodeHealth } from './node-health.ts';

/** A condition stays this long after the shortage is over, so that the scheduler does not send pods back and forth. */
const TRANSITION_MS = 300_000;

const MIB = 1024 * 1024;

async function availableMemory(): Promise<number> {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1];
  return Number(kib ?? Number.POSITIVE_INFINITY) * 1024;
}

/** Who goes first: pods over their requests before those within, then by priority, then by how far over they are. */
export function evictionOrder(pods: readonly Pod[], usage: ReadonlyMap<string, number>): Pod[] {
  const used = (pod: Pod): number => usage.get(pod.metadata?.uid ?? '') ?? 0;
  const requested = (pod: Pod): number => unitsOf(podRequirements(pod).requests?.['memory']);
  const over = (pod: Pod): number => used(pod) - requested(pod);
  return [...pods].sort(
    (a, b) =>
      Number(over(b) > 0) - Number(over(a) > 0) ||
      (a.spec?.priority ?? 0) - (b.spec?.priority ?? 0) ||
      over(b) - over(a) ||
      (qosClass(a) === 'BestEffort' ? -1 : 0),
  );
}

export interface EvictionOptions {
  readonly context: KubeletContext;
  readonly workers: PodWorkers;
  readonly health: NodeHealth;
  readonly dataDir: string;
  readonly collector: ImageGarbageCollector;
  readonly refreshNode: () => void;
}

/** Watches memory and disk, reports pressure, and ends pods one at a time while there is too little. */
export class EvictionManager {
  readonly #options: EvictionOptions;
  readonly #pressedAt = { memory: 0, disk: 0, pid: 0 };

  constructor(options: EvictionOptions) {
    this.#options = options;
  }

  async check(now: number = Date.now()): Promise<void> {
    const { dataDir, health, collector, refreshNode } = this.#options;
    const [memory, disk] = await Promise.all([availableMemory(), diskUsage(dataDir)]);
    const short = {
      memory: memory < memoryEvictionThreshold,
      disk: disk.available < disk.capacity * diskEvictionThreshold,
      pid: false,
    };
    for (const signal of ['memory', 'disk'] as const) if (short[signal]) this.#pressedAt[signal] = now;
    const before = health.pressures;
    health.pressures = {
      memory: now - this.#pressedAt.memory < TRANSITION_MS,
      disk: now - this.#pressedAt.disk < TRANSITION_MS,
      pid: false,
    };
    if (before.memory !== health.pressures.memory || before.disk !== health.pressures.disk) refreshNode();
    if (short.disk) {
      const { freed } = await collector.collect(true);
      if (freed === 0)
        await this.#evict(
          'ephemeral-storage',
          `threshold quantity: ${Math.round((disk.capacity * diskEvictionThreshold) / MIB)}Mi, available: ${Math.round(disk.available / MIB)}Mi`,
        );
    } else if (short.memory) {
      await this.#evict(
        'memory',
        `threshold quantity: ${memoryEvictionThreshold / MIB}Mi, available: ${Math.round(memory / MIB)}Mi`,
      );
    }
  }

  async #evict(resource: string, detail: string): Promise<void> {
    const { context, workers } = this.#options;
    const stats = await context.runtime.listContainerStats();
    const usage = new Map<string, number>();
    for (const { attributes, memory } of stats) {
      const uid = attributes?.labels[labels.podUid] ?? '';
      usage.set(uid, (usage.get(uid) ?? 0) + Number(memory?.workingSetBytes?.value ?? 0n));
    }
    const candidates = workers.all.filter((worker) => worker.active).map(({ state }) => state.pod);
    const [victim] = evictionOrder(candidates, usage);
    if (victim === undefined) return;
    const message = `The node was low on resource: ${resource}. Threshold ${detail.replace('threshold ', '')}. `;
    context.events.pod(victim, 'Warning', 'Evicted', message);
    context.logger.warn({ pod: victim.metadata?.name, resource }, 'evicting a pod');
    workers.get(victim.metadata?.uid ?? '')?.condemn({ reason: 'Evicted', message, graceSeconds: 1 });
  }
}
