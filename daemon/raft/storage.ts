import { invariant } from './invariant.ts';
import {
  type ConfigState,
  type Entry,
  emptyConfig,
  emptyHardState,
  entryBytes,
  type HardState,
  type Snapshot,
} from './message.ts';

/** The stable part of a log, as the state machine reads it. Everything in it is on disk. */
export interface LogStorage {
  initialState(): { readonly hardState: HardState; readonly config: ConfigState };
  /** Index of the first entry that is still there: one past the snapshot's. */
  firstIndex(): number;
  lastIndex(): number;
  /** The term of an entry, or of the snapshot's last; undefined when it is compacted away or not there yet. */
  term(index: number): number | undefined;
  /** Entries in [low, high) cut to `maxBytes` (at least one); undefined when `low` is compacted away. */
  entries(low: number, high: number, maxBytes: number): readonly Entry[] | undefined;
  /** The newest snapshot to send to a follower; undefined while there is none to give. */
  snapshot(): Snapshot | undefined;
}

const emptySnapshot: Snapshot = { metadata: { index: 0, term: 0, config: emptyConfig }, data: new Uint8Array() };

/** A log in memory. The driver keeps one beside the disk log, so that reads of recent entries never touch the disk. */
export class MemoryStorage implements LogStorage {
  #hardState: HardState = emptyHardState;
  #snapshot: Snapshot = emptySnapshot;
  /** Where the entries begin: the last index compacted away and its term. */
  #offset = 0;
  #offsetTerm = 0;
  #entries: Entry[] = [];
  #config: ConfigState | undefined;
  readonly #takeSnapshot: (() => Snapshot | undefined) | undefined;

  /** `takeSnapshot`: gives the newest state whenever a follower needs one; without it, the last snapshot stored is given. */
  constructor(takeSnapshot?: () => Snapshot | undefined) {
    this.#takeSnapshot = takeSnapshot;
  }

  initialState(): { hardState: HardState; config: ConfigState } {
    return { hardState: this.#hardState, config: this.#config ?? this.#snapshot.metadata.config };
  }

  firstIndex(): number {
    return this.#offset + 1;
  }

  lastIndex(): number {
    return this.#offset + this.#entries.length;
  }

  term(index: number): number | undefined {
    if (index === this.#offset) return this.#offsetTerm;
    return this.#entries[index - this.#offset - 1]?.term;
  }

  entries(low: number, high: number, maxBytes: number): readonly Entry[] | undefined {
    if (low <= this.#offset) return undefined;
    invariant(high <= this.lastIndex() + 1, 'entries are read only up to the last', { low, high });
    const found: Entry[] = [];
    let bytes = 0;
    for (let index = low; index < high; index++) {
      const entry = this.#entries[index - this.#offset - 1]!;
      bytes += entryBytes(entry);
      if (bytes > maxBytes && found.length > 0) break;
      found.push(entry);
    }
    return found;
  }

  snapshot(): Snapshot | undefined {
    return this.#takeSnapshot === undefined ? this.#snapshot : this.#takeSnapshot();
  }

  /** Empty, to go on after an entry of this index and term. */
  reset(index: number, term: number): void {
    this.#offset = index;
    this.#offsetTerm = term;
    this.#entries = [];
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /** The membership at the point from which a restarted node goes on. */
  setConfig(config: ConfigState): void {
    this.#config = config;
  }

  /** Adds entries, replacing any that stand at the same indexes or after them. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const usable = entries[0]!.index <= this.#offset ? entries.filter((entry) => entry.index > this.#offset) : entries;
    if (usable.length === 0) return;
    const position = usable[0]!.index - this.#offset - 1;
    invariant(position <= this.#entries.length, 'a log has no holes', { first: usable[0]!.index });
    this.#entries.length = position;
    for (const entry of usable) this.#entries.push(entry);
  }

  /** Replaces everything by a snapshot. */
  applySnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#config = undefined;
    this.#offset = snapshot.metadata.index;
    this.#offsetTerm = snapshot.metadata.term;
    this.#entries = [];
  }

  /** Remembers a snapshot of the state at an index of this log, to give to followers. */
  createSnapshot(snapshot: Snapshot): void {
    invariant(snapshot.metadata.index <= this.lastIndex(), 'a snapshot is of entries there are', {});
    if (snapshot.metadata.index > this.#snapshot.metadata.index) this.#snapshot = snapshot;
  }

  /** Drops entries up to and including `index`. */
  compact(index: number): void {
    if (index <= this.#offset) return;
    const term = this.term(index);
    invariant(term !== undefined, 'only entries there are can be compacted', { index });
    this.#entries = this.#entries.slice(index - this.#offset);
    this.#offset = index;
    this.#offsetTerm = term!;
  }
}
