import { randomBytes } from 'node:crypto';
import { checkDeleteRange, checkPut, checkRange, checkTxn, maxLeaseTtl, minLeaseTtl } from './request-rules.ts';
import type {
  Compare,
  DeleteRangeRequest,
  KeyValue,
  LeaseStatus,
  Member,
  PutRequest,
  RangeRequest,
  RangeResult,
  RequestOp,
  ResponseOp,
  Store,
  StoreStatus,
  TxnRequest,
  TxnResult,
  WatchEvent,
  Watcher,
  WatchHandler,
  WatchRequest,
} from './store.ts';
import { storeError } from './store-error-table.ts';

/** One change of one key: `kv` is undefined for a deletion. Keys are held as latin1 strings, which sort as bytes do. */
interface Change {
  readonly revision: number;
  readonly name: string;
  readonly kv: KeyValue | undefined;
}

interface Lease {
  readonly id: bigint;
  readonly ttl: number;
  readonly keys: Set<string>;
  expiresAt: number;
  timer: NodeJS.Timeout;
}

interface MemoryWatcher {
  readonly request: WatchRequest;
  readonly handler: WatchHandler;
  readonly start: string;
  readonly end: string | undefined;
  /** The first revision not delivered yet. */
  next: number;
}

/** A write transaction under way: reads see its own writes. */
interface Writing {
  readonly revision: number;
  readonly changes: Change[];
}

const emptyBuffer = Buffer.alloc(0);

/**
 * The reference model of `Store`: etcd's semantics in the plainest form that has them, all in memory, gone with the process.
 * Every other store is tested against it, and unit tests of other parts run on it.
 */
export class MemoryStore implements Store {
  #revision = 1;
  #compactRevision = 0;
  /** Sorted; a key stays while it has any history. */
  readonly #names: string[] = [];
  readonly #history = new Map<string, Change[]>();
  /** All changes since the compaction, in order: what a watch from the past is served from. */
  #log: Change[] = [];
  readonly #leases = new Map<bigint, Lease>();
  readonly #watchers = new Set<MemoryWatcher>();
  #delivering = false;
  #closed = false;

  async range(request: RangeRequest): Promise<RangeResult> {
    this.#assertOpen();
    checkRange(request);
    return this.#range(request, undefined);
  }

  async put(request: PutRequest): Promise<{ revision: number; prevKv?: KeyValue }> {
    this.#assertOpen();
    checkPut(request);
    this.#checkPutState(request);
    return this.#write((writing) => ({ ...this.#put(request, writing), revision: writing.revision }));
  }

