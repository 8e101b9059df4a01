import { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { KeyValue as WireKeyValue } from '../../proto/generated/etcd/kv.ts';
import {
  type Compare as WireCompare,
  DeleteRangeRequest as WireDeleteRangeRequest,
  DeleteRangeResponse as WireDeleteRangeResponse,
  PutRequest as WirePutRequest,
  PutResponse as WirePutResponse,
  RangeRequest as WireRangeRequest,
  RangeResponse as WireRangeResponse,
  type RequestOp as WireRequestOp,
  type ResponseOp as WireResponseOp,
  TxnRequest as WireTxnRequest,
  TxnResponse as WireTxnResponse,
} from '../../proto/generated/etcd/messages.ts';
import type {
  Compare,
  DeleteRangeRequest,
  KeyValue,
  PutRequest,
  RangeRequest,
  RangeResult,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResult,
} from './store.ts';

/** Between the seam's requests and etcd's messages, both ways. */

const empty = Buffer.alloc(0);
const sortOrders = { none: 0, ascend: 1, descend: 2 } as const;
const sortTargets = { key: 0, version: 1, create: 2, mod: 3, value: 4 } as const;
const compareResults = { equal: 0, greater: 1, less: 2, not_equal: 3 } as const;

export function rangeToWire(request: RangeRequest): WireRangeRequest {
  return {
    key: request.key,
    rangeEnd: request.rangeEnd ?? empty,
    limit: BigInt(request.limit ?? 0),
    revision: BigInt(request.revision ?? 0),
    sortOrder: sortOrders[request.sortOrder ?? 'none'],
    sortTarget: sortTargets[request.sortTarget ?? 'key'],
    serializable: request.serializable ?? false,
    keysOnly: request.keysOnly ?? false,
    countOnly: request.countOnly ?? false,
    minModRevision: BigInt(request.minModRevision ?? 0),
    maxModRevision: BigInt(request.maxModRevision ?? 0),
    minCreateRevision: BigInt(request.minCreateRevision ?? 0),
    maxCreateRevision: BigInt(request.maxCreateRevision ?? 0),
  };
}

function putToWire(request: PutRequest): WirePutRequest {
  return {
    key: request.key,
    value: request.value,
    lease: request.lease ?? 0n,
    prevKv: request.prevKv ?? false,
    ignoreValue: request.ignoreValue ?? false,
    ignoreLease: request.ignoreLease ?? false,
  };
}

function deleteRangeToWire(request: DeleteRangeRequest): WireDeleteRangeRequest {
  return { key: request.key, rangeEnd: request.rangeEnd ?? empty, prevKv: request.prevKv ?? false };
}

function compareToWire(compare: Compare): WireCompare {
  const { target } = compare;
  const common = { result: compareResults[compare.result], key: compare.key, rangeEnd: compare.rangeEnd ?? empty };
  if ('version' in target) {
    return { ...common, target: 0, targetUnion: { $case: 'version', value: BigInt(target.version) } };
  }
  if ('createRevision' in target) {
    return { ...common, target: 1, targetUnion: { $case: 'createRevision', value: BigInt(target.createRevision) } };
  }
  if ('modRevision' in target) {
    return { ...common, target: 2, targetUnion: { $case: 'modRevision', value: BigInt(target.modRevision) } };
  }
  if ('value' in target) return { ...common, target: 3, targetUnion: { $case: 'value', value: target.value } };
  return { ...common, target: 4, targetUnion: { $case: 'lease', value: target.lease } };
}

function opToWire(op: RequestOp): WireRequestOp {
  if ('range' in op) return { request: { $case: 'requestRange', value: rangeToWire(op.range) } };
  if ('put' in op) return { request: { $case: 'requestPut', value: putToWire(op.put) } };
  if ('deleteRange' in op) {
    return { request: { $case: 'requestDeleteRange', value: deleteRangeToWire(op.deleteRange) } };
  }
  return { request: { $case: 'requestTxn', value: txnToWire(op.txn) } };
}

function txnToWire(request: TxnRequest): WireTxnRequest {
  return {
    compare: request.compare.map(compareToWire),
    success: request.success.map(opToWire),
    failure: request.failure.map(opToWire),
  };
}

export function encodeRange(request: RangeRequest): Uint8Array {
  return WireRangeRequest.encode(rangeToWire(request)).finish();
}

export function encodePut(request: PutRequest): Uint8Array {
  return WirePutRequest.encode(putToWire(request)).finish();
}

export function encodeDeleteRange(request: DeleteRangeRequest): Uint8Array {
  return WireDeleteRangeRequest.encode(deleteRangeToWire(request)).finish();
}

export function encodeTxn(request: TxnRequest): Uint8Array {
  return WireTxnRequest.encode(txnToWire(request)).finish();
}

/** A message of one integer field, as CompactionRequest and the lease requests are. */
export function encodeInteger(field: number, value: bigint): Uint8Array {
  return new BinaryWriter()
    .uint32(field * 8)
    .int64(value)
    .finish();
}

export function keyValueFromWire(kv: WireKeyValue): KeyValue {
  return {
    key: kv.key,
    value: kv.value,
    createRevision: Number(kv.createRevision),
    modRevision: Number(kv.modRevision),
    version: Number(kv.version),
    lease: kv.lease,
  };
}

function rangeFromWire(response: WireRangeResponse): RangeResult {
  return {
    revision: Number(response.header?.revision ?? 0n),
    kvs: response.kvs.map(keyValueFromWire),
    more: response.more,
    count: Number(response.count),
  };
}

function putFromWire(response: WirePutResponse): { revision: number; prevKv?: KeyValue } {
  const revision = Number(response.header?.revision ?? 0n);
  return response.prevKv === undefined ? { revision } : { revision, prevKv: keyValueFromWire(response.prevKv) };
}

function deleteRangeFromWire(response: WireDeleteRangeResponse): {
  revision: number;
  deleted: number;
  prevKvs: readonly KeyValue[];
} {
  return {
    revision: Number(response.header?.revision ?? 0n),
    deleted: Number(response.deleted),
    prevKvs: response.prevKvs.map(keyValueFromWire),
  };
}

function opFromWire({ response }: WireResponseOp): ResponseOp {
  switch (response?.$case) {
    case 'responseRange':
      return { range: rangeFromWire(response.value) };
    case 'responsePut':
      return { put: putFromWire(response.value) };
    case 'responseDeleteRange':
      return { deleteRange: deleteRangeFromWire(response.value) };
    case 'responseTxn':
      return { txn: txnFromWire(response.value) };
    default:
      throw new Error('a transaction answered with an operation of no kind');
  }
}

function txnFromWire(response: WireTxnResponse): TxnResult {
  return {
    revision: Number(response.header?.revision ?? 0n),
    succeeded: response.succeeded,
    responses: response.responses.map(opFromWire),
  };
}

export function decodeRange(bytes: Uint8Array): RangeResult {
  return rangeFromWire(WireRangeResponse.decode(bytes));
}

export function decodePut(bytes: Uint8Array): { revision: number; prevKv?: KeyValue } {
  return putFromWire(WirePutResponse.decode(bytes));
}

export function decodeDeleteRange(bytes: Uint8Array): ReturnType<typeof deleteRangeFromWire> {
  return deleteRangeFromWire(WireDeleteRangeResponse.decode(bytes));
}

export function decodeTxn(bytes: Uint8Array): TxnResult {
  return txnFromWire(WireTxnResponse.decode(bytes));
}
