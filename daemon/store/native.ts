import { loadAddon } from '../native-addon.ts';
import {
  type AppliedCommand,
  decodeApplied,
  decodeKeyValues,
  decodeLog,
  type LogEntry,
  type MetaWrite,
  PackedRange,
  packHardState,
  packLog,
  packMeta,
  rangeHeader,
} from './native-packing.ts';
import { NativeWatchHub, type RawWatchHub } from './native-watch.ts';
import { type KeyValue, type RangeRequest, type RangeResult, StoreError, type StoreErrorCode } from './store.ts';
import { storeError } from './store-error-table.ts';

export type { AppliedCommand, HardState, LogEntry, MetaWrite } from './native-packing.ts';
export { encodeCommand, type PackedRange, type RequestKind } from './native-packing.ts';
export type { NativeWatchEvent, NativeWatchHub, WatchSink } from './native-watch.ts';

import type { HardState } from './native-packing.ts';

export interface NativeStoreOptions {
  readonly clusterId?: bigint;
  readonly memberId?: bigint;
  /** false: refuse a directory that holds no store. */
  readonly create?: boolean;
  /**
   * `always` (default): `appendLog` resolves after one fsync shared by all that wait. `never`: it resolves once the operating
   * system has the bytes; for tests and benches, and never for a member others rely on.
   */
  readonly walSync?: 'always' | 'never';
  /** Bytes of RocksDB block cache (default 16 MiB). */
  readonly blockCacheBytes?: number;
  /** Bytes of one RocksDB write buffer (default 8 MiB). */
  readonly writeBufferBytes?: number;
  /** Bytes of recently read or written records kept decoded in memory (default 16 MiB). */
  readonly recordCacheBytes?: number;
  /** Seconds; a lease asked for less lives this long (default 2). The same on every member. */
  readonly minLeaseTtl?: number;
  /** Bytes of disk above which `stats().quotaExceeded` (default 2 GiB; etcd's `--quota-backend-bytes`). */
  readonly quotaBytes?: number;
}

export interface LogState {
  /** Index of the first entry that can be read; `lastIndex + 1` when there is none. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Index and term of the entry just before `firstIndex`: 0 and 0 when the log starts at its beginning. */
  readonly compactedIndex: number;
  readonly compactedTerm: number;
  readonly hardState: HardState;
}

export interface StoreState {
  readonly revision: number;
  /** Reads below this revision fail with `compacted`; -1 when nothing was ever compacted. */
  readonly compactRevision: number;
  readonly appliedIndex: number;
  readonly appliedTerm: number;
}

export interface StoreStats {
  /** Bytes on disk (SST files and write-ahead log), and bytes of them that live data takes (an estimate). */
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  readonly quotaBytes: number;
  readonly quotaExceeded: boolean;
  readonly keys: number;
  readonly watchers: number;
  readonly slowWatchers: number;
  /** Events waiting to be drained. */
  readonly pendingEvents: number;
  readonly leases: number;
  /** Bytes: RocksDB's block cache, memtables and table readers; the key index (an estimate); the record cache. */
  readonly blockCacheBytes: number;
  readonly memtableBytes: number;
  readonly tableReaderBytes: number;
  readonly indexBytes: number;
  readonly recordCacheBytes: number;
}

export interface NativeLease {
  readonly id: bigint;
  /** Seconds left, rounded; the granted TTL while this member does not lead. -1: no such lease. */
  readonly ttl: number;
  readonly grantedTtl: number;
  readonly keys: readonly Buffer[];
}

export interface Alarm {
  readonly memberId: bigint;
  readonly alarm: 'nospace' | 'corrupt';
}

/** A consistent view being read out; close it whether or not it was read to the end. */
export interface NativeSnapshot {
  readonly revision: number;
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** The next piece (about 1 MiB, each with its own checksum), undefined after the last. */
  read(): Promise<Buffer | undefined>;
  close(): void;
}

/** A new state being written beside the running one from a snapshot's pieces. */
export interface SnapshotInstall {
  write(piece: Buffer): Promise<void>;
  /**
   * Verifies that the snapshot is whole, and makes it the store's state, atomically also against a crash. The Raft log is then empty and starts
   * after the snapshot's index. Watchers go on from where they were, or are cancelled as compacted.
   */
  finish(hardState: HardState): Promise<StoreState>;
  abort(): void;
}