  async deleteRange(
    request: DeleteRangeRequest,
  ): Promise<{ revision: number; deleted: number; prevKvs: readonly KeyValue[] }> {
    this.#assertOpen();
    checkDeleteRange(request);
    const result = this.#write((writing) => this.#deleteRange(request, writing));
    return { ...result, revision: this.#revision };
  }

  async txn(request: TxnRequest): Promise<TxnResult> {
    this.#assertOpen();
    checkTxn(request);
    // Every compare, nested ones too, is judged on the state before the transaction.
    const path = new Map<TxnRequest, boolean>();
    this.#choosePath(request, path);
    this.#checkTxnState(request, path);
    return this.#write((writing) => this.#txn(request, path, writing));
  }

  async watch(request: WatchRequest, handler: WatchHandler): Promise<Watcher> {
    this.#assertOpen();
    if (request.key.length === 0) throw storeError('empty_key');
    const [start, end] = bounds(request);
    const watcher: MemoryWatcher = {
      request,
      handler,
      start,
      end,
      next: request.startRevision ? request.startRevision : this.#revision + 1,
    };
    this.#watchers.add(watcher);
    this.#scheduleDelivery();
    return {
      requestProgress: () => {
        queueMicrotask(() => {
          this.#deliver();
          if (this.#watchers.has(watcher)) handler.onProgress?.(this.#revision);
        });
      },
      cancel: () => {
        this.#watchers.delete(watcher);
      },
    };
  }

  async compact(revision: number): Promise<void> {
    this.#assertOpen();
    if (revision <= this.#compactRevision) throw storeError('compacted');
    if (revision > this.#revision) throw storeError('future_revision');
    // What watchers were owed before the compaction is still delivered to those that had caught up.
    this.#deliver();
    this.#compactRevision = revision;
    this.#log = this.#log.filter((change) => change.revision >= revision);
    for (const [name, changes] of this.#history) {
      const kept = changes.findLastIndex((change) => change.revision <= revision);
      if (kept < 0) continue;
      const tombstone = changes[kept]!.kv === undefined;
      changes.splice(0, tombstone ? kept + 1 : kept);
      if (changes.length > 0) continue;
      this.#history.delete(name);
      this.#names.splice(this.#find(name), 1);
    }
  }

  async leaseGrant(ttlSeconds: number, id = 0n): Promise<{ id: bigint; ttl: number }> {
    this.#assertOpen();
    if (ttlSeconds > maxLeaseTtl) throw storeError('lease_ttl_too_large');
    const chosen = id === 0n ? randomBytes(8).readBigInt64BE() & 0x7fff_ffff_ffff_ffffn : id;
    if (this.#leases.has(chosen)) throw storeError('lease_exists');
    const ttl = Math.max(ttlSeconds, minLeaseTtl);
    const lease: Lease = { id: chosen, ttl, keys: new Set(), expiresAt: 0, timer: setTimeout(() => {}, 0) };
    this.#leases.set(chosen, lease);
    this.#renew(lease);
    return { id: chosen, ttl };
  }

  async leaseRevoke(id: bigint): Promise<void> {
    this.#assertOpen();
    this.#revoke(this.#lease(id));
  }

  async leaseKeepAlive(id: bigint): Promise<{ ttl: number }> {
    this.#assertOpen();
    const lease = this.#lease(id);
    this.#renew(lease);
    return { ttl: lease.ttl };
  }

  async leaseTimeToLive(id: bigint, keys: boolean): Promise<LeaseStatus> {
    this.#assertOpen();
    const lease = this.#leases.get(id);
    if (lease === undefined) return { id, ttl: -1, grantedTtl: 0, keys: [] };
    const ttl = Math.max(0, Math.floor((lease.expiresAt - Date.now()) / 1000));
    const names = keys ? [...lease.keys].sort() : [];
    return { id, ttl, grantedTtl: lease.ttl, keys: names.map((name) => Buffer.from(name, 'latin1')) };
  }

  async leases(): Promise<readonly bigint[]> {
    this.#assertOpen();
    return [...this.#leases.values()].sort((a, b) => a.expiresAt - b.expiresAt).map((lease) => lease.id);
  }

  async *snapshot(): AsyncIterable<Buffer> {
    this.#assertOpen();
    const keys = this.#range({ key: Buffer.of(0), rangeEnd: Buffer.of(0) }, undefined);
    for (const kv of keys.kvs) {
      yield Buffer.from(`${kv.key.toString('base64')} ${kv.value.toString('base64')} ${kv.modRevision}\n`);
    }
  }

  async members(): Promise<readonly Member[]> {
    return [{ id: 1n, name: 'memory', peerUrls: [], clientUrls: [], isLearner: false }];
  }

  async status(): Promise<StoreStatus> {
    return {
      version: '3.6.0',
      clusterId: 1n,
      memberId: 1n,
      revision: this.#revision,
      compactRevision: this.#compactRevision,
      leader: 1n,
      raftIndex: this.#revision,
      raftTerm: 1,
      raftAppliedIndex: this.#revision,
      dbSize: 0,
      dbSizeInUse: 0,
      isLearner: false,
      errors: [],
    };
  }

  isLeader(): boolean {
    return true;
  }

  onLeadership(_listener: (leader: boolean) => void): () => void {
    return () => {};
  }

  /** Ends every watch and lease timer; later calls fail with `unavailable`. */
  async stop(): Promise<void> {
    this.#closed = true;
    for (const lease of this.#leases.values()) clearTimeout(lease.timer);
    for (const watcher of this.#watchers) watcher.handler.onCancel(storeError('unavailable'));
    this.#watchers.clear();
  }

  #assertOpen(): void {
    if (this.#closed) throw storeError('unavailable');
  }

  /** Runs one write transaction; it takes a revision only if it changed something. */
  #write<T>(body: (writing: Writing) => T): T {
    const writing: Writing = { revision: this.#revision + 1, changes: [] };
    const result = body(writing);
    if (writing.changes.length === 0) return result;
    this.#revision = writing.revision;
    // A transaction's events are in the order of its operations.
    this.#log.push(...writing.changes);
    this.#scheduleDelivery();
    return result;
  }

  #range(request: RangeRequest, writing: Writing | undefined): RangeResult {
    const current = writing !== undefined && writing.changes.length > 0 ? writing.revision : this.#revision;
    const at = request.revision ? request.revision : current;
    if (at > current) throw storeError('future_revision');
    if (at < this.#compactRevision) throw storeError('compacted');
    const found: KeyValue[] = [];
    for (const name of this.#namesIn(request)) {
      const kv = this.#at(name, at);
      if (kv !== undefined) found.push(kv);
    }
    const count = found.length;
    if (request.countOnly) return { revision: current, kvs: [], more: false, count };
    let kvs = found.filter(
      (kv) =>
        (!request.minModRevision || kv.modRevision >= request.minModRevision) &&
        (!request.maxModRevision || kv.modRevision <= request.maxModRevision) &&
        (!request.minCreateRevision || kv.createRevision >= request.minCreateRevision) &&
        (!request.maxCreateRevision || kv.createRevision <= request.maxCreateRevision),
    );
    sort(kvs, request);
    const limit = request.limit && request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
    const more = kvs.length > limit;
    if (more) kvs = kvs.slice(0, limit);
    if (request.keysOnly) kvs = kvs.map((kv) => ({ ...kv, value: emptyBuffer }));
    return { revision: current, kvs, more, count };
  }

  /** What a put needs of the state before it; checked before anything is written. */
  #checkPutState(request: PutRequest): void {
    if ((request.ignoreValue || request.ignoreLease) && this.#at(request.key.toString('latin1')) === undefined) {
      throw storeError('key_not_found');
    }
    if (request.lease !== undefined && request.lease !== 0n) this.#lease(request.lease);
  }

  #put(request: PutRequest, writing: Writing): { prevKv?: KeyValue } {
    const name = request.key.toString('latin1');
    const previous = this.#at(name);
    const lease = request.ignoreLease ? (previous?.lease ?? 0n) : (request.lease ?? 0n);
    const kv: KeyValue = {
      key: Buffer.from(request.key),
      value: request.ignoreValue ? (previous?.value ?? emptyBuffer) : Buffer.from(request.value),
      createRevision: previous?.createRevision ?? writing.revision,
      modRevision: writing.revision,
      version: (previous?.version ?? 0) + 1,
      lease,
    };
    this.#leases.get(previous?.lease ?? 0n)?.keys.delete(name);
    this.#leases.get(lease)?.keys.add(name);
    this.#record({ revision: writing.revision, name, kv }, writing);
    return request.prevKv && previous !== undefined ? { prevKv: previous } : {};
  }

  #deleteRange(request: DeleteRangeRequest, writing: Writing): { deleted: number; prevKvs: KeyValue[] } {
    const prevKvs: KeyValue[] = [];
    let deleted = 0;
    for (const name of this.#namesIn(request)) {
      const previous = this.#at(name);
      if (previous === undefined) continue;
      deleted++;
      if (request.prevKv) prevKvs.push(previous);
      this.#leases.get(previous.lease)?.keys.delete(name);
      this.#record({ revision: writing.revision, name, kv: undefined }, writing);
    }
    return { deleted, prevKvs };
  }

  #choosePath(request: TxnRequest, path: Map<TxnRequest, boolean>): void {
    const succeeded = request.compare.every((compare) => this.#compare(compare));
    path.set(request, succeeded);
    for (const op of succeeded ? request.success : request.failure) if ('txn' in op) this.#choosePath(op.txn, path);
  }

  #checkTxnState(request: TxnRequest, path: ReadonlyMap<TxnRequest, boolean>): void {
    for (const op of path.get(request) ? request.success : request.failure) {
      if ('put' in op) this.#checkPutState(op.put);
      else if ('txn' in op) this.#checkTxnState(op.txn, path);
      else if ('range' in op && op.range.revision) {
        if (op.range.revision > this.#revision) throw storeError('future_revision');
        if (op.range.revision < this.#compactRevision) throw storeError('compacted');
      }
    }
  }

  #txn(request: TxnRequest, path: ReadonlyMap<TxnRequest, boolean>, writing: Writing): TxnResult {
    const succeeded = path.get(request) === true;
    const responses = (succeeded ? request.success : request.failure).map((op) => this.#apply(op, path, writing));
    const revision = writing.changes.length > 0 ? writing.revision : this.#revision;
    return { revision, succeeded, responses };
  }

  #apply(op: RequestOp, path: ReadonlyMap<TxnRequest, boolean>, writing: Writing): ResponseOp {
    if ('range' in op) return { range: this.#range(op.range, writing) };
    if ('put' in op) return { put: this.#put(op.put, writing) };
    if ('deleteRange' in op) return { deleteRange: this.#deleteRange(op.deleteRange, writing) };
    return { txn: this.#txn(op.txn, path, writing) };
  }

  #compare(compare: Compare): boolean {
    const found: KeyValue[] = [];
    for (const name of this.#namesIn(compare)) {
      const kv = this.#at(name);
      if (kv !== undefined) found.push(kv);
    }
    if (found.length > 0) return found.every((kv) => holds(compare, kv));
    // A missing key has version, revisions and lease zero, but no value at all, not even the empty one.
    if ('value' in compare.target) return false;
    const nothing = { key: compare.key, value: emptyBuffer, createRevision: 0, modRevision: 0, version: 0, lease: 0n };
    return holds(compare, nothing);
  }

  #record(change: Change, writing: Writing): void {
    writing.changes.push(change);
    const changes = this.#history.get(change.name);
    if (changes !== undefined) {
      changes.push(change);
      return;
    }
    this.#history.set(change.name, [change]);
    this.#names.splice(this.#find(change.name), 0, change.name);
  }

  /** The key as of a revision; undefined when it did not exist then. */
  #at(name: string, revision = Number.POSITIVE_INFINITY): KeyValue | undefined {
    return this.#history.get(name)?.findLast((change) => change.revision <= revision)?.kv;
  }

  #namesIn(range: { readonly key: Buffer; readonly rangeEnd?: Buffer }): string[] {
    const [start, end] = bounds(range);
    const from = this.#find(start);
    const to = end === undefined ? this.#names.length : this.#find(end);
    return this.#names.slice(from, to);
  }

  /** The position of the first name that is not below this one. */
  #find(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#names[middle]! < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #lease(id: bigint): Lease {
    const lease = this.#leases.get(id);
    if (lease === undefined) throw storeError('lease_not_found');
    return lease;
  }

  #renew(lease: Lease): void {
    clearTimeout(lease.timer);
    lease.expiresAt = Date.now() + lease.ttl * 1000;
    // Longer than a timer can wait: looked at again when the timer ends.
    const wait = Math.min(lease.ttl * 1000, 0x7fff_ffff);
    lease.timer = setTimeout(() => {
      if (Date.now() >= lease.expiresAt) this.#revoke(lease);
    }, wait).unref();
  }

  #revoke(lease: Lease): void {
    clearTimeout(lease.timer);
    this.#leases.delete(lease.id);
    const names = [...lease.keys].sort();
    this.#write((writing) => {
      for (const name of names) this.#record({ revision: writing.revision, name, kv: undefined }, writing);
    });
  }

