import type { Logger } from '../log/logger.ts';

export interface SyncLoopOptions {
  readonly sync: () => Promise<void>;
  /** Milliseconds from the end of one round to the start of the next: a burst of changes becomes one round. */
  readonly minInterval: number;
  /** Milliseconds after which a round runs though nothing was asked for. */
  readonly maxInterval: number;
  readonly logger: Logger;
}

/** Runs one round at a time: soon after a request, many requests in one; after a failure again, with growing delays. */
export class SyncLoop {
  readonly #options: SyncLoopOptions;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #running: Promise<void> | undefined;
  #requested = false;
  #lastEnd = 0;
  #failures = 0;
  #stopped = false;

  constructor(options: SyncLoopOptions) {
    this.#options = options;
  }

  request(): void {
    this.#requested = true;
    if (this.#running === undefined)
      this.#schedule(Math.max(0, this.#lastEnd + this.#options.minInterval - Date.now()));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(delay: number): void {
    const dueAt = Date.now() + delay;
    if (this.#stopped || dueAt >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => {
      this.#dueAt = Number.POSITIVE_INFINITY;
      this.#running = this.#round().finally(() => {
        this.#running = undefined;
        this.#next();
      });
    }, delay);
  }

  async #round(): Promise<void> {
    this.#requested = false;
    try {
      await this.#options.sync();
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      this.#options.logger.error({ err: error, failures: this.#failures }, 'bringing the kernel up to date failed');
    }
    this.#lastEnd = Date.now();
  }

  #next(): void {
    const { minInterval, maxInterval } = this.#options;
    if (this.#failures > 0) this.#schedule(Math.min(maxInterval, minInterval * 2 ** Math.min(this.#failures, 12)));
    else this.#schedule(this.#requested ? minInterval : maxInterval);
  }
}
