/** Decides when history may go: everything older than `retention` seconds, as etcd's periodic auto-compaction does. */
export class AutoCompaction {
  readonly #retention: number;
  readonly #seen: { readonly at: number; readonly revision: number }[] = [];
  #compacted = 0;

  constructor(retentionSeconds: number) {
    this.#retention = retentionSeconds * 1000;
  }

  /** Milliseconds between two calls of `observe`: a tenth of the retention, and no more than an hour's. */
  get interval(): number {
    return Math.min(this.#retention, 3_600_000) / 10;
  }

  /** Remembers the revision of this moment; the revision to compact at now, if any. */
  observe(now: number, revision: number): number | undefined {
    this.#seen.push({ at: now, revision });
    let due: number | undefined;
    while (this.#seen.length > 0 && now - this.#seen[0]!.at >= this.#retention) due = this.#seen.shift()!.revision;
    if (due === undefined || due <= this.#compacted) return undefined;
    this.#compacted = due;
    return due;
  }
}
