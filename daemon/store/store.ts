/**
 * The `Store` seam: etcd v3 semantics, whatever stands behind it (the embedded replicated store, an external etcd v3
 * cluster, or the in-memory reference model that both are tested against).
 *
 * Revisions, versions and Raft positions are `number`: they stay below 2^53. Lease ids are `bigint`: clients choose them
 * from all 64 bits. Keys and values are bytes.
 */

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** 0n when the key has no lease. */
  readonly lease: bigint;
}

export type SortOrder = 'none' | 'ascend' | 'descend';
export type SortTarget = 'key' | 'version' | 'create' | 'mod' | 'value';

export interface RangeRequest {
  readonly key: Buffer;
  /** Exclusive end; absent: the one key; a single zero byte: to the end of the keyspace. */
  readonly rangeEnd?: Buffer;
  readonly limit?: number;
  /** Read at this past revision; absent or 0: the newest. */
  readonly revision?: number;
  readonly sortOrder?: SortOrder;
  readonly sortTarget?: SortTarget;
  /** Read this member's state without asking the leader. */
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  readonly minModRevision?: number;
  readonly maxModRevision?: number;
  readonly minCreateRevision?: number;
  readonly maxCreateRevision?: number;
}

export interface RangeResult {
  /** The store's revision when the range was read (not the revision asked for). */
  readonly revision: number;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  /** How many keys lie in the range, whatever the limit. */
  readonly count: number;
}

export interface PutRequest {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly lease?: bigint;
  readonly prevKv?: boolean;
  readonly ignoreValue?: boolean;
  readonly ignoreLease?: boolean;
}

export interface DeleteRangeRequest {
  readonly key: Buffer;
  readonly rangeEnd?: Buffer;
  readonly prevKv?: boolean;
}

export type CompareResult = 'equal' | 'greater' | 'less' | 'not_equal';

export interface Compare {
  readonly key: Buffer;
  readonly rangeEnd?: Buffer;
  readonly result: CompareResult;
  readonly target:
    | { readonly version: number }
    | { readonly createRevision: number }
    | { readonly modRevision: number }
    | { readonly value: Buffer }
    | { readonly lease: bigint };
}

export type RequestOp =
  | { readonly range: RangeRequest }
  | { readonly put: PutRequest }
  | { readonly deleteRange: DeleteRangeRequest }
  | { readonly txn: TxnRequest };

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export type ResponseOp =
  | { readonly range: RangeResult }
  | { readonly put: { readonly prevKv?: KeyValue } }
  | { readonly deleteRange: { readonly deleted: number; readonly prevKvs: readonly KeyValue[] } }
  | { readonly txn: TxnResult };

export interface TxnResult {
  readonly revision: number;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export interface WatchEvent {
  readonly type: 'put' | 'delete';
  /** For a delete: only `key` and `modRevision` are set; `value` is empty. */
  readonly kv: KeyValue;
  readonly prevKv?: KeyValue;
}

export interface WatchRequest {
  readonly key: Buffer;
  readonly rangeEnd?: Buffer;
  /** First revision to deliver; absent or 0: from the next change on. */
  readonly startRevision?: number;
  readonly prevKv?: boolean;
  /** Report progress while idle (etcd: every 10 minutes; the store may be asked sooner by `requestProgress`). */
  readonly progressNotify?: boolean;
  readonly filters?: readonly ('noput' | 'nodelete')[];
}

export interface WatchHandler {
  /**
   * All events of one or more whole revisions, in order; never half a revision. `revision` is the store's revision that
   * the watcher has now seen everything up to.
   */
  onEvents(events: readonly WatchEvent[], revision: number): void;
  /** Everything up to `revision` has been delivered. */
  onProgress?(revision: number): void;
  /** The watch is over: compacted (then `compactRevision` is the first revision that can still be watched), or closed. */
  onCancel(reason: StoreError | undefined, compactRevision?: number): void;
}

export interface Watcher {
  requestProgress(): void;
  cancel(): void;
}

export interface LeaseStatus {
  readonly id: bigint;
  /** Seconds left; -1 when the lease does not exist. */
  readonly ttl: number;
  readonly grantedTtl: number;
  readonly keys: readonly Buffer[];
}

export interface Member {
  readonly id: bigint;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export interface StoreStatus {
  readonly version: string;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly compactRevision: number;
  readonly leader: bigint;
  readonly raftIndex: number;
  readonly raftTerm: number;
  readonly raftAppliedIndex: number;
  /** Bytes on disk, and bytes of them in use. */
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  readonly isLearner: boolean;
  readonly errors: readonly string[];
}

/** Why a store call failed; the words are etcd's so that its clients can match them. */
export type StoreErrorCode =
  | 'compacted'
  | 'future_revision'
  | 'key_not_found'
  | 'value_provided'
  | 'lease_provided'
  | 'lease_not_found'
  | 'lease_exists'
  | 'lease_ttl_too_large'
  | 'duplicate_key'
  | 'too_many_ops'
  | 'request_too_large'
  | 'empty_key'
  | 'no_space'
  | 'corrupt'
  | 'no_leader'
  | 'not_leader'
  | 'leader_changed'
  | 'timeout'
  | 'too_many_requests'
  | 'not_supported_for_learner'
  | 'member_not_found'
  | 'member_exists'
  | 'unhealthy_cluster'
  | 'unavailable'
  | 'invalid_argument';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export interface Store {
  /** Linearizable unless `serializable`. Fails with `compacted` or `future_revision`. */
  range(request: RangeRequest): Promise<RangeResult>;
  put(request: PutRequest): Promise<{ revision: number; prevKv?: KeyValue }>;
  deleteRange(
    request: DeleteRangeRequest,
  ): Promise<{ revision: number; deleted: number; prevKvs: readonly KeyValue[] }>;
  txn(request: TxnRequest): Promise<TxnResult>;
  /** Resolves once the watch is registered: no change after that moment is missed. */
  watch(request: WatchRequest, handler: WatchHandler): Promise<Watcher>;
  compact(revision: number): Promise<void>;

  leaseGrant(ttlSeconds: number, id?: bigint): Promise<{ id: bigint; ttl: number }>;
  leaseRevoke(id: bigint): Promise<void>;
  leaseKeepAlive(id: bigint): Promise<{ ttl: number }>;
  leaseTimeToLive(id: bigint, keys: boolean): Promise<LeaseStatus>;
  leases(): Promise<readonly bigint[]>;

  /** A consistent copy of the whole store, as it streams to a backup. */
  snapshot(): AsyncIterable<Buffer>;
  members(): Promise<readonly Member[]>;
  status(): Promise<StoreStatus>;

  /** True while this member leads: the scheduler and the controllers run where this is true. */
  isLeader(): boolean;
  /** Calls back on every change of `isLeader()`; returns the unsubscribe function. */
  onLeadership(listener: (leader: boolean) => void): () => void;
}
