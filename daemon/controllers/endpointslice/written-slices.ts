import type { EndpointSlice } from '../../apimachinery/types/discovery-v1.ts';
import type { Lister } from '../../client/informer.ts';
import { joinKey } from '../object-key.ts';

/** After this long a write that never came back through the informer is no longer waited for. */
const patienceMs = 30_000;

interface Write {
  readonly name: string;
  readonly namespace: string | undefined;
  readonly resourceVersion: number;
  readonly deleted: boolean;
  readonly at: number;
}

/** The controller's own writes that its informer has not shown yet: planning on such a cache would write twice. */
export class WrittenSlices {
  readonly #writes = new Map<string, Map<string, Write>>();
  readonly #now: () => Date;

  constructor(now: () => Date) {
    this.#now = now;
  }

  wrote(serviceKey: string, slice: EndpointSlice, deleted = false): void {
    const { uid = '', name = '', namespace, resourceVersion } = slice.metadata;
    const writes = this.#writes.get(serviceKey) ?? new Map<string, Write>();
    this.#writes.set(serviceKey, writes);
    writes.set(uid, {
      name,
      namespace,
      resourceVersion: Number(resourceVersion),
      deleted,
      at: this.#now().getTime(),
    });
  }

  /** Somebody deleted it: it will not be shown. */
  gone(serviceKey: string, slice: EndpointSlice): void {
    this.#writes.get(serviceKey)?.delete(slice.metadata.uid ?? '');
  }

  forget(serviceKey: string): void {
    this.#writes.delete(serviceKey);
  }

  /** True when the cache shows every write for this service, or has had long enough to. */
  shownBy(lister: Lister<EndpointSlice>, serviceKey: string): boolean {
    const writes = this.#writes.get(serviceKey);
    if (writes === undefined) return true;
    for (const [uid, write] of writes) {
      const cached = lister.get(joinKey(write.namespace, write.name));
      const present = cached?.metadata.uid === uid;
      const shown = write.deleted
        ? !present
        : present && Number(cached.metadata.resourceVersion) >= write.resourceVersion;
      if (shown || this.#now().getTime() - write.at > patienceMs) writes.delete(uid);
    }
    return writes.size === 0;
  }
}
