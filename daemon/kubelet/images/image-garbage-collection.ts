import { statfs } from 'node:fs/promises';
import type { Logger } from '../../log/logger.ts';
import type { ContainerRuntime, Image } from '../runtime.ts';

export interface ImageGcPolicy {
  /** Percent of the image file system in use at which collection begins, and at which it ends. */
  readonly highThreshold: number;
  readonly lowThreshold: number;
  /** An image younger than this on the node is left alone. */
  readonly minimumAgeMs: number;
}

export const defaultImageGcPolicy: ImageGcPolicy = { highThreshold: 85, lowThreshold: 80, minimumAgeMs: 120_000 };

export interface DiskUsage {
  readonly capacity: number;
  readonly available: number;
}

export async function diskUsage(path: string): Promise<DiskUsage> {
  const { bsize, blocks, bavail } = await statfs(path);
  return { capacity: bsize * blocks, available: bsize * bavail };
}

interface ImageRecord {
  readonly firstSeen: number;
  lastUsed: number;
}

/** Frees space by removing images that no container uses, least recently used first; pinned ones stay. */
export class ImageGarbageCollector {
  readonly #runtime: ContainerRuntime;
  readonly #policy: ImageGcPolicy;
  readonly #usage: () => Promise<DiskUsage>;
  readonly #pinned: ReadonlySet<string>;
  readonly #logger: Logger;
  readonly #records = new Map<string, ImageRecord>();

  constructor(options: {
    runtime: ContainerRuntime;
    usage: () => Promise<DiskUsage>;
    /** Names that stay whatever the runtime says, such as the pause image's. */
    pinned: readonly string[];
    logger: Logger;
    policy?: ImageGcPolicy;
  }) {
    this.#runtime = options.runtime;
    this.#usage = options.usage;
    this.#pinned = new Set(options.pinned);
    this.#logger = options.logger;
    this.#policy = options.policy ?? defaultImageGcPolicy;
  }

  /** Notes which images are in use; called regularly so that ages are known when space runs out. */
  async observe(now: number = Date.now()): Promise<readonly Image[]> {
    const [images, containers] = await Promise.all([this.#runtime.listImages(), this.#runtime.listContainers()]);
    const used = new Set(containers.flatMap(({ imageRef, image }) => [imageRef, image?.image ?? '']));
    const present = new Set(images.map(({ id }) => id));
    for (const id of this.#records.keys()) if (!present.has(id)) this.#records.delete(id);
    return images.filter((image) => {
      const record = this.#records.get(image.id) ?? { firstSeen: now, lastUsed: 0 };
      this.#records.set(image.id, record);
      const names = [image.id, ...image.repoTags, ...image.repoDigests];
      const inUse = names.some((name) => used.has(name));
      if (inUse) record.lastUsed = now;
      return !inUse && !image.pinned && !names.some((name) => this.#pinned.has(name));
    });
  }

  /**
   * Removes images when the disk is fuller than the threshold, or `force` asks for all that can go (eviction does). Resolves
   * to the bytes freed and the bytes there were to free.
   */
  async collect(force = false, now: number = Date.now()): Promise<{ freed: number; wanted: number }> {
    const unused = await this.observe(now);
    const { capacity, available } = await this.#usage();
    const percent = capacity === 0 ? 0 : 100 - Math.floor((available * 100) / capacity);
    if (!force && percent < this.#policy.highThreshold) return { freed: 0, wanted: 0 };
    const wanted = force
      ? Number.POSITIVE_INFINITY
      : Math.floor((capacity * (100 - this.#policy.lowThreshold)) / 100) - available;
    const record = (image: Image): ImageRecord => this.#records.get(image.id) ?? { firstSeen: now, lastUsed: now };
    const candidates = [...unused].sort(
      (a, b) => record(a).lastUsed - record(b).lastUsed || record(a).firstSeen - record(b).firstSeen,
    );
    let freed = 0;
    for (const image of candidates) {
      if (freed >= wanted) break;
      if (now - record(image).firstSeen < this.#policy.minimumAgeMs) continue;
      await this.#runtime.removeImage(image.id);
      this.#logger.info({ image: image.repoTags[0] ?? image.id, bytes: Number(image.size) }, 'removed an unused image');
      freed += Number(image.size);
    }
    return { freed, wanted: Number.isFinite(wanted) ? wanted : freed };
  }
}