/** The addon's own face; every method is on the object `open` returns. */
interface RawStore {
  close(): void;
  setIdentity(clusterId: bigint, memberId: bigint): void;
  appendLog(entries: Uint8Array, hardState: Uint8Array | undefined): Promise<void>;
  logState(): LogState;
  readLog(from: number, to: number, maxBytes: number): ArrayBuffer;
  logTerm(index: number): number;
  compactLog(index: number): void;
  apply(entries: Uint8Array, raftTerm: number, meta: Uint8Array | undefined): ArrayBuffer;
  state(): StoreState;
  stats(): StoreStats;
  get(key: Uint8Array, scratch: Uint8Array): number | ArrayBuffer;
  range(
    key: Uint8Array,
    rangeEnd: Uint8Array | undefined,
    limit: number,
    revision: number,
    flags: number,
    minModRevision: number,
    maxModRevision: number,
    minCreateRevision: number,
    maxCreateRevision: number,
  ): number | ArrayBuffer;
  rangeEncoded(request: Uint8Array, raftTerm: number): number | Buffer;
  txnEncoded(request: Uint8Array, raftTerm: number): number | Buffer;
  checkRequest(kind: number, request: Uint8Array, maxTxnOps: number): number;
  getMeta(key: string): Buffer | undefined;
  scanMeta(prefix: string): [string, Buffer][];
  writeMeta(writes: Uint8Array): Promise<void>;
  leasePromote(extendSeconds: number): void;
  leaseDemote(): void;
  leaseRenew(id: bigint): number;
  leaseCheckpointed(id: bigint): boolean;
  expiredLeases(limit: number): bigint[];
  leaseCheckpoints(limit: number): [bigint, number][];
  leaseInfo(id: bigint, keys: boolean): NativeLease;
  leases(): bigint[];
  alarms(): Alarm[];
  createWatchHub(onReady: () => void): RawWatchHub;
  compactionFinished(revision: number): Promise<void>;
  hashKv(revision: number): Promise<{ hash: number; revision: number; compactRevision: number }>;
  checkpoint(directory: string): Promise<void>;
  snapshot(): NativeSnapshot;
  installSnapshot(): {
    write(piece: Uint8Array): Promise<void>;
    finish(hardState: Uint8Array): Promise<StoreState>;
    abort(): void;
  };
  defragment(): Promise<void>;
  flush(): Promise<void>;
}

interface RawAddon {
  open(path: string, options: NativeStoreOptions): RawStore;
  readonly errorCodes: readonly (StoreErrorCode | 'ok')[];
}

let addon: RawAddon | undefined;

function storeAddon(): RawAddon {
  addon ??= loadAddon<RawAddon>('store');
  return addon;
}

/** Runs a call into the addon and gives its failures the store's error type. */
function guard<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asStoreError(error);
  }
}

async function guardAsync<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw asStoreError(error);
  }
}

function asStoreError(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  if (!storeAddon().errorCodes.includes(error.code as StoreErrorCode)) return error;
  return new StoreError(error.code as StoreErrorCode, error.message);
}

function failure(code: number): StoreError {
  const name = storeAddon().errorCodes[code];
  if (name === undefined || name === 'ok') throw new Error(`the native store answered with the unknown code ${code}`);
  return storeError(name);
}

/** Request kinds whose encoded etcd message `checkRequest` can judge before it is proposed. */
const checkableKinds = { range: 0, put: 1, deleteRange: 2, txn: 3 } as const;

const sortOrders = { none: 0, ascend: 1, descend: 2 } as const;
const sortTargets = { key: 0, version: 1, create: 2, mod: 3, value: 4 } as const;
const keysOnlyFlag = 1 << 8;
const countOnlyFlag = 1 << 9;

/**
 * One store of this process. Opening the same path again, from this or another thread, gives a second handle to the same store;
 * it closes with its last handle. Calls that write (`apply`, `compactLog`) belong to one thread; all others may come from any.
 *
 * A disk error makes the store refuse everything from then on with the code `corrupt`: what was acknowledged stays true,
 * nothing new is.
 */
export class NativeStore {
  readonly #raw: RawStore;
  readonly #scratch = Buffer.allocUnsafeSlow(64 * 1024);

  constructor(raw: RawStore) {
    this.#raw = raw;
  }

