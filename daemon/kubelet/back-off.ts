interface Entry {
  delayMs: number;
  updatedAt: number;
}

/** Delays that double with each failure of a key, and start again after the key has been quiet for twice the longest. */
export class BackOff {
  readonly #initialMs: number;
  readonly #maxMs: number;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(initialMs: number, maxMs: number, now: () => number = Date.now) {
    this.#initialMs = initialMs;
    this.#maxMs = maxMs;
    this.#now = now;
  }

  /** The current delay of a key, in milliseconds; 0 for one that has not failed. */
  delay(key: string): number {
    return this.#entries.get(key)?.delayMs ?? 0;
  }

  /** The key failed (`at`: when, default now): its delay begins, or doubles. */
  next(key: string, at: number = this.#now()): void {
    const entry = this.#entries.get(key);
    const now = this.#now();
    if (entry === undefined || at - entry.updatedAt > 2 * this.#maxMs)
      this.#entries.set(key, { delayMs: this.#initialMs, updatedAt: now });
    else {
      entry.delayMs = Math.min(entry.delayMs * 2, this.#maxMs);
      entry.updatedAt = now;
    }
  }

  /** Milliseconds until the key may be tried again, counted from `since`; 0 when it may now. */
  remaining(key: string, since: number): number {
    const entry = this.#entries.get(key);
    if (entry === undefined) return 0;
    if (since - entry.updatedAt > 2 * this.#maxMs) return 0;
    return Math.max(0, since + entry.delayMs - this.#now());
  }

  /** Milliseconds until the key may be tried again, counted from its last failure. */
  remainingSinceFailure(key: string): number {
    const entry = this.#entries.get(key);
    return entry === undefined ? 0 : Math.max(0, entry.updatedAt + entry.delayMs - this.#now());
  }

  forget(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key);
  }
}
