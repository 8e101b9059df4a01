import { Worker } from 'node:worker_threads';
import type { LeaderQuestion_Kind } from '../../proto/generated/raft/messages.ts';
import type { Logger } from '../log/logger.ts';
import type { MemberState } from '../raft/driver.ts';
import type { AppliedCommand, NativeStore, RequestKind } from './native.ts';
import { encodeCommand } from './native.ts';
import { type FromRaftThread, packBatch, type RaftThreadSetup, type ToRaftThread } from './raft-thread-protocol.ts';
import type { StoreError } from './store.ts';
import { storeError } from './store-error-table.ts';

/** Milliseconds after which a request is given up, as etcd's server gives up: five seconds and two election timeouts. */
const requestTimeout = 7_000;
/** Requests under way beyond which further ones are refused. */
const maxPending = 50_000;

interface Pending<T> {
  readonly since: number;
  readonly resolve: (value: T) => void;
  readonly reject: (error: StoreError) => void;
}

/** The file of the worker: TypeScript beside TypeScript sources, JavaScript beside a bundle. */
function startWorker(workerData: unknown): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./raft-worker.js', import.meta.url), { workerData });
  const entry = new URL('./raft-worker.ts', import.meta.url).href;
  // A loader of the main thread does not reach into workers; this one registers its own.
  const loader = import.meta.resolve('tsx/esm/api');
  const code = `import { register } from ${JSON.stringify(loader)}; register(); await import(${JSON.stringify(entry)});`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData });
}

export interface RaftThreadEvents {
  onState(state: MemberState): void;
  /** The store has failed and takes nothing any more. */
  onFatal(message: string): void;
  /** This member has been removed from the cluster. */
  onRemoved(): void;
}

/** The store's thread as the API's thread sees it: proposals go over in batches, results come back in batches. */
export class RaftThread {
  readonly #worker: Worker;
  readonly #store: NativeStore;
  readonly #memberId: bigint;
  readonly #events: RaftThreadEvents;
  readonly #logger: Logger;
  /** The worker's word that this member is the only voter and leads: then what it has applied is all there is. */
  readonly #alone: Int32Array;
  #state: MemberState | undefined;
  #failed: StoreError | undefined;
  #next = 1;
  #batch: Uint8Array[] = [];
  #readBatch: number[] = [];
  #flushing = false;
  readonly #proposals = new Map<number, Pending<AppliedCommand>>();
  readonly #reads = new Map<number, Pending<void>>();
  readonly #requests = new Map<number, Pending<number>>();
  readonly #sweep: NodeJS.Timeout;
  readonly started: Promise<{ readonly host: string; readonly port: number } | undefined>;
  readonly #stopped: Promise<void>;

