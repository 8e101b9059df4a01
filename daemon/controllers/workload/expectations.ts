/** How long an expectation may stay open before the controller acts on what it sees anyway. */
export const expectationsTimeoutMs = 5 * 60 * 1000;

interface Expectation {
  creations: number;
  /** Keys of pods whose deletion has been asked for and not been seen. */
  readonly deletions: Set<string>;
  readonly since: number;
}

/**
 * What a controller has asked the API for and not yet seen come back through its informer. While a key's expectations are
 * open its informer's view is known to be stale, and acting on it would create or delete twice.
 *
 * Kept in memory only: after a restart the informers are listed anew, so nothing is pending.
 */
export class Expectations {
  readonly #byKey = new Map<string, Expectation>();
  readonly #now: () => Date;

  constructor(now: () => Date) {
    this.#now = now;
  }

  /** True when nothing is pending for `key`, or what is pending has been so for too long. */
  satisfied(key: string): boolean {
    const expectation = this.#byKey.get(key);
    if (expectation === undefined) return true;
    if (expectation.creations <= 0 && expectation.deletions.size === 0) return true;
    return this.#now().getTime() - expectation.since > expectationsTimeoutMs;
  }

  expectCreations(key: string, count: number): void {
    this.#set(key, count, []);
  }

  expectDeletions(key: string, podKeys: readonly string[]): void {
    this.#set(key, 0, podKeys);
  }

  expect(key: string, creations: number, podKeys: readonly string[]): void {
    this.#set(key, creations, podKeys);
  }

  creationObserved(key: string): void {
    const expectation = this.#byKey.get(key);
    if (expectation !== undefined && expectation.creations > 0) expectation.creations -= 1;
  }

  deletionObserved(key: string, podKey: string): void {
    this.#byKey.get(key)?.deletions.delete(podKey);
  }

  /** The owner is gone. */
  forget(key: string): void {
    this.#byKey.delete(key);
  }

  #set(key: string, creations: number, podKeys: readonly string[]): void {
    this.#byKey.set(key, { creations, deletions: new Set(podKeys), since: this.#now().getTime() });
  }
}
