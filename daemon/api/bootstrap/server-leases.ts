import type { Store } from '../../store/store.ts';

/** As kube-apiserver has them: below this, one key for each server, which goes when the server no longer renews it. */
const prefix = '/registry/masterleases/';
const prefixEnd = '/registry/masterleases0';
const ttlSeconds = 15;

/** Which API servers live: each holds a lease in the store, and the store forgets those that are dead. */
export class ServerLeases {
  readonly #store: Store;
  readonly #address: string;
  #lease: bigint | undefined;

  constructor(store: Store, address: string) {
    this.#store = store;
    this.#address = address;
  }

  /** Renews this server's own; to be called well within the 15 s that it lasts. Throws StoreError. */
  async renew(): Promise<void> {
    if (this.#lease !== undefined && (await this.#extend(this.#lease))) return;
    const { id } = await this.#store.leaseGrant(ttlSeconds);
    const object = {
      kind: 'Endpoints',
      apiVersion: 'v1',
      metadata: {},
      subsets: [{ addresses: [{ ip: this.#address }] }],
    };
    const key = Buffer.from(`${prefix}${this.#address}`);
    await this.#store.put({ key, value: Buffer.from(JSON.stringify(object)), lease: id });
    this.#lease = id;
  }

  async #extend(lease: bigint): Promise<boolean> {
    try {
      return (await this.#store.leaseKeepAlive(lease)).ttl > 0;
    } catch {
      // Expired, or nobody leads just now: either way a new one is asked for, and that says what is wrong.
      return false;
    }
  }

  /** The addresses of the servers that live. */
  async live(): Promise<readonly string[]> {
    const { kvs } = await this.#store.range({ key: Buffer.from(prefix), rangeEnd: Buffer.from(prefixEnd) });
    return kvs.map(({ key }) => key.toString('utf8', prefix.length)).sort();
  }

  async withdraw(): Promise<void> {
    if (this.#lease !== undefined) await this.#store.leaseRevoke(this.#lease);
    this.#lease = undefined;
  }
}
