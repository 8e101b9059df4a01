import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import type { Event } from '../../proto/generated/etcd/kv.ts';
import type {
  WatchCreateRequest,
  WatchResponse,
  WatchRequest as WireRequest,
} from '../../proto/generated/etcd/messages.ts';
import type { Logger } from '../log/logger.ts';
import { keyValueFromWire } from './etcd-messages.ts';
import type { WatchEvent, Watcher, WatchHandler, WatchRequest } from './store.ts';
import { StoreError } from './store.ts';
import { storeError } from './store-error-table.ts';

type Stream = ClientDuplexStream<WireRequest, WatchResponse>;

interface Watch {
  readonly request: WatchRequest;
  readonly handler: WatchHandler;
  /** The first revision not delivered yet; 0 until the server has said where it begins. */
  next: number;
  /** Events of a revision that the server has split over several responses. */
  held: WatchEvent[];
  registered: (watch: Watch) => void;
  failed: (error: unknown) => void;
  over: boolean;
}

/** Milliseconds before a broken stream is opened again. */
const reconnectDelay = 250;

/** All watches on one stream, which is opened again where it broke; each goes on after the last revision it has delivered. */
export class ExternalWatches {
  readonly #open: () => Stream;
  readonly #logger: Logger;
  #stream: Stream | undefined;
  readonly #watches = new Map<bigint, Watch>();
  #nextId = 1n;
  #reconnect: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(open: () => Stream, logger: Logger) {
    this.#open = open;
    this.#logger = logger;
  }

  /** Resolves once the server has registered the watch. */
  start(request: WatchRequest, handler: WatchHandler): Promise<Watcher> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const watcher: Watcher = {
        requestProgress: () => this.#requestProgress(),
        cancel: () => this.#cancel(id),
      };
      this.#watches.set(id, {
        request,
        handler,
        next: request.startRevision ?? 0,
        held: [],
        registered: () => resolve(watcher),
        failed: reject,
        over: false,
      });
      if (this.#stream === undefined) this.#connect();
      else this.#create(id);
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#reconnect);
    for (const watch of this.#watches.values()) {
      watch.over = true;
      watch.handler.onCancel(storeError('unavailable'));
    }
    this.#watches.clear();
    this.#stream?.cancel();
  }

  #connect(): void {
    if (this.#closed || this.#stream !== undefined) return;
    clearTimeout(this.#reconnect);
    const stream = this.#open();
    this.#stream = stream;
    stream.on('data', (response: WatchResponse) => {
      if (this.#stream === stream) this.#receive(response);
    });
    const lost = (reason: string) => {
      if (this.#stream !== stream) return;
      this.#stream = undefined;
      if (this.#closed || this.#watches.size === 0) return;
      this.#logger.warn({ reason, watches: this.#watches.size }, 'the watch stream broke; opening it again');
      this.#reconnect = setTimeout(() => this.#connect(), reconnectDelay);
    };
    stream.on('error', (error: ServiceError) => lost(error.message));
    stream.on('end', () => lost('the server has ended it'));
    for (const id of this.#watches.keys()) this.#create(id);
  }

  #create(id: bigint): void {
    const watch = this.#watches.get(id)!;
    watch.held = [];
    const { key, rangeEnd, prevKv, progressNotify, filters } = watch.request;
    const value: WatchCreateRequest = {
      key,
      rangeEnd: rangeEnd ?? Buffer.alloc(0),
      startRevision: BigInt(watch.next),
      progressNotify: progressNotify ?? false,
      filters: (filters ?? []).map((filter) => (filter === 'noput' ? 0 : 1)),
      prevKv: prevKv ?? false,
      watchId: id,
      fragment: true,
    };
    this.#stream?.write({ requestUnion: { $case: 'createRequest', value } });
  }

  #cancel(id: bigint): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    watch.over = true;
    this.#watches.delete(id);
    this.#stream?.write({ requestUnion: { $case: 'cancelRequest', value: { watchId: id } } });
  }

  #requestProgress(): void {
    this.#stream?.write({ requestUnion: { $case: 'progressRequest', value: {} } });
  }

  #receive(response: WatchResponse): void {
    const revision = Number(response.header?.revision ?? 0n);
    if (response.watchId === -1n && !response.created) {
      // Progress of the stream: of every watch on it.
      for (const watch of [...this.#watches.values()]) this.#progressed(watch, revision);
      return;
    }
    const watch = this.#watches.get(response.watchId);
    if (watch === undefined) return;
    if (response.created) {
      if (watch.next === 0) watch.next = revision + 1;
      watch.registered(watch);
    }
    if (response.canceled) {
      this.#watches.delete(response.watchId);
      watch.over = true;
      const compacted = response.compactRevision > 0n;
      const reason = compacted
        ? storeError('compacted')
        : new StoreError('unavailable', response.cancelReason || 'the watch was cancelled by the server');
      watch.handler.onCancel(reason, compacted ? Number(response.compactRevision) : undefined);
      return;
    }
    if (response.created) return;
    if (response.events.length === 0) {
      this.#progressed(watch, revision);
      return;
    }
    watch.held.push(...response.events.map(eventFromWire));
    if (response.fragment) return;
    const events = watch.held;
    watch.held = [];
    watch.next = events.at(-1)!.kv.modRevision + 1;
    watch.handler.onEvents(events, Math.max(revision, watch.next - 1));
  }

  #progressed(watch: Watch, revision: number): void {
    watch.next = Math.max(watch.next, revision + 1);
    watch.handler.onProgress?.(revision);
  }
}

function eventFromWire(event: Event): WatchEvent {
  const kv = keyValueFromWire(event.kv!);
  const type = event.type === 0 ? 'put' : 'delete';
  return event.prevKv === undefined ? { type, kv } : { type, kv, prevKv: keyValueFromWire(event.prevKv) };
}
