import { randomBytes } from 'node:crypto';
import { LeaseCheckpointRequest, LeaseGrantRequest, LeaseGrantResponse } from '../../proto/generated/etcd/messages.ts';
import { LeaderQuestion_Kind } from '../../proto/generated/raft/messages.ts';
import {
  decodeDeleteRange,
  decodePut,
  decodeTxn,
  encodeDeleteRange,
  encodeInteger,
  encodePut,
  encodeTxn,
} from './etcd-messages.ts';
import { MembershipChanges } from './membership.ts';
import type { NativeStore, NativeWatchHub, RequestKind } from './native.ts';
import type { RaftThread } from './raft-thread.ts';
import { type MemberRecord, memberKeyPrefix } from './raft-thread-protocol.ts';
import { checkDeleteRange, checkPut, checkRange, checkTxn, maxLeaseTtl } from './request-rules.ts';
import { framePieces, sealSnapshot } from './snapshot-file.ts';
import type {
  DeleteRangeRequest,
  KeyValue,
  LeaseStatus,
  Member,
  PutRequest,
  RangeRequest,
  RangeResult,
  Store,
  StoreStatus,
  TxnRequest,
  TxnResult,
  Watcher,
  WatchHandler,
  WatchRequest,
} from './store.ts';
import { storeError } from './store-error-table.ts';

/** What `status` says the store is compatible with. */
export const etcdVersion = '3.6.0';
/** Bytes a request may have, as etcd's `--max-request-bytes`. */
export const maxRequestBytes = 1.5 * 1024 * 1024;
/** Milliseconds between two progress reports to a watcher that asked for them. */
const progressInterval = 10 * 60 * 1000;

/** The store of this process: writes go through Raft in its own thread, reads and watches straight to the native store. */
export class EmbeddedStore implements Store {
  readonly native: NativeStore;
  readonly thread: RaftThread;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly #hub: NativeWatchHub;
  readonly #watches = new Map<number, { readonly handler: WatchHandler; readonly progress: boolean }>();
  readonly #leadershipListeners = new Set<(leader: boolean) => void>();
  readonly #progressTimer: NodeJS.Timeout;
  readonly membership: MembershipChanges;
  readonly #closeListeners: (() => void)[] = [];
  #closed = false;

