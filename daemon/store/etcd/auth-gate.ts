import { DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest } from '../../../proto/generated/etcd/messages.ts';
import type { EmbeddedStore } from '../embedded-store.ts';
import type { Caller } from '../grpc/server.ts';
import { AuthRecords, authError, type Permission, rootName } from './auth-records.ts';

type Access = 'read' | 'write';

/** Whether a caller may do what it asks for. While authentication is off everybody may do everything. */
export class AuthGate {
  readonly records: AuthRecords;
  readonly #store: EmbeddedStore;

  constructor(store: EmbeddedStore) {
    this.#store = store;
    this.records = new AuthRecords(store);
  }

  #off(): boolean {
    return !this.records.state().enabled;
  }

  /** Who calls; undefined while authentication is off. */
  user(caller: Caller): string | undefined {
    if (this.#off()) return undefined;
    const token = caller.headers['token'] ?? caller.headers['authorization'];
    if (typeof token === 'string' && token !== '') return this.records.userOfToken(token);
    if (caller.commonName !== undefined && this.records.user(caller.commonName) !== undefined) return caller.commonName;
    throw authError('userEmpty');
  }

  admin(caller: Caller): void {
    const user = this.user(caller);
    if (user !== undefined && !this.isRoot(user)) throw authError('permissionDenied');
  }

  isRoot(user: string): boolean {
    return this.records.user(user)?.roles.includes(rootName) === true;
  }

  range(request: Uint8Array, caller: Caller): void {
    if (this.#off()) return;
    const { key, rangeEnd } = RangeRequest.decode(request);
    this.#check(caller, [{ key, rangeEnd, access: 'read' }]);
  }

  put(request: Uint8Array, caller: Caller): void {
    if (this.#off()) return;
    this.#check(caller, putAccesses(PutRequest.decode(request)));
  }

  deleteRange(request: Uint8Array, caller: Caller): void {
    if (this.#off()) return;
    this.#check(caller, deleteAccesses(DeleteRangeRequest.decode(request)));
  }

  txn(request: Uint8Array, caller: Caller): void {
    if (this.#off()) return;
    this.#check(caller, txnAccesses(TxnRequest.decode(request)));
  }

  watch(key: Buffer, rangeEnd: Buffer, caller: Caller): void {
    if (this.#off()) return;
    this.#check(caller, [{ key, rangeEnd, access: 'read' }]);
  }

  /** Ending a lease deletes its keys. */
  lease(id: bigint, caller: Caller): void {
    if (this.#off()) return;
    const { keys } = this.#store.native.leaseInfo(id, true);
    const none = Buffer.alloc(0);
    this.#check(
      caller,
      keys.map((key) => ({ key, rangeEnd: none, access: 'write' as const })),
    );
  }

  #check(caller: Caller, accesses: readonly { key: Buffer; rangeEnd: Buffer; access: Access }[]): void {
    const user = this.user(caller);
    if (user === undefined) return;
    const record = this.records.user(user);
    if (record === undefined) throw authError('permissionDenied');
    if (record.roles.includes(rootName)) return;
    const permissions = record.roles.flatMap((role) => this.records.role(role)?.permissions ?? []);
    for (const { key, rangeEnd, access } of accesses) {
      if (!isCovered(permissions, key, rangeEnd, access)) throw authError('permissionDenied');
    }
  }
}

type KeyAccess = { readonly key: Buffer; readonly rangeEnd: Buffer; readonly access: Access };
const noEnd = Buffer.alloc(0);

function putAccesses({ key, prevKv, ignoreValue }: PutRequest): KeyAccess[] {
  const write: KeyAccess = { key, rangeEnd: noEnd, access: 'write' };
  return prevKv || ignoreValue ? [write, { ...write, access: 'read' }] : [write];
}

function deleteAccesses({ key, rangeEnd, prevKv }: DeleteRangeRequest): KeyAccess[] {
  const write: KeyAccess = { key, rangeEnd, access: 'write' };
  return prevKv ? [write, { ...write, access: 'read' }] : [write];
}

function txnAccesses(request: TxnRequest): KeyAccess[] {
  const compares = request.compare.map(({ key, rangeEnd }): KeyAccess => ({ key, rangeEnd, access: 'read' }));
  const ops = [...request.success, ...request.failure].flatMap(({ request: op }): KeyAccess[] => {
    switch (op?.$case) {
      case 'requestRange':
        return [{ key: op.value.key, rangeEnd: op.value.rangeEnd, access: 'read' }];
      case 'requestPut':
        return putAccesses(op.value);
      case 'requestDeleteRange':
        return deleteAccesses(op.value);
      case 'requestTxn':
        return txnAccesses(op.value);
      default:
        return [];
    }
  });
  return [...compares, ...ops];
}

/** An interval of keys; no end: to the end of the keyspace. */
interface Interval {
  readonly start: Buffer;
  readonly end: Buffer | undefined;
}

export function intervalOf(key: Buffer, rangeEnd: Buffer): Interval {
  if (rangeEnd.length === 0) return { start: key, end: Buffer.concat([key, Buffer.of(0)]) };
  return { start: key, end: rangeEnd.length === 1 && rangeEnd[0] === 0 ? undefined : rangeEnd };
}

/** Whether the permissions, taken together, cover every key of the range. */
function isCovered(permissions: readonly Permission[], key: Buffer, rangeEnd: Buffer, access: Access): boolean {
  const wanted = intervalOf(key, rangeEnd);
  const granted = permissions
    .filter(({ type }) => type === 2 || type === (access === 'read' ? 0 : 1))
    .map((permission) => intervalOf(Buffer.from(permission.key, 'base64'), Buffer.from(permission.rangeEnd, 'base64')))
    .sort((a, b) => Buffer.compare(a.start, b.start));
  let covered = wanted.start;
  for (const { start, end } of granted) {
    if (Buffer.compare(start, covered) > 0) return false;
    if (end === undefined) return true;
    if (Buffer.compare(end, covered) > 0) covered = end;
    if (wanted.end !== undefined && Buffer.compare(covered, wanted.end) >= 0) return true;
  }
  return false;
}
