import { isApiError } from '../../apimachinery/api-error.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { ApiClient } from '../../client/api-client.ts';
import type { Clock } from '../../client/clock.ts';
import type { Logger } from '../../log/logger.ts';
import { messageOf } from '../workload/pod-control.ts';

const firstDelayMs = 1_000;
const lastDelayMs = 60_000;

export interface FeedHandler {
  onSeen(resource: Resource, object: KubernetesObject): void;
  onGone(resource: Resource, uid: string): void;
}

/**
 * Follows all objects of one resource by list and watch and keeps nothing of them but their uids. Unlike an informer it may be
 * stopped by itself, when its resource is no longer served, and does not hold up others while its resource cannot be listed.
 */
export class MetadataFeed {
  readonly #client: ApiClient;
  readonly #resource: Resource;
  readonly #handler: FeedHandler;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #abort = new AbortController();
  readonly #uids = new Set<string>();
  readonly #done: Promise<void>;
  #markListed: () => void = () => {};
  /** Resolves after the first attempt to list, successful or not. */
  readonly listed: Promise<void>;

  constructor(client: ApiClient, resource: Resource, handler: FeedHandler, clock: Clock, logger: Logger) {
    this.#client = client;
    this.#resource = resource;
    this.#handler = handler;
    this.#clock = clock;
    this.#logger = logger;
    this.listed = new Promise((resolve) => {
      this.#markListed = resolve;
    });
    this.#done = this.#run().finally(() => this.#markListed());
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    let failures = 0;
    while (!signal.aborted) {
      try {
        let version = await this.#list();
        failures = 0;
        this.#markListed();
        while (!signal.aborted) {
          const end = await this.#watch(version);
          if (end === undefined) break;
          if (end === version) await this.#pause(firstDelayMs);
          version = end;
        }
      } catch (error) {
        this.#markListed();
        if (signal.aborted) return;
        const level = isApiError(error, 'NotFound') || isApiError(error, 'MethodNotAllowed') ? 'debug' : 'warn';
        this.#logger[level]({ resource: this.#resource.resource, err: error }, 'cannot follow resource; will retry');
        await this.#pause(Math.min(firstDelayMs * 2 ** failures++, lastDelayMs));
      }
    }
  }

  async #list(): Promise<string> {
    const list = await this.#client.list(this.#resource, { resourceVersion: '0' });
    const present = new Set<string>();
    for (const object of list.items) {
      present.add(object.metadata?.uid ?? '');
      this.#seen(object);
    }
    for (const uid of this.#uids) if (!present.has(uid)) this.#gone(uid);
    return list.metadata.resourceVersion ?? '';
  }

  /** Yields the version to go on from; undefined: list again. */
  async #watch(from: string): Promise<string | undefined> {
    let version = from;
    const events = this.#client.watch(this.#resource, {
      resourceVersion: from,
      allowWatchBookmarks: true,
      signal: this.#abort.signal,
    });
    try {
      for await (const event of events) {
        if (this.#abort.signal.aborted) return version;
        if (event.type === 'ERROR') return undefined;
        if (event.type === 'DELETED') this.#gone(event.object.metadata?.uid ?? '');
        else if (event.type !== 'BOOKMARK') this.#seen(event.object);
        version = event.object.metadata?.resourceVersion ?? version;
      }
    } catch (error) {
      if (this.#abort.signal.aborted) return version;
      if (isApiError(error, 'Expired') || isApiError(error, 'Gone')) return undefined;
      this.#logger.info({ resource: this.#resource.resource, err: messageOf(error) }, 'watch failed');
    }
    return version;
  }

  #seen(object: KubernetesObject): void {
    this.#uids.add(object.metadata?.uid ?? '');
    this.#handler.onSeen(this.#resource, object);
  }

  #gone(uid: string): void {
    this.#uids.delete(uid);
    this.#handler.onGone(this.#resource, uid);
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#abort;
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#clock.after(ms, done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
