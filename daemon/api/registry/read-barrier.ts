import type { Store } from '../../store/store.ts';

const barrierKey = Buffer.from('/registry/health');

/**
 * Linearizable reads from the caches: a read first learns a revision that is at least as new as every write finished
 * before it began, then waits until the caches have seen that revision. Reads that begin together share one question to
 * the store; a read never joins a question that was already on its way.
 */
export class ReadBarrier {
  readonly #store: Store;
  #next: Promise<number> | undefined;
  #running = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** A revision at least as new as any write that finished before the call. */
  revision(): Promise<number> {
    this.#next ??= this.#ask();
    return this.#next;
  }

  async #ask(): Promise<number> {
    // Whatever else arrives in this turn of the event loop joins; so does all that comes while one question is out.
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#running > 0 && this.#current !== undefined) await this.#current.catch(() => undefined);
    this.#next = undefined;
    this.#running++;
    const asked = this.#store
      .range({ key: barrierKey, countOnly: true })
      .then((result) => result.revision)
      .finally(() => this.#running--);
    this.#current = asked;
    return asked;
  }

  #current: Promise<number> | undefined;
}