  close(): void {
    guard(() => this.#raw.close());
  }

  /** What response headers carry. */
  setIdentity(clusterId: bigint, memberId: bigint): void {
    guard(() => this.#raw.setIdentity(clusterId, memberId));
  }

  // --- The Raft log

  /**
   * Appends entries (of consecutive indexes; existing ones from the first index on are replaced, and later ones dropped) and sets the
   * hard state, in one atomic write. Resolves once it is on disk; everything that waits at the time shares one fsync. Calls take
   * effect in order.
   */
  appendLog(entries: readonly LogEntry[], hardState?: HardState): Promise<void> {
    return guardAsync(() => this.#raw.appendLog(packLog(entries), hardState && packHardState(hardState)));
  }

  logState(): LogState {
    return guard(() => this.#raw.logState());
  }

  /** Entries `from` (inclusive) to `to` (exclusive), at least one and then as many as `maxBytes` of data allows. */
  readLog(from: number, to: number, maxBytes: number = Number.MAX_SAFE_INTEGER): LogEntry[] {
    return decodeLog(guard(() => this.#raw.readLog(from, to, maxBytes)));
  }

  /** The term of an entry, also of the one last compacted; undefined when it is not there. */
  logTerm(index: number): number | undefined {
    const term = guard(() => this.#raw.logTerm(index));
    return term < 0 ? undefined : term;
  }

  /** Drops the entries up to and including `index`, which must have been applied. */
  compactLog(index: number): void {
    guard(() => this.#raw.compactLog(index));
  }

  // --- Applying

  /**
   * Applies committed entries in order, atomically with the applied index; the entries at or below it are skipped and get no result.
   * Entries of `type` 0 with data hold an encoded `Command`; others advance the applied index only and get no result. `meta` is written in the same batch.
   * Results come in the order of the entries.
   */
  apply(entries: readonly LogEntry[], options: { raftTerm: number; meta?: readonly MetaWrite[] }): AppliedCommand[] {
    return this.decodeApplied(this.applyPacked(entries, options));
  }

  /** The same, with the results left packed: another thread decodes them. */
  applyPacked(entries: readonly LogEntry[], options: { raftTerm: number; meta?: readonly MetaWrite[] }): ArrayBuffer {
    return guard(() => this.#raw.apply(packLog(entries), options.raftTerm, options.meta && packMeta(options.meta)));
  }

  decodeApplied(packed: ArrayBuffer): AppliedCommand[] {
    return decodeApplied(packed, storeAddon().errorCodes);
  }

  state(): StoreState {
    return guard(() => this.#raw.state());
  }

  stats(): StoreStats {
    return guard(() => this.#raw.stats());
  }

  // --- Reading

  /** The newest value of one key. */
  get(key: Buffer): KeyValue | undefined {
    const found = guard(() => this.#raw.get(key, this.#scratch));
    if (found === 0) return undefined;
    if (typeof found !== 'number') return decodeKeyValues(found, 1)[0];
    // The scratch buffer is written again by the next call.
    const copy = Uint8Array.prototype.slice.call(this.#scratch, 0, found);
    return decodeKeyValues(copy.buffer, 1)[0];
  }

  /** The whole of etcd's Range; a transaction's view of one revision. Throws `compacted`, `future_revision`, `empty_key`. */
  range(request: RangeRequest): RangeResult {
    const packed = this.rangePacked(request);
    return { revision: packed.revision, count: packed.count, more: packed.more, kvs: packed.toKeyValues() };
  }

  /** The same, as one buffer of which each record is a view: for large lists. */
  rangePacked(request: RangeRequest): PackedRange {
    const flags =
      sortOrders[request.sortOrder ?? 'none'] |
      (sortTargets[request.sortTarget ?? 'key'] << 4) |
      (request.keysOnly ? keysOnlyFlag : 0) |
      (request.countOnly ? countOnlyFlag : 0);
    const result = guard(() =>
      this.#raw.range(
        request.key,
        request.rangeEnd,
        request.limit ?? 0,
        request.revision ?? 0,
        flags,
        request.minModRevision ?? 0,
        request.maxModRevision ?? 0,
        request.minCreateRevision ?? 0,
        request.maxCreateRevision ?? 0,
      ),
    );
    if (typeof result === 'number') throw failure(result);
    return new PackedRange(result, rangeHeader(result));
  }

  /** An encoded `etcdserverpb.RangeRequest` to an encoded `RangeResponse`, header filled. */
  rangeEncoded(request: Uint8Array, raftTerm: number): Buffer {
    const result = guard(() => this.#raw.rangeEncoded(request, raftTerm));
    if (typeof result === 'number') throw failure(result);
    return result;
  }

  /** An encoded `TxnRequest` that only reads, to an encoded `TxnResponse`; `invalid_argument` when it would write. */
  txnEncoded(request: Uint8Array, raftTerm: number): Buffer {
    const result = guard(() => this.#raw.txnEncoded(request, raftTerm));
    if (typeof result === 'number') throw failure(result);
    return result;
  }

  /** Judges an encoded request by etcd's rules before it is proposed; throws what its server answers with. */
  checkRequest(kind: keyof typeof checkableKinds, request: Uint8Array, maxTxnOps = 128): void {
    const code = guard(() => this.#raw.checkRequest(checkableKinds[kind], request, maxTxnOps));
    if (code !== 0) throw failure(code);
  }

  // --- Records of the layer above (members, users, roles)

  getMeta(key: string): Buffer | undefined {
    return guard(() => this.#raw.getMeta(key));
  }

  scanMeta(prefix: string): [string, Buffer][] {
    return guard(() => this.#raw.scanMeta(prefix));
  }

  /** Writes outside the Raft log (a new member's first record of itself); resolves once on disk. */
  writeMeta(writes: readonly MetaWrite[]): Promise<void> {
    return guardAsync(() => this.#raw.writeMeta(packMeta(writes)));
  }

  // --- Leases. Clocks run on the leader only: between `leasePromote` and `leaseDemote`.

  /** This member leads now: every lease gets its remaining TTL plus `extendSeconds` (an election timeout) from now. */
  leasePromote(extendSeconds: number): void {
    guard(() => this.#raw.leasePromote(extendSeconds));
  }

  leaseDemote(): void {
    guard(() => this.#raw.leaseDemote());
  }

  /**
   * Seconds the lease now has. `checkpointed`: its remaining TTL had been checkpointed, so propose a checkpoint of 0 for it.
   * Throws `lease_not_found`, also when it has expired; `not_leader` when this member does not lead.
   */
  leaseRenew(id: bigint): { ttl: number; checkpointed: boolean } {
    const checkpointed = guard(() => this.#raw.leaseCheckpointed(id));
    return { ttl: guard(() => this.#raw.leaseRenew(id)), checkpointed };
  }

  /** Leases to revoke now, at most `limit`; each is offered again after a while until it is gone. */
  expiredLeases(limit: number): bigint[] {
    return guard(() => this.#raw.expiredLeases(limit));
  }

  /** Long leases whose remaining seconds should be proposed as a checkpoint now. */
  leaseCheckpoints(limit: number): [id: bigint, remainingTtl: number][] {
    return guard(() => this.#raw.leaseCheckpoints(limit));
  }

  leaseInfo(id: bigint, keys: boolean): NativeLease {
    return guard(() => this.#raw.leaseInfo(id, keys));
  }

  leases(): bigint[] {
    return guard(() => this.#raw.leases());
  }

  alarms(): Alarm[] {
    return guard(() => this.#raw.alarms());
  }

  // --- Watching

  /** One per thread; its watchers call back on the thread that made it. */
  createWatchHub(): NativeWatchHub {
    return new NativeWatchHub((onReady) => guard(() => this.#raw.createWatchHub(onReady)));
  }

  // --- Maintenance

  /** Resolves when what a compaction at `revision` (default: the last one) leaves out has been removed. */
  compactionFinished(revision = 0): Promise<void> {
    return guardAsync(() => this.#raw.compactionFinished(revision));
  }

  /** Checksum of all keys and revisions up to `revision` (0: the newest), equal on all members that hold the same. */
  hashKv(revision = 0): Promise<{ hash: number; revision: number; compactRevision: number }> {
    return guardAsync(() => this.#raw.hashKv(revision));
  }

  /** A consistent copy that can be opened as a store, made of hard links where the file system allows; `directory` must not exist. */
  checkpoint(directory: string): Promise<void> {
    return guardAsync(() => this.#raw.checkpoint(directory));
  }

  snapshot(): NativeSnapshot {
    const raw = guard(() => this.#raw.snapshot());
    return {
      revision: raw.revision,
      appliedIndex: raw.appliedIndex,
      appliedTerm: raw.appliedTerm,
      read: () => guardAsync(() => raw.read()),
      close: () => guard(() => raw.close()),
    };
  }

  installSnapshot(): SnapshotInstall {
    const raw = guard(() => this.#raw.installSnapshot());
    return {
      write: (piece) => guardAsync(() => raw.write(piece)),
      finish: (hardState) => guardAsync(() => raw.finish(packHardState(hardState))),
      abort: () => guard(() => raw.abort()),
    };
  }

  /** Rewrites the files without what was deleted. */
  defragment(): Promise<void> {
    return guardAsync(() => this.#raw.defragment());
  }

  /** Writes the memtables out, so that the next start has no write-ahead log to replay. */
  flush(): Promise<void> {
    return guardAsync(() => this.#raw.flush());
  }
}

/**
 * Opens the store in `path` (made if absent), or takes another handle to it when this process has it open.
 * Throws `corrupt` with one line that says what is wrong with the directory: read-only, damaged, or of a newer format.
 */
export function openStore(path: string, options: NativeStoreOptions = {}): NativeStore {
  return new NativeStore(guard(() => storeAddon().open(path, options)));
}
