import { invariant } from './invariant.ts';
import { type Entry, limitBytes, type Snapshot } from './message.ts';
import type { LogStorage } from './storage.ts';
import { Unstable } from './unstable.ts';

/**
 * A member's log: compacted | stable (on disk) | unstable (in memory). `applied <= committed <= lastIndex`, always; only
 * stable entries are handed out to be applied.
 */
export class RaftLog {
  readonly #storage: LogStorage;
  readonly unstable: Unstable;
  committed: number;
  applied: number;

  constructor(storage: LogStorage) {
    this.#storage = storage;
    this.unstable = new Unstable(storage.lastIndex() + 1);
    this.committed = storage.firstIndex() - 1;
    this.applied = this.committed;
  }

  firstIndex(): number {
    return this.unstable.firstIndex() ?? this.#storage.firstIndex();
  }

  lastIndex(): number {
    return this.unstable.lastIndex() ?? this.#storage.lastIndex();
  }

  lastTerm(): number {
    const term = this.term(this.lastIndex());
    invariant(term !== undefined, 'the last entry has a term', { last: this.lastIndex() });
    return term!;
  }

  /** The term of an entry; undefined when it is compacted away or beyond the end. */
  term(index: number): number | undefined {
    const unstable = this.unstable.term(index);
    if (unstable !== undefined) return unstable;
    if (index >= this.unstable.offset || index < this.firstIndex() - 1) return undefined;
    return this.#storage.term(index);
  }

  matchTerm(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Whether a log that ends so holds at least what this one holds: the rule for granting a vote. */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    const term = this.lastTerm();
    return lastTerm > term || (lastTerm === term && lastIndex >= this.lastIndex());
  }

  /** Entries from `low` on, cut to `maxBytes`; undefined when they are compacted away. */
  entries(low: number, maxBytes: number): readonly Entry[] | undefined {
    return low > this.lastIndex() ? [] : this.slice(low, this.lastIndex() + 1, maxBytes);
  }

  slice(low: number, high: number, maxBytes: number): readonly Entry[] | undefined {
    if (low < this.firstIndex()) return undefined;
    invariant(high <= this.lastIndex() + 1, 'a slice of the log is in it', { low, high, last: this.lastIndex() });
    if (low >= high) return [];
    const { offset } = this.unstable;
    if (low >= offset) return limitBytes(this.unstable.slice(low, high), maxBytes);
    const stableEnd = Math.min(high, offset);
    const stable = this.#storage.entries(low, stableEnd, maxBytes);
    if (stable === undefined || high <= offset || stable.length < stableEnd - low) return stable;
    return limitBytes([...stable, ...this.unstable.slice(offset, high)], maxBytes);
  }

  /** A leader's append: adds the entries after (`index`, `term`). Undefined when the log does not hold that entry. */
  maybeAppend(index: number, term: number, committed: number, entries: readonly Entry[]): number | undefined {
    if (!this.matchTerm(index, term)) return undefined;
    const last = index + entries.length;
    const conflict = this.findConflict(entries);
    if (conflict !== 0) {
      invariant(conflict > this.committed, 'a committed entry is never replaced', {
        conflict,
        committed: this.committed,
      });
      this.append(entries.slice(conflict - index - 1));
    }
    this.commitTo(Math.min(committed, last));
    return last;
  }

  append(entries: readonly Entry[]): number {
    if (entries.length === 0) return this.lastIndex();
    const after = entries[0]!.index - 1;
    invariant(after >= this.committed, 'a committed entry is never replaced', { after, committed: this.committed });
    this.unstable.append(entries);
    return this.lastIndex();
  }

  /** The first index at which `entries` differ from the log; 0 when the log holds all of them. */
  findConflict(entries: readonly Entry[]): number {
    for (const entry of entries) if (!this.matchTerm(entry.index, entry.term)) return entry.index;
    return 0;
  }

  /** The highest index up to `index` whose term is at most `term`: where two logs that differ may still agree. */
  findConflictByTerm(index: number, term: number): { index: number; term: number } {
    for (let at = index; at > 0; at--) {
      const own = this.term(at);
      if (own === undefined) return { index: at, term: 0 };
      if (own <= term) return { index: at, term: own };
    }
    return { index: 0, term: 0 };
  }

  commitTo(index: number): void {
    if (index <= this.committed) return;
    invariant(index <= this.lastIndex(), 'only an entry that is there is committed', { index, last: this.lastIndex() });
    this.committed = index;
  }

  /** Commits up to `index` if its entry is of this term: an older term's entry is committed only along with a newer one. */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.committed || term === 0 || !this.matchTerm(index, term)) return false;
    this.commitTo(index);
    return true;
  }

  appliedTo(index: number): void {
    if (index === 0) return;
    invariant(index >= this.applied && index <= this.committed, 'only committed entries are applied, in order', {
      index,
      applied: this.applied,
      committed: this.committed,
    });
    this.applied = index;
  }

  /** Committed entries that are on disk and not applied yet, cut to `maxBytes`. None while a snapshot waits to be applied. */
  nextCommitted(maxBytes: number): readonly Entry[] {
    if (this.unstable.snapshot !== undefined) return [];
    const end = Math.min(this.committed + 1, this.unstable.offset);
    if (this.applied + 1 >= end) return [];
    const entries = this.slice(this.applied + 1, end, maxBytes);
    invariant(entries !== undefined, 'entries are not compacted before they are applied', { applied: this.applied });
    return entries!;
  }

  hasNextCommitted(): boolean {
    return this.unstable.snapshot === undefined && this.applied < Math.min(this.committed, this.unstable.offset - 1);
  }

  snapshot(): Snapshot | undefined {
    return this.unstable.snapshot ?? this.#storage.snapshot();
  }

  restore(snapshot: Snapshot): void {
    this.committed = snapshot.metadata.index;
    this.unstable.restore(snapshot);
  }
}
