import type { Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from './store.ts';
import { storeError } from './store-error-table.ts';

/** etcd's `--max-txn-ops`: how many compares, or operations of one branch, a transaction may hold. */
export const maxTxnOps = 128;
/** Seconds; about 285 years. */
export const maxLeaseTtl = 9_000_000_000;
/** Seconds: one and a half election timeouts, so that a lease outlives the choice of a new leader. */
export const minLeaseTtl = 2;

/** The rules a request is held to before it is proposed; each failure is the error etcd's server answers with. */
export function checkRange(request: RangeRequest): void {
  if (request.key.length === 0) throw storeError('empty_key');
}

export function checkPut(request: PutRequest): void {
  if (request.key.length === 0) throw storeError('empty_key');
  if (request.ignoreValue && request.value.length !== 0) throw storeError('value_provided');
  if (request.ignoreLease && request.lease !== undefined && request.lease !== 0n) throw storeError('lease_provided');
}

export function checkDeleteRange(request: DeleteRangeRequest): void {
  if (request.key.length === 0) throw storeError('empty_key');
}

export function checkTxn(request: TxnRequest): void {
  checkTxnShape(request, maxTxnOps);
  // The whole request is judged, both branches: what may not be written twice is a rule of the request, not of the path taken.
  collectWrites(request.success);
  collectWrites(request.failure);
}

function checkTxnShape(request: TxnRequest, allowance: number): void {
  const operations = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (operations > allowance) throw storeError('too_many_ops');
  for (const compare of request.compare) checkCompare(compare);
  for (const op of [...request.success, ...request.failure]) checkOp(op, allowance - operations);
}

function checkCompare(compare: Compare): void {
  if (compare.key.length === 0) throw storeError('empty_key');
}

function checkOp(op: RequestOp, allowance: number): void {
  if ('range' in op) checkRange(op.range);
  else if ('put' in op) checkPut(op.put);
  else if ('deleteRange' in op) checkDeleteRange(op.deleteRange);
  else checkTxnShape(op.txn, allowance);
}

interface Interval {
  readonly start: string;
  /** Exclusive; undefined: to the end of the keyspace. */
  readonly end: string | undefined;
}

interface Writes {
  readonly puts: Set<string>;
  readonly deletes: Interval[];
}

/** The keys one branch may write; no key twice, and none both put and deleted. */
function collectWrites(ops: readonly RequestOp[]): Writes {
  const puts = new Set<string>();
  const deletes: Interval[] = [];
  for (const op of ops) if ('deleteRange' in op) deletes.push(intervalOf(op.deleteRange));
  for (const op of ops) {
    if (!('txn' in op)) continue;
    const success = collectWrites(op.txn.success);
    const failure = collectWrites(op.txn.failure);
    // Only one of the two branches runs, so they may overlap each other but not what stands beside them.
    const nested = new Set([...success.puts, ...failure.puts]);
    for (const key of nested) {
      if (puts.has(key) || deletes.some((interval) => contains(interval, key))) throw storeError('duplicate_key');
    }
    const nestedDeletes = [...success.deletes, ...failure.deletes];
    for (const key of puts) {
      if (nestedDeletes.some((interval) => contains(interval, key))) throw storeError('duplicate_key');
    }
    for (const key of nested) puts.add(key);
    deletes.push(...nestedDeletes);
  }
  for (const op of ops) {
    if (!('put' in op)) continue;
    const key = op.put.key.toString('latin1');
    if (puts.has(key) || deletes.some((interval) => contains(interval, key))) throw storeError('duplicate_key');
    puts.add(key);
  }
  return { puts, deletes };
}

function intervalOf(request: DeleteRangeRequest): Interval {
  const start = request.key.toString('latin1');
  if (request.rangeEnd === undefined || request.rangeEnd.length === 0) return { start, end: `${start}\0` };
  const end = request.rangeEnd.toString('latin1');
  return { start, end: end === '\0' ? undefined : end };
}

function contains(interval: Interval, key: string): boolean {
  return key >= interval.start && (interval.end === undefined || key < interval.end);
}
