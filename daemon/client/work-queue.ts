import { Counter, Gauge, Histogram } from 'prom-client';
import { isApiError } from '../apimachinery/api-error.ts';
import type { Logger } from '../log/logger.ts';
import { metrics } from '../metrics/metrics.ts';
import { type Clock, systemClock } from './clock.ts';

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
  /**
   * Runs `reconcile` for each key on up to `workers` keys at a time. An error adds the key again, rate-limited; success
   * forgets its failures, unless `reconcile` itself called `addRateLimited` for it.
   */
  run(reconcile: (key: string) => Promise<void>, workers: number): void;
  /** Takes no more keys and resolves when the running ones are done. */
  shutDown(): Promise<void>;
}

export interface WorkQueueOptions {
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** First delay after a failure, in ms; 5 unless told. */
  readonly baseDelayMs?: number;
  /** Longest delay after failures, in ms; 1000 s unless told. */
  readonly maxDelayMs?: number;
}

const registers = [metrics];
const labelNames = ['name'] as const;
const seconds = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10];
const depth = new Gauge({ name: 'workqueue_depth', help: 'Current depth of workqueue', labelNames, registers });
const adds = new Counter({
  name: 'workqueue_adds_total',
  help: 'Total number of adds handled by workqueue',
  labelNames,
  registers,
});
const retries = new Counter({
  name: 'workqueue_retries_total',
  help: 'Total number of retries handled by workqueue',
  labelNames,
  registers,
});
const queueDuration = new Histogram({
  name: 'workqueue_queue_duration_seconds',
  help: 'How long in seconds an item stays in workqueue before being requested',
  labelNames,
  buckets: seconds,
  registers,
});
const workDuration = new Histogram({
  name: 'workqueue_work_duration_seconds',
  help: 'How long in seconds processing an item from workqueue takes',
  labelNames,
  buckets: seconds,
  registers,
});

/** Keys handled in a row may not hold the event loop longer than this. */
const sliceMs = 10;

class KeyedWorkQueue implements WorkQueue {
  readonly #name: string;
  readonly #logger: Logger | undefined;
  readonly #clock: Clock;
  readonly #baseDelayMs: number;
  readonly #maxDelayMs: number;
  /** Keys to handle, in order, with the time they were added. */
  readonly #ready = new Map<string, number>();
  readonly #running = new Set<string>();
  /** Keys added while they were running: ready again once done. */
  readonly #again = new Set<string>();
  readonly #waiting = new Map<string, { readonly at: number; readonly cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  /** Keys that their own reconcile put back with `addRateLimited`. */
  readonly #putBack = new Set<string>();
  #reconcile: ((key: string) => Promise<void>) | undefined;
  #workers = 0;
  #closed = false;
  #drained: (() => void) | undefined;
  #yielding = false;
  /** Keys have been handled without a pause since `#sliceStart`. */
  #busy = false;
  #sliceStart = 0;

  constructor(name: string, options: WorkQueueOptions) {
    this.#name = name;
    this.#logger = options.logger;
    this.#clock = options.clock ?? systemClock;
    this.#baseDelayMs = options.baseDelayMs ?? 5;
    this.#maxDelayMs = options.maxDelayMs ?? 1_000_000;
  }

  get length(): number {
    return this.#ready.size;
  }

  add(key: string): void {
    if (this.#closed) {
      return;
    }
    if (this.#running.has(key)) {
      if (!this.#again.has(key)) {
        this.#again.add(key);
        adds.labels(this.#name).inc();
      }
      return;
    }
    if (!this.#ready.has(key)) {
      this.#ready.set(key, this.#clock.now());
      adds.labels(this.#name).inc();
      depth.labels(this.#name).set(this.#ready.size);
      this.#pump();
    }
  }

  addAfter(key: string, delayMs: number): void {
    if (this.#closed) {
      return;
    }
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const at = this.#clock.now() + delayMs;
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) {
      if (waiting.at <= at) {
        return;
      }
      waiting.cancel();
    }
    const cancel = this.#clock.after(delayMs, () => {
      this.#waiting.delete(key);
      this.add(key);
    });
    this.#waiting.set(key, { at, cancel });
  }

  addRateLimited(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    if (this.#running.has(key)) {
      this.#putBack.add(key);
    }
    retries.labels(this.#name).inc();
    this.addAfter(key, Math.min(this.#baseDelayMs * 2 ** failures, this.#maxDelayMs));
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  run(reconcile: (key: string) => Promise<void>, workers: number): void {
    if (this.#reconcile !== undefined) {
      throw new Error(`work queue ${this.#name} already runs`);
    }
    this.#reconcile = reconcile;
    this.#workers = workers;
    this.#pump();
  }

  async shutDown(): Promise<void> {
    this.#closed = true;
    for (const { cancel } of this.#waiting.values()) {
      cancel();
    }
    this.#waiting.clear();
    this.#ready.clear();
    this.#again.clear();
    depth.labels(this.#name).set(0);
    if (this.#running.size > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
  }

  #pump(): void {
    if (this.#reconcile === undefined || this.#yielding) {
      return;
    }
    if (this.#running.size === 0 && !this.#busy) {
      this.#sliceStart = performance.now();
    }
    this.#busy = true;
    while (this.#running.size < this.#workers) {
      const next = this.#ready.entries().next();
      if (next.done === true) {
        this.#busy = this.#running.size > 0;
        return;
      }
      const [key, addedAt] = next.value;
      this.#ready.delete(key);
      this.#running.add(key);
      depth.labels(this.#name).set(this.#ready.size);
      queueDuration.labels(this.#name).observe((this.#clock.now() - addedAt) / 1000);
      void this.#handle(key, this.#reconcile);
    }
  }

  async #handle(key: string, reconcile: (key: string) => Promise<void>): Promise<void> {
    // Leaves the caller of add() first: handlers of informers must not run a reconcile in their midst.
    await undefined;
    const start = performance.now();
    try {
      await reconcile(key);
      if (!this.#putBack.has(key)) {
        this.forget(key);
      }
    } catch (error) {
      const failures = this.failures(key) + 1;
      // A conflict only says that the cache was behind; the next try, milliseconds later, sees the newer object.
      const level = isApiError(error, 'Conflict') && failures < 5 ? 'debug' : 'warn';
      this.#logger?.[level]({ queue: this.#name, key, err: error, failures }, 'reconcile failed');
      this.addRateLimited(key);
    }
    const end = performance.now();
    workDuration.labels(this.#name).observe((end - start) / 1000);
    this.#running.delete(key);
    this.#putBack.delete(key);
    if (this.#closed) {
      if (this.#running.size === 0) {
        this.#drained?.();
      }
      return;
    }
    if (this.#again.delete(key)) {
      this.#ready.set(key, this.#clock.now());
      depth.labels(this.#name).set(this.#ready.size);
    }
    this.#continue(end);
  }

  /** Goes on at once, or after I/O has had its turn when keys have been handled back to back for long. */
  #continue(now: number): void {
    if (now - this.#sliceStart < sliceMs) {
      this.#pump();
    } else if (!this.#yielding) {
      this.#yielding = true;
      setImmediate(() => {
        this.#yielding = false;
        this.#sliceStart = performance.now();
        this.#pump();
      });
    }
  }
}

/** `name` labels the queue's metrics. Without a logger, errors of `reconcile` show only as retries. */
export function createWorkQueue(name: string, options: WorkQueueOptions = {}): WorkQueue {
  return new KeyedWorkQueue(name, options);
}
