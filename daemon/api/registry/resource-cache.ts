import type { ResourceRow } from '../resources/resource-row.ts';
import type { StoredObject } from './stored-object.ts';

/** One change of one object, as the history keeps it and watchers are told of it. */
export interface CacheEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** For a deletion: the last state, at the revision of the deletion. */
  readonly object: StoredObject;
  readonly previous?: StoredObject;
  readonly revision: number;
  readonly time: number;
}

export type CacheListener = (events: readonly CacheEvent[]) => void;

/** History younger than this is kept while there are no more than `maxHistory` events; `minHistory` are kept always. */
const freshMs = 75_000;
const minHistory = 1024;
const maxHistory = 50_000;

/**
 * Every object of one stored resource in memory, in key order, with the recent changes: what reads, lists and watches
 * are answered from. Fed by the `CacheHub`.
 */
export class ResourceCache {
  readonly row: ResourceRow;
  readonly #byKey = new Map<string, StoredObject>();
  /** All objects in key order. */
  #sorted: StoredObject[] = [];
  #history: CacheEvent[] = [];
  #historyStart = 0;
  /** Every change after this revision is in the history. */
  #historyFloor = 0;
  readonly #listeners = new Set<CacheListener>();
  readonly #resetListeners = new Set<() => void>();
  /** Bumped by each change: memoised list bodies hold as long as it stands. */
  generation = 0;

  constructor(row: ResourceRow) {
    this.row = row;
  }

  get size(): number {
    return this.#sorted.length;
  }

  /** The first revision that a watch can no longer start before. */
  get historyFloor(): number {
    return this.#historyFloor;
  }

  /** Revision of the last change: what is here is also the state at every later revision the hub has seen. */
  get lastRevision(): number {
    return this.#history[this.#history.length - 1]?.revision ?? this.#historyFloor;
  }

  get(key: string): StoredObject | undefined {
    return this.#byKey.get(key);
  }

  /** Objects in key order, all or of one namespace. The array is a copy for the caller. */
  list(namespace: string): StoredObject[] {
    if (namespace === '') return this.#sorted.slice();
    const from = this.#position(`${namespace}/`);
    const to = this.#position(`${namespace}0`); // '0' follows '/'
    return this.#sorted.slice(from, to);
  }

  /** Changes after `revision` in order, or undefined when the history does not reach back that far. */
  since(revision: number): CacheEvent[] | undefined {
    if (revision < this.#historyFloor) return undefined;
    let low = this.#historyStart;
    let high = this.#history.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#history[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#history.slice(low);
  }

  subscribe(listener: CacheListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** `listener` runs when the cache was loaded anew and events may have been missed: watches must end. */
  onReset(listener: () => void): () => void {
    this.#resetListeners.add(listener);
    return () => this.#resetListeners.delete(listener);
  }

  get watcherCount(): number {
    return this.#listeners.size;
  }

  /** Replaces everything by what the store held at `revision`; `objects` in key order. */
  load(objects: StoredObject[], revision: number): void {
    this.#byKey.clear();
    for (const object of objects) this.#byKey.set(object.key, object);
    this.#sorted = objects;
    this.#history = [];
    this.#historyStart = 0;
    this.#historyFloor = revision;
    this.generation++;
    for (const listener of [...this.#resetListeners]) listener();
  }

  /** Applies changes (of whole revisions, in order) and tells the listeners. `object` undefined: deleted. */
  apply(changes: readonly { key: string; revision: number; object: StoredObject | undefined }[], now: number): void {
    const events: CacheEvent[] = [];
    for (const { key, revision, object } of changes) {
      const previous = this.#byKey.get(key);
      if (object !== undefined) {
        this.#put(object, previous);
        events.push({ type: previous === undefined ? 'ADDED' : 'MODIFIED', object, previous, revision, time: now });
      } else if (previous !== undefined) {
        this.#remove(key);
        events.push({ type: 'DELETED', object: previous.withRevision(revision), previous, revision, time: now });
      }
    }
    if (events.length === 0) return;
    this.generation++;
    for (const event of events) this.#history.push(event);
    this.#trim(now);
    for (const listener of [...this.#listeners]) listener(events);
  }

  #put(object: StoredObject, previous: StoredObject | undefined): void {
    this.#byKey.set(object.key, object);
    const last = this.#sorted[this.#sorted.length - 1];
    if (last === undefined || last.key < object.key) {
      this.#sorted.push(object);
      return;
    }
    const position = this.#position(object.key);
    if (previous === undefined) this.#sorted.splice(position, 0, object);
    else this.#sorted[position] = object;
  }

  #remove(key: string): void {
    this.#byKey.delete(key);
    this.#sorted.splice(this.#position(key), 1);
  }

  /** Index of the first object whose key is not below `key`. */
  #position(key: string): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sorted[middle]!.key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #trim(now: number): void {
    for (;;) {
      const length = this.#history.length - this.#historyStart;
      if (length <= minHistory) break;
      const oldest = this.#history[this.#historyStart]!;
      if (length <= maxHistory && oldest.time > now - freshMs) break;
      // Never between two changes of one revision.
      const revision = oldest.revision;
      while (this.#history[this.#historyStart]?.revision === revision) this.#historyStart++;
      this.#historyFloor = revision;
    }
    if (this.#historyStart > 4096 && this.#historyStart * 2 > this.#history.length) {
      this.#history = this.#history.slice(this.#historyStart);
      this.#historyStart = 0;
    }
  }
}