  #scheduleDelivery(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    queueMicrotask(() => {
      this.#delivering = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    for (const watcher of [...this.#watchers]) {
      if (watcher.next < this.#compactRevision) {
        this.#watchers.delete(watcher);
        watcher.handler.onCancel(storeError('compacted'), this.#compactRevision);
        continue;
      }
      if (watcher.next > this.#revision) continue;
      const events: WatchEvent[] = [];
      for (let index = this.#logIndex(watcher.next); index < this.#log.length; index++) {
        const event = this.#event(watcher, this.#log[index]!);
        if (event !== undefined) events.push(event);
      }
      watcher.next = this.#revision + 1;
      if (events.length > 0) watcher.handler.onEvents(events, this.#revision);
    }
  }

  #logIndex(revision: number): number {
    const last = this.#log.findLastIndex((change) => change.revision < revision);
    return last + 1;
  }

  #event(watcher: MemoryWatcher, change: Change): WatchEvent | undefined {
    if (change.name < watcher.start || (watcher.end !== undefined && change.name >= watcher.end)) return undefined;
    const type = change.kv === undefined ? 'delete' : 'put';
    if (watcher.request.filters?.includes(type === 'put' ? 'noput' : 'nodelete')) return undefined;
    const kv = change.kv ?? {
      key: Buffer.from(change.name, 'latin1'),
      value: emptyBuffer,
      createRevision: 0,
      modRevision: change.revision,
      version: 0,
      lease: 0n,
    };
    // What stood before is known only while the revision before is not compacted.
    const known = watcher.request.prevKv && change.revision - 1 >= this.#compactRevision;
    const prevKv = known ? this.#at(change.name, change.revision - 1) : undefined;
    return prevKv === undefined ? { type, kv } : { type, kv, prevKv };
  }
}

