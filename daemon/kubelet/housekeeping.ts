import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeletContext } from './context.ts';
import { defaultImageGcPolicy, diskUsage, ImageGarbageCollector } from './images/image-garbage-collection.ts';
import { pauseImage } from './images/local-images.ts';
import { rotateLogs } from './log-rotation.ts';
import { EvictionManager } from './node/eviction.ts';
import type { NodeHealth } from './node/node-health.ts';
import { podDirectory, podsDirectory } from './paths.ts';
import type { PodLifecycleEvents } from './pods/lifecycle-events.ts';
import type { PodWorkers } from './pods/pod-workers.ts';
import { reclaimLocalPaths } from './volumes/local-path-reclaim.ts';

interface Chore {
  readonly name: string;
  readonly everyMs: number;
  readonly run: () => Promise<void>;
}

export interface HousekeepingOptions {
  readonly context: KubeletContext;
  readonly workers: PodWorkers;
  readonly lifecycle: PodLifecycleEvents;
  readonly health: NodeHealth;
  readonly dataDir: string;
  readonly refreshNode: () => void;
}

/** What has to be done now and then: remains of pods, old images, long logs, and relief when the node runs short. */
export class Housekeeping {
  readonly #options: HousekeepingOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #running = new Set<Promise<void>>();
  #stopped = false;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
  }

  start(): void {
    const { context, workers, health, dataDir, refreshNode } = this.#options;
    const collector = new ImageGarbageCollector({
      runtime: context.runtime,
      usage: () => diskUsage(dataDir),
      pinned: [pauseImage],
      logger: context.logger,
      policy: defaultImageGcPolicy,
    });
    const eviction = new EvictionManager({ context, workers, health, dataDir, collector, refreshNode });
    const chores: readonly Chore[] = [
      { name: 'remains of pods', everyMs: 2000, run: () => this.#removeRemains() },
      { name: 'logs', everyMs: 10_000, run: () => rotateLogs(context.runtime) },
      { name: 'eviction', everyMs: 10_000, run: () => eviction.check() },
      { name: 'local volumes', everyMs: 15_000, run: () => reclaimLocalPaths(context.client, context.paths) },
      { name: 'images', everyMs: 300_000, run: async () => void (await collector.collect()) },
    ];
    for (const chore of chores) this.#repeat(chore);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(this.#running);
  }

  #repeat(chore: Chore): void {
    const again = (): void => {
      if (this.#stopped) return;
      const timer = setTimeout(() => {
        const run = chore
          .run()
          .catch((err: unknown) => this.#options.context.logger.warn({ err, chore: chore.name }, 'housekeeping failed'))
          .finally(() => {
            this.#running.delete(run);
            this.#timers.splice(this.#timers.indexOf(timer), 1);
            again();
          });
        this.#running.add(run);
      }, chore.everyMs);
      timer.unref();
      this.#timers.push(timer);
    };
    again();
  }

  /** Directories of pods that neither the API nor the runtime knows any more. */
  async #removeRemains(): Promise<void> {
    const { context, workers, lifecycle } = this.#options;
    const known = (uid: string): boolean => workers.get(uid) !== undefined || lifecycle.pods.has(uid);
    for (const uid of await readdir(podsDirectory(context.paths)).catch(() => [])) {
      if (known(uid)) continue;
      await context.volumes.tearDown(uid);
      await rm(podDirectory(context.paths, uid), { recursive: true, force: true });
    }
    for (const directory of await readdir(context.paths.podLogs).catch(() => [])) {
      const uid = directory.split('_')[2];
      if (uid === undefined || known(uid)) continue;
      await rm(join(context.paths.podLogs, directory), { recursive: true, force: true });
    }
  }
}
