import type { ConfigState, Entry, HardState, Snapshot } from './message.ts';
import { entryBytes } from './message.ts';
import { type LogStorage, MemoryStorage } from './storage.ts';

/** An entry as the disk holds it; type 0 is an ordinary one. */
export interface DiskEntry {
  readonly index: number;
  readonly term: number;
  readonly type: number;
  readonly data: Uint8Array;
}

/** The part of a disk log that Raft reads. */
export interface DiskLogReader {
  readLog(from: number, to: number, maxBytes?: number): DiskEntry[];
  logTerm(index: number): number | undefined;
}

const configChangeType = 1;

export function toDisk(entries: readonly Entry[]): DiskEntry[] {
  return entries.map(({ index, term, type, data }) => ({
    index,
    term,
    type: type === 'configChange' ? configChangeType : 0,
    data,
  }));
}

export function fromDisk(entries: readonly DiskEntry[]): Entry[] {
  return entries.map(({ index, term, type, data }) => ({
    index,
    term,
    type: type === configChangeType ? 'configChange' : 'normal',
    data,
  }));
}

/** Bytes of recent entries kept in memory, so that the ordinary follower never costs a disk read. */
const cachedBytes = 8 * 1024 * 1024;

/** The stable log: on disk, with its tail also in memory. */
export class DiskLog implements LogStorage {
  readonly #disk: DiskLogReader;
  readonly #tail: MemoryStorage;
  #tailBytes = 0;
  #first: number;
  #hardState: HardState;
  #config: ConfigState;
  readonly #takeSnapshot: () => Snapshot | undefined;

  constructor(
    disk: DiskLogReader,
    state: {
      readonly firstIndex: number;
      readonly lastIndex: number;
      readonly lastTerm: number;
      readonly hardState: HardState;
      readonly config: ConfigState;
    },
    takeSnapshot: () => Snapshot | undefined,
  ) {
    this.#disk = disk;
    this.#first = state.firstIndex;
    this.#hardState = state.hardState;
    this.#config = state.config;
    this.#takeSnapshot = takeSnapshot;
    // What was written before this start is read from disk when it is needed.
    this.#tail = new MemoryStorage();
    this.#tail.reset(state.lastIndex, state.lastTerm);
  }

  initialState(): { hardState: HardState; config: ConfigState } {
    return { hardState: this.#hardState, config: this.#config };
  }

  firstIndex(): number {
    return this.#first;
  }

  lastIndex(): number {
    return this.#tail.lastIndex();
  }

  term(index: number): number | undefined {
    if (index < this.#first - 1 || index > this.lastIndex()) return undefined;
    return this.#tail.term(index) ?? this.#disk.logTerm(index);
  }

  entries(low: number, high: number, maxBytes: number): readonly Entry[] | undefined {
    if (low < this.#first) return undefined;
    return this.#tail.entries(low, high, maxBytes) ?? fromDisk(this.#disk.readLog(low, high, maxBytes));
  }

  snapshot(): Snapshot | undefined {
    return this.#takeSnapshot();
  }

  /** Entries that are on disk now. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    if (first.index < this.#tail.firstIndex()) {
      // Replaces entries from before this start.
      this.#tail.reset(first.index - 1, this.#disk.logTerm(first.index - 1) ?? 0);
      this.#tailBytes = 0;
    }
    this.#tail.append(entries);
    for (const entry of entries) this.#tailBytes += entryBytes(entry);
    if (this.#tailBytes > cachedBytes) this.#forget();
  }

  #forget(): void {
    const first = this.#tail.firstIndex();
    const middle = first + Math.floor((this.#tail.lastIndex() - first) / 2);
    this.#tail.compact(middle);
    const left = this.#tail.entries(middle + 1, this.#tail.lastIndex() + 1, Number.MAX_SAFE_INTEGER) ?? [];
    this.#tailBytes = left.reduce((bytes, entry) => bytes + entryBytes(entry), 0);
  }

  /** The disk no longer has the entries up to `index`. */
  compacted(index: number): void {
    this.#first = Math.max(this.#first, index + 1);
  }

  /** The disk log starts anew, after a snapshot that ends here. */
  restarted(index: number, term: number): void {
    this.#first = index + 1;
    this.#tail.reset(index, term);
    this.#tailBytes = 0;
  }
}