/** Start and exclusive end of a request's keys as latin1 strings; no end: to the end of the keyspace. */
function bounds(range: { readonly key: Buffer; readonly rangeEnd?: Buffer }): [string, string | undefined] {
  const start = range.key.toString('latin1');
  if (range.rangeEnd === undefined || range.rangeEnd.length === 0) return [start, `${start}\0`];
  const end = range.rangeEnd.toString('latin1');
  if (end === '\0') return [start, undefined];
  if (end < start) return [start, start];
  return [start, end];
}

const sortKeys = {
  key: (kv: KeyValue) => kv.key,
  value: (kv: KeyValue) => kv.value,
  version: (kv: KeyValue) => kv.version,
  create: (kv: KeyValue) => kv.createRevision,
  mod: (kv: KeyValue) => kv.modRevision,
} as const;

function sort(kvs: KeyValue[], request: RangeRequest): void {
  const target = request.sortTarget ?? 'key';
  let order = request.sortOrder ?? 'none';
  if (order === 'none' && target !== 'key') order = 'ascend';
  if (order === 'none' || (order === 'ascend' && target === 'key')) return;
  const keyOf = sortKeys[target];
  const sign = order === 'ascend' ? 1 : -1;
  kvs.sort((a, b) => sign * order3(keyOf(a), keyOf(b)));
}

function order3(a: Buffer | number | bigint, b: Buffer | number | bigint): number {
  if (Buffer.isBuffer(a) && Buffer.isBuffer(b)) return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

function holds(compare: Compare, kv: KeyValue): boolean {
  const { target } = compare;
  let order: number;
  if ('version' in target) order = order3(kv.version, target.version);
  else if ('createRevision' in target) order = order3(kv.createRevision, target.createRevision);
  else if ('modRevision' in target) order = order3(kv.modRevision, target.modRevision);
  else if ('lease' in target) order = order3(kv.lease, target.lease);
  else order = Buffer.compare(kv.value, target.value);
  const verdicts = { equal: order === 0, not_equal: order !== 0, greater: order > 0, less: order < 0 };
  return verdicts[compare.result];
}
