import { isApiError } from '../../apimachinery/api-error.ts';
import type { Logger } from '../../log/logger.ts';
import type { Store } from '../../store/store.ts';
import type { AdmissionChain } from '../admission/admission.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { CacheHub } from './cache-hub.ts';
import { type Deleted, type DeleteRequest, Deletion } from './deletion.ts';
import { EventLeases } from './event-leases.ts';
import { ObjectStore } from './object-store.ts';
import { ReadBarrier } from './read-barrier.ts';
import { type ListQuery, Reads } from './reads.ts';
import type { StoredObject } from './stored-object.ts';
import { Watches } from './watches.ts';
import { type TrackFields, type WriteRequest, Writes } from './writes.ts';

const deleteWorkers = 8;

/** All resources over the store: reads and watches from the caches, writes through admission. Knows nothing of HTTP. */
export class Registry {
  #rows: readonly ResourceRow[];
  readonly store: Store;
  readonly hub: CacheHub;
  readonly objects: ObjectStore;
  readonly reads: Reads;
  readonly watches: Watches;
  readonly writes: Writes;
  readonly deletion: Deletion;
  readonly #index = new Map<string, ResourceRow>();

  constructor(options: {
    readonly store: Store;
    readonly rows: readonly ResourceRow[];
    readonly admission: AdmissionChain;
    readonly track?: TrackFields;
    readonly logger: Logger;
  }) {
    const { store, rows, admission, logger } = options;
    this.#rows = rows;
    this.store = store;
    this.hub = new CacheHub(store, rows, logger);
    this.objects = new ObjectStore(store, this.hub);
    this.reads = new Reads(store, this.hub, new ReadBarrier(store));
    this.watches = new Watches(this.hub, this.reads);
    this.writes = new Writes(
      this.objects,
      admission,
      new EventLeases(store),
      (revision) => this.hub.waitFor(revision, 10_000),
      options.track,
    );
    this.deletion = new Deletion(this.objects, admission);
    for (const row of rows) {
      this.#index.set(`${row.handle.group}/${row.handle.version}/${row.handle.resource}`, row);
    }
  }

  /** Every row that is served now. */
  get rows(): readonly ResourceRow[] {
    return this.#rows;
  }

  /**
   * Serves a custom resource from now on, in place of the rows its storage had: `storage` is the row that is stored,
   * `served` those that requests may name.
   */
  async install(storage: ResourceRow, served: readonly ResourceRow[]): Promise<void> {
    await this.hub.addRow(storage, () => this.#replaceRows(storage.storage, served));
  }

  /** Serves a custom resource no longer. */
  withdraw(storage: string): void {
    this.#replaceRows(storage, []);
    this.hub.removeRow(storage);
  }

  #replaceRows(storage: string, served: readonly ResourceRow[]): void {
    const key = ({ handle }: ResourceRow) => `${handle.group}/${handle.version}/${handle.resource}`;
    for (const row of this.#rows) if (row.storage === storage) this.#index.delete(key(row));
    this.#rows = [...this.#rows.filter((row) => row.storage !== storage), ...served];
    for (const row of served) this.#index.set(key(row), row);
  }

  row(group: string, version: string, resource: string): ResourceRow | undefined {
    return this.#index.get(`${group}/${version}/${resource}`);
  }

  /** The row of a resource that must be there. */
  require(group: string, version: string, resource: string): ResourceRow {
    const row = this.row(group, version, resource);
    if (row === undefined) throw new Error(`the resource table has no ${group}/${version}/${resource}`);
    return row;
  }

  /** Deletes all that a list selects; what is gone in the meantime does not matter. */
  async deleteCollection(query: ListQuery, options: DeleteRequest, write: WriteRequest): Promise<StoredObject[]> {
    const { items } = await this.reads.list(query);
    const deleted: StoredObject[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < items.length) {
        const item = items[next++]!;
        const result: Deleted | undefined = await this.deletion
          .delete(query.selection.row, item.namespace, item.name, options, write)
          .catch((error: unknown) => {
            if (isApiError(error, 'NotFound')) return undefined;
            throw error;
          });
        if (result !== undefined) deleted.push('object' in result ? result.object : item);
      }
    };
    await Promise.all(Array.from({ length: Math.min(deleteWorkers, items.length) }, worker));
    return deleted;
  }
}
