import { StoreError, type StoreErrorCode } from './store.ts';

/** gRPC status numbers, as https://grpc.io/docs/guides/status-codes names them. */
export const grpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** What a client of etcd sees for each failure: clients match on the status and on the words. */
export const storeErrorTable: Record<StoreErrorCode, { readonly status: number; readonly message: string }> = {
  compacted: { status: grpcStatus.outOfRange, message: 'etcdserver: mvcc: required revision has been compacted' },
  future_revision: {
    status: grpcStatus.outOfRange,
    message: 'etcdserver: mvcc: required revision is a future revision',
  },
  key_not_found: { status: grpcStatus.invalidArgument, message: 'etcdserver: key not found' },
  value_provided: { status: grpcStatus.invalidArgument, message: 'etcdserver: value is provided' },
  lease_provided: { status: grpcStatus.invalidArgument, message: 'etcdserver: lease is provided' },
  lease_not_found: { status: grpcStatus.notFound, message: 'etcdserver: requested lease not found' },
  lease_exists: { status: grpcStatus.failedPrecondition, message: 'etcdserver: lease already exists' },
  lease_ttl_too_large: { status: grpcStatus.outOfRange, message: 'etcdserver: too large lease TTL' },
  duplicate_key: { status: grpcStatus.invalidArgument, message: 'etcdserver: duplicate key given in txn request' },
  too_many_ops: { status: grpcStatus.invalidArgument, message: 'etcdserver: too many operations in txn request' },
  request_too_large: { status: grpcStatus.invalidArgument, message: 'etcdserver: request is too large' },
  empty_key: { status: grpcStatus.invalidArgument, message: 'etcdserver: key is not provided' },
  no_space: { status: grpcStatus.resourceExhausted, message: 'etcdserver: mvcc: database space exceeded' },
  corrupt: { status: grpcStatus.dataLoss, message: 'etcdserver: corrupt cluster' },
  no_leader: { status: grpcStatus.unavailable, message: 'etcdserver: no leader' },
  not_leader: { status: grpcStatus.failedPrecondition, message: 'etcdserver: not leader' },
  leader_changed: { status: grpcStatus.unavailable, message: 'etcdserver: leader changed' },
  timeout: { status: grpcStatus.unavailable, message: 'etcdserver: request timed out' },
  too_many_requests: { status: grpcStatus.resourceExhausted, message: 'etcdserver: too many requests' },
  not_supported_for_learner: {
    status: grpcStatus.failedPrecondition,
    message: 'etcdserver: rpc not supported for learner',
  },
  member_not_found: { status: grpcStatus.notFound, message: 'etcdserver: member not found' },
  member_exists: { status: grpcStatus.failedPrecondition, message: 'etcdserver: member ID already exist' },
  unhealthy_cluster: { status: grpcStatus.unavailable, message: 'etcdserver: unhealthy cluster' },
  unavailable: { status: grpcStatus.unavailable, message: 'etcdserver: server stopped' },
  invalid_argument: { status: grpcStatus.invalidArgument, message: 'etcdserver: invalid argument' },
};

/** The error of this code, with etcd's words unless others are given. */
export function storeError(code: StoreErrorCode, message: string = storeErrorTable[code].message): StoreError {
  return new StoreError(code, message);
}
