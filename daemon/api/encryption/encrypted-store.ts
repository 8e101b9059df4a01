import type { Logger } from '../../log/logger.ts';
import type {
  KeyValue,
  PutRequest,
  RequestOp,
  ResponseOp,
  Store,
  TxnRequest,
  WatchEvent,
  WatchHandler,
  WatchRequest,
} from '../../store/store.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import type { KeyringFor } from './configuration.ts';
import { DecryptionError, type Keyring } from './transformer.ts';

const root = '/registry/';

/**
 * A store that seals what is written below the prefixes of encrypted resources, and opens what is read. Whoever holds the disk,
 * a snapshot or the etcd API sees sealed values alone. A value that cannot be opened is handed on as it is, and logged: its
 * reader finds it damaged, and it can be deleted.
 */
export function encryptedStore(
  store: Store,
  keyringFor: KeyringFor,
  rows: readonly Pick<ResourceRow, 'handle' | 'storage'>[],
  logger: Logger,
): Store {
  const keyrings = new Map<string, Keyring>();
  for (const { handle, storage } of rows) {
    const keyring = keyringFor(handle);
    if (keyring !== undefined && !keyrings.has(storage)) keyrings.set(storage, keyring);
  }
  /** A storage has one or two elements (`services/specs`), a custom one always two. */
  const keyringOf = (key: Buffer): Keyring | undefined => {
    const path = key.toString();
    if (!path.startsWith(root)) return undefined;
    const [first = '', second = ''] = path.slice(root.length).split('/', 2);
    return keyrings.get(`${first}/${second}`) ?? keyrings.get(first);
  };
  const sealed = (put: PutRequest): PutRequest => {
    const keyring = put.ignoreValue === true ? undefined : keyringOf(put.key);
    return keyring === undefined ? put : { ...put, value: keyring.seal(put.value, put.key) };
  };
  const opened = (kv: KeyValue): KeyValue => {
    const keyring = kv.value.length === 0 ? undefined : keyringOf(kv.key);
    if (keyring === undefined) return kv;
    try {
      return { ...kv, value: keyring.open(kv.value, kv.key) };
    } catch (error) {
      if (!(error instanceof DecryptionError)) throw error;
      logger.error({ err: error }, 'cannot decrypt a stored value');
      return kv;
    }
  };
  const previous = <T extends { readonly prevKv?: KeyValue }>(result: T): T =>
    result.prevKv === undefined ? result : { ...result, prevKv: opened(result.prevKv) };
  const sealedOp = (op: RequestOp): RequestOp => {
    if ('put' in op) return { put: sealed(op.put) };
    return 'txn' in op ? { txn: sealedTxn(op.txn) } : op;
  };
  const sealedTxn = (txn: TxnRequest): TxnRequest => ({
    ...txn,
    success: txn.success.map(sealedOp),
    failure: txn.failure.map(sealedOp),
  });
  const openedOp = (op: ResponseOp): ResponseOp => {
    if ('range' in op) return { range: { ...op.range, kvs: op.range.kvs.map(opened) } };
    if ('put' in op) return { put: previous(op.put) };
    if ('deleteRange' in op) return { deleteRange: { ...op.deleteRange, prevKvs: op.deleteRange.prevKvs.map(opened) } };
    return { txn: { ...op.txn, responses: op.txn.responses.map(openedOp) } };
  };
  const openedEvent = (event: WatchEvent): WatchEvent => previous({ ...event, kv: opened(event.kv) });

  const own: Pick<Store, 'range' | 'put' | 'deleteRange' | 'txn' | 'watch'> = {
    async range(request) {
      const result = await store.range(request);
      return { ...result, kvs: result.kvs.map(opened) };
    },
    put: async (request) => previous(await store.put(sealed(request))),
    async deleteRange(request) {
      const result = await store.deleteRange(request);
      return { ...result, prevKvs: result.prevKvs.map(opened) };
    },
    async txn(request) {
      const result = await store.txn(sealedTxn(request));
      return { ...result, responses: result.responses.map(openedOp) };
    },
    watch: (request: WatchRequest, handler: WatchHandler) =>
      store.watch(request, {
        onEvents: (events, revision) => handler.onEvents(events.map(openedEvent), revision),
        onProgress: (revision) => handler.onProgress?.(revision),
        onCancel: (reason, compactRevision) => handler.onCancel(reason, compactRevision),
      }),
  };
  // Leases, members and whatever else a store can are its own.
  return new Proxy(store, {
    get(target, name) {
      if (name in own) return own[name as keyof typeof own];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
