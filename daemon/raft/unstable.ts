import { invariant } from './invariant.ts';
import type { Entry, Snapshot } from './message.ts';

/** The tail of the log that is not known to be on disk yet, and a received snapshot that is not applied yet. */
export class Unstable {
  snapshot: Snapshot | undefined;
  entries: Entry[] = [];
  /** The index of `entries[0]`, or of the entry that will be. */
  offset: number;

  constructor(offset: number) {
    this.offset = offset;
  }

  firstIndex(): number | undefined {
    return this.snapshot === undefined ? undefined : this.snapshot.metadata.index + 1;
  }

  lastIndex(): number | undefined {
    if (this.entries.length > 0) return this.offset + this.entries.length - 1;
    return this.snapshot?.metadata.index;
  }

  term(index: number): number | undefined {
    if (index >= this.offset) return this.entries[index - this.offset]?.term;
    return this.snapshot?.metadata.index === index ? this.snapshot.metadata.term : undefined;
  }

  /** Everything up to this entry is on disk, unless the tail has been replaced since it was handed out. */
  stableTo(index: number, term: number): void {
    if (index < this.offset || this.term(index) !== term) return;
    this.entries = this.entries.slice(index - this.offset + 1);
    this.offset = index + 1;
  }

  snapshotStableTo(index: number): void {
    if (this.snapshot?.metadata.index === index) this.snapshot = undefined;
  }

  restore(snapshot: Snapshot): void {
    this.offset = snapshot.metadata.index + 1;
    this.entries = [];
    this.snapshot = snapshot;
  }

  /** Appends, replacing what stands at the same indexes or after them. */
  append(entries: readonly Entry[]): void {
    const first = entries[0]!.index;
    if (first <= this.offset) {
      this.offset = first;
      this.entries = entries.slice();
      return;
    }
    invariant(first <= this.offset + this.entries.length, 'a log has no holes', { first, offset: this.offset });
    this.entries.length = first - this.offset;
    for (const entry of entries) this.entries.push(entry);
  }

  slice(low: number, high: number): readonly Entry[] {
    invariant(low >= this.offset && high <= this.offset + this.entries.length, 'a slice of the unstable log is in it', {
      low,
      high,
      offset: this.offset,
    });
    return this.entries.slice(low - this.offset, high - this.offset);
  }
}
