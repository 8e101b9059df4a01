import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { ResponseHeader, type WatchCreateRequest, WatchRequest } from '../../../proto/generated/etcd/messages.ts';
import { type EmbeddedStore, maxRequestBytes } from '../embedded-store.ts';
import { frame } from '../grpc/framing.ts';
import type { GrpcCall } from '../grpc/server.ts';
import type { NativeWatchEvent, NativeWatchHub } from '../native.ts';
import type { StoreError } from '../store.ts';
import type { AuthGate } from './auth-gate.ts';
import { headerOf } from './header.ts';
import type { ServiceMethods } from './services.ts';

/** The id of a watch that could not be made, and of a progress report for the whole stream. */
const noWatch = -1n;
/** Milliseconds between two reports to an idle watch that asked for them. */
const progressInterval = 10 * 60 * 1000;
/** Bytes beyond which a response is split for a client that takes fragments. */
const fragmentBytes = maxRequestBytes + 512 * 1024;

export function watchMethods(store: EmbeddedStore, gate: AuthGate): ServiceMethods {
  const hub = store.native.createWatchHub();
  store.onClose(() => hub.close());
  return { stream: { Watch: (call) => new WatchStream(store, hub, gate, call) } };
}

interface Watch {
  readonly id: bigint;
  /** The native store's name for it; undefined until that is known. */
  native: number;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
  /** The revision at which it was last told anything. */
  idleSince: number;
  paused: boolean;
}

/** One stream of a client: any number of watches, and one window for all that they deliver. */
class WatchStream {
  readonly #store: EmbeddedStore;
  readonly #hub: NativeWatchHub;
  readonly #gate: AuthGate;
  readonly #call: GrpcCall;
  readonly #watches = new Map<bigint, Watch>();
  #nextId = 0n;
  #congested = false;
  /** Watches that still owe a report to the progress the client asked for. */
  #owing: Set<bigint> | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(store: EmbeddedStore, hub: NativeWatchHub, gate: AuthGate, call: GrpcCall) {
    this.#store = store;
    this.#hub = hub;
    this.#gate = gate;
    this.#call = call;
    this.#timer = setInterval(() => this.#reportIdle(), progressInterval).unref();
    call.onMessage = (message) => this.#receive(WatchRequest.decode(message));
    call.onDrain = () => this.#resume();
    call.onClose = () => this.#close();
  }

  #receive({ requestUnion }: WatchRequest): void {
    if (requestUnion?.$case === 'createRequest') this.#create(requestUnion.value);
    else if (requestUnion?.$case === 'cancelRequest') this.#cancel(requestUnion.value.watchId);
    else if (requestUnion?.$case === 'progressRequest') this.#requestProgress();
  }

  #create(request: WatchCreateRequest): void {
    // The empty key is the smallest; a single zero byte as the end is everything after the key.
    const key = request.key.length === 0 ? Buffer.of(0) : request.key;
    const { rangeEnd } = request;
    const open = rangeEnd.length === 1 && rangeEnd[0] === 0;
    if (rangeEnd.length > 0 && !open && Buffer.compare(rangeEnd, key) <= 0) {
      this.#refuse('mvcc: watcher range is empty');
      return;
    }
    try {
      this.#gate.watch(key, rangeEnd, this.#call.caller);
    } catch (error) {
      this.#refuse(error instanceof Error ? error.message : String(error));
      return;
    }
    if (request.watchId !== 0n && this.#watches.has(request.watchId)) {
      this.#refuse('mvcc: duplicate watch ID provided on the WatchStream');
      return;
    }
    while (this.#watches.has(this.#nextId)) this.#nextId++;
    const id = request.watchId !== 0n ? request.watchId : this.#nextId++;
    const watch: Watch = {
      id,
      native: -1,
      fragment: request.fragment,
      progressNotify: request.progressNotify,
      idleSince: performance.now(),
      paused: false,
    };
    const created = this.#hub.watch(
      {
        key,
        ...(rangeEnd.length === 0 ? {} : { rangeEnd }),
        startRevision: request.startRevision > 0n ? Number(request.startRevision) : 0,
        prevKv: request.prevKv,
        filters: request.filters.map((filter) => (filter === 0 ? 'noput' : 'nodelete')),
      },
      {
        onEvents: (events, revision) => this.#deliver(watch, events, revision),
        onProgress: (revision) => this.#progressed(watch, revision),
        onCancel: (reason, compactRevision) => this.#cancelled(watch, reason, compactRevision),
      },
    );
    watch.native = created.id;
    this.#watches.set(id, watch);
    this.#send(new Response(this.#store, created.revision, id).created());
    if (this.#congested) this.#pause(watch);
  }

  #refuse(reason: string): void {
    const revision = this.#store.native.state().revision;
    this.#send(new Response(this.#store, revision, noWatch).created().canceled(0, reason));
  }

  #cancel(id: bigint): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#hub.cancel(watch.native);
    this.#forget(watch);
    this.#send(new Response(this.#store, this.#store.native.state().revision, id).canceled(0, ''));
  }

  #cancelled(watch: Watch, reason: StoreError | undefined, compactRevision: number | undefined): void {
    this.#forget(watch);
    const compacted = reason?.code === 'compacted';
    const revision = this.#store.native.state().revision;
    const text = compacted ? '' : (reason?.message ?? '');
    this.#send(new Response(this.#store, revision, watch.id).canceled(compacted ? (compactRevision ?? 0) : 0, text));
  }

  #forget(watch: Watch): void {
    this.#watches.delete(watch.id);
    if (this.#owing?.delete(watch.id)) this.#tellProgress();
  }

  #deliver(watch: Watch, events: readonly NativeWatchEvent[], revision: number): void {
    watch.idleSince = performance.now();
    if (!watch.fragment) {
      this.#sent(this.#call.sendFramed(framedDelivery(this.#store, watch.id, events, revision)));
      return;
    }
    const encoded = events.map(encodedEvent);
    let first = 0;
    let bytes = 0;
    for (let next = 0; next < encoded.length; next++) {
      bytes += encoded[next]!.length;
      if (bytes <= fragmentBytes || next === first) continue;
      this.#send(new Response(this.#store, revision, watch.id).fragment().events(encoded.slice(first, next)));
      first = next;
      bytes = encoded[next]!.length;
    }
    this.#send(new Response(this.#store, revision, watch.id).events(first === 0 ? encoded : encoded.slice(first)));
  }

  /** The client asks how far the whole stream has come. */
  #requestProgress(): void {
    // Asked again before the answer: one answer serves both.
    if (this.#owing !== undefined) return;
    this.#owing = new Set(this.#watches.keys());
    for (const watch of this.#watches.values()) this.#hub.requestProgress(watch.native);
    this.#tellProgress();
  }

  #progressed(watch: Watch, revision: number): void {
    if (this.#owing?.delete(watch.id)) this.#tellProgress(revision);
    else {
      watch.idleSince = performance.now();
      this.#send(new Response(this.#store, revision, watch.id));
    }
  }

  #tellProgress(revision: number = this.#store.native.state().revision): void {
    if (this.#owing === undefined || this.#owing.size > 0) return;
    this.#owing = undefined;
    this.#send(new Response(this.#store, revision, noWatch));
  }

  #reportIdle(): void {
    const limit = performance.now() - progressInterval;
    for (const watch of this.#watches.values()) {
      if (watch.progressNotify && watch.idleSince <= limit) this.#hub.requestProgress(watch.native);
    }
  }

  #send(response: Response): void {
    this.#sent(this.#call.send(response.finish()));
  }

  #sent(more: boolean): void {
    if (more || this.#congested) return;
    // A slow client costs nothing but its own catching up: its watches gather nothing until it reads on.
    this.#congested = true;
    for (const watch of this.#watches.values()) this.#pause(watch);
  }

  #pause(watch: Watch): void {
    watch.paused = true;
    this.#hub.pause(watch.native);
  }

  #resume(): void {
    if (!this.#congested) return;
    this.#congested = false;
    for (const watch of this.#watches.values()) {
      if (!watch.paused) continue;
      watch.paused = false;
      this.#hub.resume(watch.native);
    }
  }

  #close(): void {
    clearInterval(this.#timer);
    for (const watch of this.#watches.values()) this.#hub.cancel(watch.native);
    this.#watches.clear();
  }
}

