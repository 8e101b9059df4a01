import type { Logger } from '../../log/logger.ts';
import type { KeyValue, Store, StoreError, WatchEvent, Watcher } from '../../store/store.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { noSuchResource } from '../status-errors.ts';
import { ResourceCache } from './resource-cache.ts';
import { StoredObject } from './stored-object.ts';

export const registryPrefix = '/registry/';
const registryKey = Buffer.from(registryPrefix);
const registryEnd = Buffer.from('/registry0');
const pageSize = 1000;
const reloadDelayMs = 200;

/** How long a new cache waits for the watch to reach what it has read. */
const joinTimeoutMs = 10_000;

/** A change of a resource whose cache is not there yet. */
interface CacheChange {
  readonly key: string;
  readonly revision: number;
  /** Undefined: deleted. */
  readonly kv: KeyValue | undefined;
}

function decodeChange(row: ResourceRow, key: string, kv: KeyValue | undefined): StoredObject | undefined {
  return kv === undefined ? undefined : decodeKeyValue(row, key, kv);
}

/** Key of an object in the store, as Kubernetes lays them out. */
export function storeKey(row: ResourceRow, key: string): Buffer {
  return Buffer.from(`${registryPrefix}${row.storage}/${key}`);
}

/**
 * Feeds the caches of all resources from one watch of the whole registry: one revision says how far all of them are, so
 * a read that must be fresh waits for nothing when only other resources changed.
 */
export class CacheHub {
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #byStorage = new Map<string, ResourceCache>();
  /** Caches that are being filled while the server runs, with the changes seen meanwhile. */
  readonly #joining = new Map<string, CacheChange[]>();
  #loads = 0;
  #watcher: Watcher | undefined;
  #revision = 0;
  #stopped = false;
  #loaded = false;
  #reloadTimer: NodeJS.Timeout | undefined;
  readonly #waiters: { readonly revision: number; readonly resolve: () => void }[] = [];
  readonly #revisionListeners = new Set<(revision: number) => void>();
  /** Objects this process has just written: saves decoding them when the store reports them. */
  readonly #written = new Map<string, StoredObject>();

