/**
 * A queue of keys with client-go's guarantees: a key is handled by one worker at a time, a key added while it is handled
 * is handled once more afterwards, and many additions before it is handled count as one.
 */
export interface WorkQueue {
  add(key: string): void;
  addAfter(key: string, delayMs: number): void;
  /** Adds after an exponential delay (5 ms to 1000 s) that grows with each failure of this key. */
  addRateLimited(key: string): void;
  /** The key succeeded: its delay starts from the beginning again. */
  forget(key: string): void;
  failures(key: string): number;
  readonly length: number;
  /** Runs `reconcile` for each key on up to `workers` keys at a time; an error adds the key again, rate-limited. */
  run(reconcile: (key: string) => Promise<void>, workers: number): void;
  /** Takes no more keys and resolves when the running ones are done. */
  shutDown(): Promise<void>;
}
