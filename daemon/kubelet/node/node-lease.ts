import { isApiError } from '../../apimachinery/api-error.ts';
import { formatMicroTime } from '../../apimachinery/time.ts';
import type { Lease } from '../../apimachinery/types/coordination-v1.ts';
import { leases } from '../../apimachinery/types/resources.ts';
import type { ApiClient } from '../../client/api-client.ts';
import type { Logger } from '../../log/logger.ts';

const NAMESPACE = 'kube-node-lease';
const DURATION_SECONDS = 40;
const RENEW_MS = 10_000;
const RETRY_MS = 1000;

/** Renews the node's Lease every 10 s: the sign of life that the node lifecycle controller goes by. */
export class NodeLease {
  readonly #client: ApiClient;
  readonly #name: string;
  readonly #nodeUid: () => string | undefined;
  readonly #logger: Logger;
  #lease: Lease | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #current: Promise<void> = Promise.resolve();

  constructor(client: ApiClient, name: string, nodeUid: () => string | undefined, logger: Logger) {
    this.#client = client;
    this.#name = name;
    this.#nodeUid = nodeUid;
    this.#logger = logger;
  }

  start(): void {
    this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#current;
  }

  #run(): void {
    this.#current = this.renew().then(
      () => this.#again(RENEW_MS),
      (err: unknown) => {
        this.#lease = undefined;
        if (!this.#stopped) this.#logger.warn({ err }, "cannot renew the node's lease");
        this.#again(RETRY_MS);
      },
    );
  }

  #again(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => this.#run(), ms);
    this.#timer.unref();
  }

  async renew(): Promise<void> {
    const key = { namespace: NAMESPACE, name: this.#name };
    const current = this.#lease ?? (await this.#read(key));
    const spec = {
      ...current?.spec,
      holderIdentity: this.#name,
      leaseDurationSeconds: DURATION_SECONDS,
      renewTime: formatMicroTime(),
    };
    const uid = this.#nodeUid();
    const owner =
      uid === undefined ? {} : { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: this.#name, uid }] };
    if (current === undefined) {
      const metadata = { ...key, ...owner };
      this.#lease = await this.#client.create(leases, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata,
        spec,
      });
      return;
    }
    this.#lease = await this.#client.update(leases, { ...current, metadata: { ...current.metadata, ...owner }, spec });
  }

  async #read(key: { namespace: string; name: string }): Promise<Lease | undefined> {
    try {
      return await this.#client.get(leases, key);
    } catch (error) {
      if (isApiError(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}
