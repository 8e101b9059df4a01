import type { Store } from '../../store/store.ts';
import type { ResourceRow } from '../resources/resource-row.ts';

const eventTtlSeconds = 3600;
/** One lease serves the events of this long, so each event lives between one and one and a bit times the TTL. */
const reuseSeconds = 60;
const maxObjects = 1000;

/** Events live an hour: each is stored under a lease that many events share, as kube-apiserver does. */
export class EventLeases {
  readonly #store: Store;
  #lease: Promise<bigint> | undefined;
  #until = 0;
  #objects = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The lease for an object of `row`, undefined for all but events. */
  leaseFor(row: ResourceRow): Promise<bigint> | undefined {
    if (row.storage !== 'events') return undefined;
    const now = Date.now();
    if (this.#lease === undefined || now > this.#until || this.#objects >= maxObjects) {
      this.#until = now + reuseSeconds * 1000;
      this.#objects = 0;
      this.#lease = this.#store.leaseGrant(eventTtlSeconds + reuseSeconds).then(({ id }) => id);
      this.#lease.catch(() => {
        this.#lease = undefined;
      });
    }
    this.#objects++;
    return this.#lease;
  }
}