  constructor(store: NativeStore, setup: Omit<RaftThreadSetup, 'alone'>, events: RaftThreadEvents, logger: Logger) {
    this.#store = store;
    this.#memberId = BigInt(setup.memberId);
    this.#events = events;
    this.#logger = logger;
    const alone = new SharedArrayBuffer(4);
    this.#alone = new Int32Array(alone);
    // A restarted member must not answer to what its former life has proposed.
    this.#next = Math.floor(Date.now() * 1000) % 2 ** 50;
    this.#worker = startWorker({ ...setup, alone } satisfies RaftThreadSetup);
    let started!: (address: { host: string; port: number } | undefined) => void;
    let failed!: (error: Error) => void;
    this.started = new Promise((resolve, reject) => {
      started = resolve;
      failed = reject;
    });
    this.started.catch(() => {
      // Whoever starts the store waits for it; a failure after that is told as fatal.
    });
    this.#stopped = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    this.#worker.on('error', (error) => {
      failed(error);
      this.#fail(error.stack ?? error.message);
    });
    this.#worker.on('exit', () => this.#rejectAll(this.#failed ?? storeError('unavailable')));
    this.#worker.on('message', (message: FromRaftThread) => {
      if (!(message instanceof ArrayBuffer) && message.type === 'started') started(message.peerAddress);
      else this.#receive(message);
    });
    this.#sweep = setInterval(() => this.#giveUp(), 1000).unref();
  }

  get state(): MemberState | undefined {
    return this.#state;
  }

  /** Whether what is applied here now is linearizable without asking anyone. */
  readsAlone(): boolean {
    return Atomics.load(this.#alone, 0) === 1;
  }

  /** Resolves with the result once the request has been applied here. Rejects when nobody knows whether it ever will be. */
  propose(kind: RequestKind, request: Uint8Array): Promise<AppliedCommand> {
    return new Promise((resolve, reject) => {
      const refused = this.#refusal(this.#proposals.size);
      if (refused !== undefined) {
        reject(refused);
        return;
      }
      const proposal = this.#next++;
      this.#proposals.set(proposal, { since: performance.now(), resolve, reject });
      this.#batch.push(encodeCommand(kind, request, { proposal, proposer: this.#memberId }));
      this.#flushSoon();
    });
  }

  /** Resolves when what is applied here is at least as new as everything acknowledged anywhere before the call. */
  confirmRead(): Promise<void> {
    if (this.readsAlone()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const refused = this.#refusal(this.#reads.size);
      if (refused !== undefined) {
        reject(refused);
        return;
      }
      const read = this.#next++;
      this.#reads.set(read, { since: performance.now(), resolve, reject });
      this.#readBatch.push(read);
      this.#flushSoon();
    });
  }

  /** A rare request that is answered by one number. */
  request(make: (request: number) => ToRaftThread): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#failed !== undefined) {
        reject(this.#failed);
        return;
      }
      const request = this.#next++;
      this.#requests.set(request, { since: performance.now(), resolve, reject });
      this.#worker.postMessage(make(request));
    });
  }

  /** Asks the leader, wherever it is, what it alone knows; -1 when there is none. */
  ask(kind: LeaderQuestion_Kind, id: bigint): Promise<number> {
    return this.request((request) => ({ type: 'ask', request, question: { kind, id: BigInt.asUintN(64, id) } }));
  }

  transferLeadership(to: number): void {
    this.#worker.postMessage({ type: 'transfer', to } satisfies ToRaftThread);
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweep);
    this.#flush();
    this.#worker.postMessage({ type: 'stop' } satisfies ToRaftThread);
    await this.#stopped;
  }

  #refusal(pending: number): StoreError | undefined {
    return this.#failed ?? (pending >= maxPending ? storeError('too_many_requests') : undefined);
  }

  /** Everything that comes up in this turn of the event loop crosses over together. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#batch.length > 0) {
      const packed = packBatch(this.#batch);
      this.#batch = [];
      this.#worker.postMessage(packed, [packed]);
    }
    if (this.#readBatch.length > 0) {
      const message: ToRaftThread = { type: 'read', reads: this.#readBatch };
      this.#readBatch = [];
      this.#worker.postMessage(message);
    }
  }

  #receive(message: FromRaftThread): void {
    if (message instanceof ArrayBuffer) {
      for (const result of this.#store.decodeApplied(message)) {
        if (!result.mine) continue;
        const pending = this.#proposals.get(result.proposal);
        if (pending === undefined) continue;
        this.#proposals.delete(result.proposal);
        pending.resolve(result);
      }
      return;
    }
    switch (message.type) {
      case 'readable':
        for (const read of message.reads) {
          this.#reads.get(read)?.resolve();
          this.#reads.delete(read);
        }
        return;
      case 'state':
        this.#state = message.state;
        this.#events.onState(message.state);
        return;
      case 'answer': {
        const pending = this.#requests.get(message.request);
        this.#requests.delete(message.request);
        if (message.error === undefined) pending?.resolve(message.value);
        else pending?.reject(storeError('unhealthy_cluster', message.error));
        return;
      }
      case 'removed':
        this.#events.onRemoved();
        return;
      case 'fatal':
        this.#fail(message.message);
        return;
      default:
        return;
    }
  }

  #fail(message: string): void {
    if (this.#failed !== undefined) return;
    this.#failed = storeError('unavailable');
    this.#rejectAll(this.#failed);
    this.#events.onFatal(message);
  }

  #rejectAll(error: StoreError): void {
    for (const waiting of [this.#proposals, this.#reads, this.#requests] as Map<number, Pending<never>>[]) {
      for (const pending of waiting.values()) pending.reject(error);
      waiting.clear();
    }
  }

  #giveUp(): void {
    const limit = performance.now() - requestTimeout;
    let count = 0;
    for (const waiting of [this.#proposals, this.#reads, this.#requests] as Map<number, Pending<never>>[]) {
      // Oldest first: the first that may wait on ends the search.
      for (const [id, pending] of waiting) {
        if (pending.since > limit) break;
        waiting.delete(id);
        pending.reject(storeError('timeout'));
        count++;
      }
    }
    if (count > 0) this.#logger.warn({ count, leader: this.#state?.leader ?? 0 }, 'requests timed out');
  }
}
