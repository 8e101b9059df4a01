import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { type KeyValue, type Store, StoreError } from '../../store/store.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { alreadyExists, entityTooLarge, internalError, serviceUnavailable, timeout } from '../status-errors.ts';
import { type CacheHub, storeKey } from './cache-hub.ts';
import { encodeForStore, StoredObject, viewOf } from './stored-object.ts';

/** Largest object the store takes in one request, in bytes: etcd's own limit. */
const maxObjectBytes = 1.5 * 1024 * 1024;

/** Objects in the store, each write conditional on the revision it was computed from. */
export class ObjectStore {
  readonly #store: Store;
  readonly #hub: CacheHub;

  constructor(store: Store, hub: CacheHub) {
    this.#store = store;
    this.#hub = hub;
  }

  /** The cached object, which may be a moment behind the store. */
  cached(row: ResourceRow, key: string): StoredObject | undefined {
    return this.#hub.cacheOf(row).get(key);
  }

  /** The object as the store has it now. */
  async current(row: ResourceRow, key: string): Promise<StoredObject | undefined> {
    const stored = this.#hub.cacheOf(row).row;
    const result = await this.#call(() => this.#store.range({ key: storeKey(stored, key) }));
    const kv = result.kvs[0];
    return kv === undefined ? undefined : new StoredObject(stored, key, kv.modRevision, kv.value);
  }

  /** Stores a new object (of `row`'s version). Fails with `AlreadyExists`. */
  async create(
    row: ResourceRow,
    key: string,
    name: string,
    object: KubernetesObject,
    lease?: bigint,
  ): Promise<StoredObject> {
    const { stored, value, decoded } = await this.#encode(row, object);
    const storedKey = storeKey(stored, key);
    const result = await this.#call(() =>
      this.#store.txn({
        compare: [{ key: storedKey, result: 'equal', target: { modRevision: 0 } }],
        success: [{ put: { key: storedKey, value, ...(lease === undefined ? {} : { lease }) } }],
        failure: [],
      }),
    );
    if (!result.succeeded) throw alreadyExists(row.handle, name);
    return viewOf(this.#wrote(stored, key, result.revision, value, decoded), row);
  }

  /** Replaces `current`. Yields the newer object instead when it has been replaced since, undefined when it is gone. */
  async replace(
    row: ResourceRow,
    current: StoredObject,
    object: KubernetesObject,
    lease?: bigint,
  ): Promise<{ written: StoredObject } | { newer: StoredObject | undefined }> {
    const { stored, value, decoded } = await this.#encode(row, object);
    const key = storeKey(stored, current.key);
    const result = await this.#call(() =>
      this.#store.txn({
        compare: [{ key, result: 'equal', target: { modRevision: current.revision } }],
        success: [{ put: { key, value, ...(lease === undefined ? {} : { lease }) } }],
        failure: [{ range: { key } }],
      }),
    );
    if (!result.succeeded) return { newer: this.#newer(stored, current.key, result.responses[0]) };
    return { written: await viewOf(this.#wrote(stored, current.key, result.revision, value, decoded), row) };
  }

  /** Deletes `current`; as `replace` when it has changed since. */
  async remove(current: StoredObject): Promise<{ revision: number } | { newer: StoredObject | undefined }> {
    const key = storeKey(current.row, current.key);
    const result = await this.#call(() =>
      this.#store.txn({
        compare: [{ key, result: 'equal', target: { modRevision: current.revision } }],
        success: [{ deleteRange: { key } }],
        failure: [{ range: { key } }],
      }),
    );
    if (!result.succeeded) return { newer: this.#newer(current.row, current.key, result.responses[0]) };
    return { revision: result.revision };
  }

  async #encode(row: ResourceRow, object: KubernetesObject) {
    const stored = this.#hub.cacheOf(row).row;
    const decoded =
      row.stored === undefined
        ? object
        : stored.convert === undefined
          ? row.stored.toStored(object)
          : (await stored.convert([object]))[0]!;
    const value = encodeForStore(stored, decoded);
    if (value.length > maxObjectBytes) throw entityTooLarge(maxObjectBytes);
    return { stored, value, decoded };
  }

  #wrote(row: ResourceRow, key: string, revision: number, value: Buffer, decoded: KubernetesObject): StoredObject {
    decoded.metadata ??= {};
    decoded.metadata.resourceVersion = String(revision);
    const object = new StoredObject(row, key, revision, value, decoded);
    this.#hub.wrote(object);
    return object;
  }

  #newer(row: ResourceRow, key: string, response: unknown): StoredObject | undefined {
    const kv = (response as { range: { kvs: readonly KeyValue[] } }).range.kvs[0];
    return kv === undefined ? undefined : new StoredObject(row, key, kv.modRevision, kv.value);
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw error instanceof StoreError ? storeFailure(error) : error;
    }
  }
}

/** A store's failure as the API answers it. */
export function storeFailure(error: StoreError): Error {
  switch (error.code) {
    case 'timeout':
      return timeout(error.message, 1);
    case 'request_too_large':
      return entityTooLarge(maxObjectBytes);
    case 'no_leader':
    case 'not_leader':
    case 'leader_changed':
    case 'unavailable':
    case 'unhealthy_cluster':
    case 'too_many_requests':
      return serviceUnavailable(error.message);
    default:
      return internalError(error.message);
  }
}