/** `WatchResponse`, written field by field around events that are already encoded. */
class Response {
  readonly #writer: BinaryWriter;
  #parts: readonly Uint8Array[] = [];

  constructor(store: EmbeddedStore, revision: number, watchId: bigint) {
    this.#writer = new BinaryWriter();
    this.#writer.uint32(0x0a).bytes(ResponseHeader.encode(headerOf(store, revision)).finish());
    if (watchId !== 0n) this.#writer.uint32(0x10).int64(watchId);
  }

  created(): this {
    this.#writer.uint32(0x18).bool(true);
    return this;
  }

  canceled(compactRevision: number, reason: string): this {
    this.#writer.uint32(0x20).bool(true);
    if (compactRevision > 0) this.#writer.uint32(0x28).int64(compactRevision);
    if (reason !== '') this.#writer.uint32(0x32).string(reason);
    return this;
  }

  fragment(): this {
    this.#writer.uint32(0x38).bool(true);
    return this;
  }

  events(encoded: readonly Uint8Array[]): this {
    this.#parts = encoded;
    return this;
  }

  finish(): Uint8Array {
    const head = this.#writer.finish();
    return this.#parts.length === 0 ? head : Buffer.concat([head, ...this.#parts]);
  }
}

interface Delivery {
  readonly store: EmbeddedStore;
  readonly id: bigint;
  readonly revision: number;
  readonly events: readonly NativeWatchEvent[];
  readonly framed: Buffer;
}

/** The last delivery: most often the next watcher is on another stream, has the same id there, and gets the same. */
let last: Delivery | undefined;

function framedDelivery(
  store: EmbeddedStore,
  id: bigint,
  events: readonly NativeWatchEvent[],
  revision: number,
): Buffer {
  const same =
    last !== undefined &&
    last.id === id &&
    last.revision === revision &&
    last.store === store &&
    last.events.length === events.length &&
    events.every((event, index) => event === last!.events[index]);
  if (same) return last!.framed;
  const framed = frame(new Response(store, revision, id).events(events.map(encodedEvent)).finish());
  last = { store, id, revision, events, framed };
  return framed;
}

const encodedEvents = new WeakMap<NativeWatchEvent, Buffer>();

/** The event as a field of the response; all the watches that share it share the bytes. */
function encodedEvent(event: NativeWatchEvent): Buffer {
  const known = encodedEvents.get(event);
  if (known !== undefined) return known;
  const body = new BinaryWriter();
  if (event.type === 'delete') body.uint32(0x08).uint32(1);
  body.uint32(0x12).bytes(event.encodedKv);
  if (event.encodedPrevKv !== undefined) body.uint32(0x1a).bytes(event.encodedPrevKv);
  const field = Buffer.from(new BinaryWriter().uint32(0x5a).bytes(body.finish()).finish());
  encodedEvents.set(event, field);
  return field;
}
