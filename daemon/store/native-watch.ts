import { KeyValueTable, keyValueRow } from './native-packing.ts';
import { type KeyValue, StoreError, type WatchEvent, type WatchRequest } from './store.ts';
import { storeError } from './store-error-table.ts';

/** An event shared by all watchers it matched; the encoded forms are for passing it on as it is. */
export interface NativeWatchEvent extends WatchEvent {
  /** `kv` as an encoded `mvccpb.KeyValue`. */
  readonly encodedKv: Buffer;
  readonly encodedPrevKv: Buffer | undefined;
}

/** Where a watcher's deliveries go; the contract of `WatchHandler`. */
export interface WatchSink {
  onEvents(events: readonly NativeWatchEvent[], revision: number): void;
  onProgress?(revision: number): void;
  onCancel(reason: StoreError | undefined, compactRevision?: number): void;
}

/** The addon's own face of a hub. */
export interface RawWatchHub {
  /** Returns the watcher's id; `revision()` tells the store's revision at that moment. */
  watch(
    key: Uint8Array,
    rangeEnd: Uint8Array | undefined,
    startRevision: number,
    flags: number,
  ): { id: number; revision: number };
  cancel(id: number): void;
  pause(id: number): void;
  resume(id: number): void;
  requestProgress(id: number): void;
  drain(): ArrayBuffer | undefined;
  close(): void;
}

const prevKvFlag = 1;
const noPutFlag = 2;
const noDeleteFlag = 4;

const kinds = { events: 0, progress: 1, compacted: 2, failed: 3 } as const;
const headerBytes = 32;
const deliveryBytes = 32;
const none = 0xffffffff;

class SharedEvent implements NativeWatchEvent {
  readonly type: 'put' | 'delete';
  readonly #table: KeyValueTable;
  readonly #row: number;
  readonly #prev: number;
  #kv: KeyValue | undefined;
  #prevKv: KeyValue | undefined;

  constructor(table: KeyValueTable, row: number, withPrev: boolean) {
    this.#table = table;
    this.#row = row;
    this.type = table.word(row, 14) === 0 ? 'put' : 'delete';
    this.#prev = withPrev ? table.word(row, 15) : none;
  }

  get kv(): KeyValue {
    this.#kv ??= this.#table.keyValue(this.#row);
    return this.#kv;
  }

  get prevKv(): KeyValue | undefined {
    if (this.#prev === none) return undefined;
    this.#prevKv ??= this.#table.keyValue(this.#prev);
    return this.#prevKv;
  }

  get encodedKv(): Buffer {
    return this.#table.encoded(this.#row);
  }

  get encodedPrevKv(): Buffer | undefined {
    return this.#prev === none ? undefined : this.#table.encoded(this.#prev);
  }
}

/**
 * All watchers of one thread: the store wakes the thread once for whatever has gathered, and one call fetches it. A hub alone does not
 * keep its process up.
 *
 * A watcher that cannot take more is paused: it then costs nothing, and on `resume` is caught up from history (or cancelled, when that
 * has been compacted meanwhile).
 */
export class NativeWatchHub {
  readonly #raw: RawWatchHub;
  readonly #sinks = new Map<number, WatchSink>();
  #closed = false;

  constructor(create: (onReady: () => void) => RawWatchHub) {
    this.#raw = create(() => this.#drain());
  }

  /**
   * Registers a watcher. `revision` is the store's at that moment: without `startRevision`, everything after it is delivered.
   * Nothing is delivered before this returns.
   */
  watch(request: WatchRequest, sink: WatchSink): { id: number; revision: number } {
    if (this.#closed) throw storeError('unavailable');
    let flags = request.prevKv ? prevKvFlag : 0;
    for (const filter of request.filters ?? []) flags |= filter === 'noput' ? noPutFlag : noDeleteFlag;
    const watcher = this.#raw.watch(request.key, request.rangeEnd, request.startRevision ?? 0, flags);
    this.#sinks.set(watcher.id, sink);
    return watcher;
  }

  /** Nothing is delivered to it after this returns, and `onCancel` is not called. */
  cancel(id: number): void {
    if (this.#sinks.delete(id) && !this.#closed) this.#raw.cancel(id);
  }

  /** Nothing more is gathered for it; what was gathered before is still delivered. */
  pause(id: number): void {
    if (!this.#closed) this.#raw.pause(id);
  }

  resume(id: number): void {
    if (!this.#closed) this.#raw.resume(id);
  }

  /** `onProgress` will be called after everything up to the store's revision has been delivered. */
  requestProgress(id: number): void {
    if (!this.#closed) this.#raw.requestProgress(id);
  }

  /** Ends all its watchers, without calling them. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sinks.clear();
    this.#raw.close();
  }

  #drain(): void {
    if (this.#closed) return;
    const buffer = this.#raw.drain();
    if (buffer === undefined) return;
    // The hub wakes this thread again by itself when more is left, so other work gets its turn in between.
    this.#deliver(buffer);
  }

  #deliver(buffer: ArrayBuffer): void {
    const view = new DataView(buffer);
    const rows = view.getUint32(0, true);
    const deliveries = view.getUint32(4, true);
    const table = new KeyValueTable(buffer, headerBytes);
    const plain = new Array<SharedEvent | undefined>(rows);
    const withPrev = new Array<SharedEvent | undefined>(rows);
    const deliveriesAt = headerBytes + rows * keyValueRow;
    const referencesAt = deliveriesAt + deliveries * deliveryBytes;
    for (let n = 0; n < deliveries; n++) {
      const at = deliveriesAt + n * deliveryBytes;
      const sink = this.#sinks.get(view.getUint32(at, true));
      // Cancelled while this was on its way.
      if (sink === undefined) continue;
      const kindAndFlags = view.getUint32(at + 4, true);
      const kind = kindAndFlags & 0xff;
      const revision = view.getFloat64(at + 16, true);
      if (kind === kinds.events) {
        const wantsPrev = (kindAndFlags & 0x100) !== 0;
        const cache = wantsPrev ? withPrev : plain;
        const first = view.getUint32(at + 8, true);
        const count = view.getUint32(at + 12, true);
        const events = new Array<SharedEvent>(count);
        for (let i = 0; i < count; i++) {
          const row = view.getUint32(referencesAt + (first + i) * 4, true);
          cache[row] ??= new SharedEvent(table, row, wantsPrev);
          events[i] = cache[row];
        }
        sink.onEvents(events, revision);
      } else if (kind === kinds.progress) {
        sink.onProgress?.(revision);
      } else {
        this.#sinks.delete(view.getUint32(at, true));
        if (kind === kinds.compacted) sink.onCancel(storeError('compacted'), view.getFloat64(at + 24, true));
        else sink.onCancel(new StoreError('corrupt', 'the store failed while reading history'));
      }
      if (this.#closed) return;
    }
  }
}