  constructor(store: Store, rows: readonly ResourceRow[], logger: Logger) {
    this.#store = store;
    this.#logger = logger;
    for (const row of rows) {
      if (row.stored !== undefined) continue;
      if (this.#byStorage.has(row.storage)) throw new Error(`two resources are stored as ${row.storage}`);
      this.#byStorage.set(row.storage, new ResourceCache(row));
    }
  }

  /** Everything up to this revision of the store is in the caches. */
  get revision(): number {
    return this.#revision;
  }

  get ready(): boolean {
    return this.#loaded;
  }

  /** The cache that serves `row`, which may be another version of the stored kind. */
  cacheOf(row: ResourceRow): ResourceCache {
    const cache = this.#byStorage.get(row.storage);
    // A custom resource may be withdrawn while a request for it is under way.
    if (cache === undefined) throw noSuchResource();
    return cache;
  }

  /**
   * Adds the cache of a resource that is served from now on, in place of one that its storage may have had: watches of
   * that one end. `install` runs at the moment the cache is there.
   */
  async addRow(row: ResourceRow, install: () => void): Promise<void> {
    const { storage } = row;
    for (;;) {
      const changes: CacheChange[] = [];
      this.#joining.set(storage, changes);
      const loads = this.#loads;
      const { objects, revision } = await this.#readAll(row);
      await this.waitFor(revision, joinTimeoutMs);
      if (this.#stopped) return;
      if (this.#loads !== loads || this.#revision < revision || this.#joining.get(storage) !== changes) continue;
      this.#joining.delete(storage);
      const cache = new ResourceCache(row);
      cache.load(objects, revision);
      const later = changes.filter((change) => change.revision > revision);
      cache.apply(
        later.map(({ key, revision: at, kv }) => ({ key, revision: at, object: decodeChange(row, key, kv) })),
        Date.now(),
      );
      const before = this.#byStorage.get(storage);
      this.#byStorage.set(storage, cache);
      install();
      before?.load([], this.#revision);
      return;
    }
  }

  /** Ends the watches of a resource and forgets its objects. */
  removeRow(storage: string): void {
    this.#joining.delete(storage);
    const cache = this.#byStorage.get(storage);
    this.#byStorage.delete(storage);
    cache?.load([], this.#revision);
  }

  async #readAll(row: ResourceRow): Promise<{ objects: StoredObject[]; revision: number }> {
    const prefix = storeKey(row, '');
    const rangeEnd = Buffer.from(`${prefix.toString().slice(0, -1)}0`);
    const objects: StoredObject[] = [];
    let revision = 0;
    let key: Buffer = prefix;
    for (;;) {
      const page = await this.#store.range({ key, rangeEnd, limit: pageSize, revision });
      if (revision === 0) revision = page.revision;
      for (const kv of page.kvs) objects.push(decodeKeyValue(row, kv.key.toString('latin1', prefix.length), kv));
      const last = page.kvs[page.kvs.length - 1];
      if (!page.more || last === undefined) return { objects, revision };
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
  }

  async start(): Promise<void> {
    await this.#load();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#reloadTimer);
    this.#watcher?.cancel();
  }

  onRevision(listener: (revision: number) => void): () => void {
    this.#revisionListeners.add(listener);
    return () => this.#revisionListeners.delete(listener);
  }

  /** Resolves true once the caches have seen `revision`, false after `timeoutMs`. */
  waitFor(revision: number, timeoutMs: number): Promise<boolean> | true {
    if (this.#revision >= revision && this.#loaded) return true;
    this.#watcher?.requestProgress();
    return new Promise((resolve) => {
      const waiter = {
        revision,
        resolve: () => {
          clearTimeout(timer);
          resolve(true);
        },
      };
      const timer = setTimeout(() => {
        const index = this.#waiters.indexOf(waiter);
        if (index !== -1) this.#waiters.splice(index, 1);
        resolve(false);
      }, timeoutMs);
      this.#waiters.push(waiter);
    });
  }

  /** Tells the hub of an object that a write here has made, before the store's watch reports it. */
  wrote(object: StoredObject): void {
    if (object.revision <= this.#revision) return;
    this.#written.set(`${object.row.storage}/${object.key}`, object);
  }

  async #load(): Promise<void> {
    const byCache = new Map<ResourceCache, StoredObject[]>();
    for (const cache of this.#byStorage.values()) byCache.set(cache, []);
    let revision = 0;
    let key: Buffer = registryKey;
    for (;;) {
      const page = await this.#store.range({ key, rangeEnd: registryEnd, limit: pageSize, revision });
      if (revision === 0) revision = page.revision;
      for (const kv of page.kvs) {
        const place = this.#place(kv.key);
        if (place === undefined || !this.#isObject(kv)) continue;
        byCache.get(place.cache)!.push(decodeKeyValue(place.cache.row, place.key, kv));
      }
      const last = page.kvs[page.kvs.length - 1];
      if (!page.more || last === undefined) break;
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
    this.#written.clear();
    this.#loads++;
    this.#revision = revision;
    for (const [cache, objects] of byCache) cache.load(objects, revision);
    this.#watcher = await this.#store.watch(
      { key: registryKey, rangeEnd: registryEnd, startRevision: revision + 1, progressNotify: true },
      {
        onEvents: (events, seen) => this.#onEvents(events, seen),
        onProgress: (seen) => this.#advance(seen),
        onCancel: (reason) => this.#onCancel(reason),
      },
    );
    this.#loaded = true;
    this.#advance(revision);
  }

  #onEvents(events: readonly WatchEvent[], seen: number): void {
    const changes = new Map<ResourceCache, { key: string; revision: number; object: StoredObject | undefined }[]>();
    for (const event of events) {
      if (this.#joining.size > 0) this.#noteJoining(event);
      const place = this.#place(event.kv.key);
      if (place === undefined) continue;
      let list = changes.get(place.cache);
      if (list === undefined) {
        list = [];
        changes.set(place.cache, list);
      }
      const revision = event.kv.modRevision;
      const gone = event.type === 'delete' || !this.#isObject(event.kv);
      const object = gone ? undefined : this.#decode(place.cache.row, place.key, event.kv);
      list.push({ key: place.key, revision, object });
    }
    const now = Date.now();
    this.#revision = Math.max(this.#revision, seen);
    for (const [cache, list] of changes) cache.apply(list, now);
    this.#advance(seen);
  }

  #noteJoining(event: WatchEvent): void {
    const text = event.kv.key.toString('latin1', registryPrefix.length);
    for (const [storage, changes] of this.#joining) {
      if (!text.startsWith(`${storage}/`)) continue;
      const key = text.slice(storage.length + 1);
      changes.push({ key, revision: event.kv.modRevision, kv: event.type === 'delete' ? undefined : event.kv });
    }
  }

  /** Whatever someone puts under the registry by hand must not bring down who reads it. */
  #isObject({ key, value }: KeyValue): boolean {
    if (value[0] === 0x7b && value[value.length - 1] === 0x7d) return true;
    this.#logger.error({ key: key.toString() }, 'the store holds something that is no object; it is left out');
    return false;
  }

  #decode(row: ResourceRow, key: string, kv: KeyValue): StoredObject {
    const written = this.#written.get(`${row.storage}/${key}`);
    if (written !== undefined && written.revision <= kv.modRevision) {
      this.#written.delete(`${row.storage}/${key}`);
      if (written.revision === kv.modRevision && written.row === row) return written;
    }
    return decodeKeyValue(row, key, kv);
  }

  #advance(revision: number): void {
    if (revision > this.#revision) this.#revision = revision;
    for (let i = this.#waiters.length - 1; i >= 0; i--) {
      const waiter = this.#waiters[i]!;
      if (waiter.revision <= this.#revision) {
        this.#waiters.splice(i, 1);
        waiter.resolve();
      }
    }
    for (const listener of this.#revisionListeners) listener(this.#revision);
  }

  #onCancel(reason: StoreError | undefined): void {
    this.#watcher = undefined;
    if (this.#stopped) return;
    this.#loaded = false;
    this.#logger.warn({ err: reason }, 'the watch of the store ended; loading the caches again');
    this.#scheduleReload(0);
  }

  #scheduleReload(delayMs: number): void {
    this.#reloadTimer = setTimeout(() => {
      if (this.#stopped) return;
      this.#load().catch((error: unknown) => {
        this.#logger.error({ err: error }, 'cannot load the caches from the store; trying again');
        this.#scheduleReload(Math.min(5000, Math.max(reloadDelayMs, delayMs * 2)));
      });
    }, delayMs);
  }

  /** Which cache a store key belongs to: `pods/ns/name`, `services/specs/ns/name`, `example.com/widgets/ns/name`. */
  #place(storeKeyBytes: Buffer): { cache: ResourceCache; key: string } | undefined {
    const text = storeKeyBytes.toString('latin1', registryPrefix.length);
    const first = text.indexOf('/');
    if (first === -1) return undefined;
    const second = text.indexOf('/', first + 1);
    if (second !== -1) {
      const cache = this.#byStorage.get(text.slice(0, second));
      if (cache !== undefined) return { cache, key: text.slice(second + 1) };
    }
    const cache = this.#byStorage.get(text.slice(0, first));
    return cache === undefined ? undefined : { cache, key: text.slice(first + 1) };
  }
}

export function decodeKeyValue(row: ResourceRow, key: string, kv: KeyValue): StoredObject {
  return new StoredObject(row, key, kv.modRevision, kv.value);
}