  constructor(native: NativeStore, thread: RaftThread, memberId: bigint, clusterId: bigint) {
    this.native = native;
    this.thread = thread;
    this.memberId = memberId;
    this.clusterId = clusterId;
    this.#hub = native.createWatchHub();
    this.membership = new MembershipChanges(thread, clusterId, () => this.members());
    this.#progressTimer = setInterval(() => {
      for (const [id, { progress }] of this.#watches) if (progress) this.#hub.requestProgress(id);
    }, progressInterval).unref();
  }

  async range(request: RangeRequest): Promise<RangeResult> {
    checkRange(request);
    if (!request.serializable && !this.thread.readsAlone()) await this.thread.confirmRead();
    this.#assertOpen();
    return this.native.range(request);
  }

  async put(request: PutRequest): Promise<{ revision: number; prevKv?: KeyValue }> {
    checkPut(request);
    return decodePut(await this.write('put', encodePut(request)));
  }

  async deleteRange(
    request: DeleteRangeRequest,
  ): Promise<{ revision: number; deleted: number; prevKvs: readonly KeyValue[] }> {
    checkDeleteRange(request);
    return decodeDeleteRange(await this.write('deleteRange', encodeDeleteRange(request)));
  }

  async txn(request: TxnRequest): Promise<TxnResult> {
    checkTxn(request);
    return decodeTxn(await this.write('txn', encodeTxn(request)));
  }

  /** Proposes an encoded request; the encoded response. Throws what the store answered. */
  async write(kind: RequestKind, request: Uint8Array): Promise<Buffer> {
    if (request.length > maxRequestBytes) throw storeError('request_too_large');
    const result = await this.thread.propose(kind, request);
    if (result.error !== undefined) throw storeError(result.error);
    return result.response;
  }

  async watch(request: WatchRequest, handler: WatchHandler): Promise<Watcher> {
    this.#assertOpen();
    if (request.key.length === 0) throw storeError('empty_key');
    const { id } = this.#hub.watch(request, {
      onEvents: (events, revision) => handler.onEvents(events, revision),
      onProgress: (revision) => handler.onProgress?.(revision),
      onCancel: (reason, compactRevision) => {
        this.#watches.delete(id);
        handler.onCancel(reason, compactRevision);
      },
    });
    this.#watches.set(id, { handler, progress: request.progressNotify === true });
    return {
      requestProgress: () => this.#hub.requestProgress(id),
      cancel: () => {
        this.#watches.delete(id);
        this.#hub.cancel(id);
      },
    };
  }

  async compact(revision: number): Promise<void> {
    await this.write('compaction', encodeInteger(1, BigInt(revision)));
  }

  async leaseGrant(ttlSeconds: number, id = 0n): Promise<{ id: bigint; ttl: number }> {
    const response = LeaseGrantResponse.decode(await this.grantLease(BigInt(Math.trunc(ttlSeconds)), id));
    return { id: response.ID, ttl: Number(response.TTL) };
  }

  /** The encoded response; an id of 0 lets the store choose. */
  async grantLease(ttl: bigint, id: bigint): Promise<Buffer> {
    if (ttl > BigInt(maxLeaseTtl)) throw storeError('lease_ttl_too_large');
    const ID = id === 0n ? randomBytes(8).readBigInt64BE() & 0x7fff_ffff_ffff_ffffn || 1n : id;
    return this.write('leaseGrant', LeaseGrantRequest.encode({ TTL: ttl, ID }).finish());
  }

  async leaseRevoke(id: bigint): Promise<void> {
    await this.write('leaseRevoke', encodeInteger(1, id));
  }

  async leaseKeepAlive(id: bigint): Promise<{ ttl: number }> {
    this.#assertOpen();
    if (this.thread.state?.leading) {
      const { ttl, checkpointed } = this.native.leaseRenew(id);
      if (checkpointed) {
        const request = LeaseCheckpointRequest.encode({ checkpoints: [{ ID: id, remainingTTL: 0n }] }).finish();
        await this.write('leaseCheckpoint', request);
      }
      return { ttl };
    }
    const ttl = await this.thread.ask(LeaderQuestion_Kind.RENEW_LEASE, id);
    if (ttl === 0) throw storeError('lease_not_found');
    if (ttl < 0) throw storeError('no_leader');
    return { ttl };
  }

  async leaseTimeToLive(id: bigint, keys: boolean): Promise<LeaseStatus> {
    if (!this.thread.readsAlone()) await this.thread.confirmRead();
    this.#assertOpen();
    const known = this.native.leaseInfo(id, keys);
    if (known.ttl < 0 || this.thread.state?.leading) return known;
    // Only the leader keeps time.
    const ttl = await this.thread.ask(LeaderQuestion_Kind.TIME_TO_LIVE, id);
    return { ...known, ttl };
  }

  async leases(): Promise<readonly bigint[]> {
    if (!this.thread.readsAlone()) await this.thread.confirmRead();
    this.#assertOpen();
    return this.native.leases();
  }

  snapshot(): AsyncIterable<Buffer> {
    this.#assertOpen();
    return sealSnapshot(framePieces(this.#pieces()));
  }

  async *#pieces(): AsyncIterable<Buffer> {
    const snapshot = this.native.snapshot();
    try {
      for (let piece = await snapshot.read(); piece !== undefined; piece = await snapshot.read()) yield piece;
    } finally {
      snapshot.close();
    }
  }

  async members(): Promise<readonly Member[]> {
    this.#assertOpen();
    const learners = new Set([
      ...(this.thread.state?.config.learners ?? []),
      ...(this.thread.state?.config.learnersNext ?? []),
    ]);
    return this.native.scanMeta(memberKeyPrefix).map(([, value]) => {
      const { id, name, peerUrls, clientUrls } = JSON.parse(value.toString()) as MemberRecord;
      return { id: BigInt(id), name, peerUrls, clientUrls, isLearner: learners.has(id) };
    });
  }

  async status(): Promise<StoreStatus> {
    this.#assertOpen();
    const { revision, compactRevision, appliedIndex } = this.native.state();
    const { dbSize, dbSizeInUse } = this.native.stats();
    const state = this.thread.state;
    const log = this.native.logState();
    const errors = this.native
      .alarms()
      .map(({ memberId, alarm }) => `memberID:${memberId} alarm:${alarm.toUpperCase()} `);
    if (state === undefined || state.leader === 0) errors.push('etcdserver: no leader');
    return {
      version: etcdVersion,
      clusterId: this.clusterId,
      memberId: this.memberId,
      revision,
      compactRevision: Math.max(compactRevision, 0),
      leader: BigInt(state?.leader ?? 0),
      raftIndex: log.lastIndex,
      raftTerm: state?.term ?? log.hardState.term,
      raftAppliedIndex: appliedIndex,
      dbSize,
      dbSizeInUse,
      isLearner: state?.config.learners.includes(Number(this.memberId)) ?? false,
      errors,
    };
  }

  isLeader(): boolean {
    return !this.#closed && this.thread.state?.leading === true;
  }

  onLeadership(listener: (leader: boolean) => void): () => void {
    this.#leadershipListeners.add(listener);
    return () => this.#leadershipListeners.delete(listener);
  }

  /** Called by whoever watches the thread. */
  leadershipChanged(leader: boolean): void {
    for (const listener of this.#leadershipListeners) listener(leader);
  }

  /** Resolves when that member leads; rejects with `timeout` when it does not within the time of a request. */
  async moveLeader(target: number): Promise<void> {
    this.thread.transferLeadership(target);
    const limit = performance.now() + 5000;
    while (this.thread.state?.leader !== target) {
      if (performance.now() > limit) throw storeError('timeout');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Calls back before the native store is closed. */
  onClose(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  /** Ends every watch; the native store is left to whoever opened it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#progressTimer);
    for (const { handler } of this.#watches.values()) handler.onCancel(storeError('unavailable'));
    this.#watches.clear();
    this.#hub.close();
    for (const listener of this.#closeListeners) listener();
  }

  #assertOpen(): void {
    if (this.#closed) throw storeError('unavailable');
  }
}
