import { isApiError } from '../apimachinery/api-error.ts';
import { keyOf } from '../apimachinery/object-key.ts';
import { apiVersionOf, type KubernetesObject, type Resource } from '../apimachinery/resource.ts';
import type { Logger } from '../log/logger.ts';
import type { ApiClient } from './api-client.ts';
import { type Clock, systemClock } from './clock.ts';
import { IndexedCache } from './indexed-cache.ts';
import type { Informer, InformerHandler, InformerOptions, SharedInformers } from './informer.ts';

export interface SharedInformersOptions {
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** Delay between failed attempts: doubles from the first to the last, each with up to as much again of jitter. */
const firstDelayMs = 800;
const lastDelayMs = 30_000;
/** A watch that ends sooner than this without having told anything counts as a failure. */
const shortWatchMs = 1_000;
const minWatchSeconds = 300;

/** Why a watch ended: list again, or go on from the last version seen. */
type WatchEnd = 'expired' | 'ended' | 'empty';

class ResourceInformer<T extends KubernetesObject> implements Informer<T> {
  readonly lister: IndexedCache<T>;
  readonly #client: ApiClient;
  readonly #resource: Resource<T>;
  readonly #options: InformerOptions;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #handlers = new Set<InformerHandler<T>>();
  readonly #abort = new AbortController();
  readonly synced: Promise<void>;
  #markSynced: () => void = () => {};
  #hasSynced = false;
  #resourceVersion = '';
  #failures = 0;
  #running: Promise<void> | undefined;

  constructor(
    client: ApiClient,
    resource: Resource<T>,
    options: InformerOptions,
    logger: Logger,
    settings: SharedInformersOptions,
  ) {
    this.#client = client;
    this.#resource = resource;
    this.#options = options;
    this.#logger = logger;
    this.#clock = settings.clock ?? systemClock;
    this.#random = settings.random ?? Math.random;
    this.lister = new IndexedCache<T>();
    this.synced = new Promise((resolve) => {
      this.#markSynced = resolve;
    });
  }

  hasSynced(): boolean {
    return this.#hasSynced;
  }

  addHandler(handler: InformerHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.lister.list()) {
      this.#call(() => handler.onAdd?.(object));
    }
    return () => this.#handlers.delete(handler);
  }

  addIndex(name: string, valuesOf: (object: T) => readonly string[]): void {
    this.lister.addIndex(name, valuesOf);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
    this.#markSynced();
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      try {
        await this.#list();
        this.#failures = 0;
        await this.#watchUntilExpired();
      } catch (error) {
        if (!this.#abort.signal.aborted) {
          this.#logger.warn({ resource: this.#resource.resource, err: error }, 'list or watch failed; will retry');
          await this.#backOff();
        }
      }
    }
  }

  async #list(): Promise<void> {
    const list = await this.#client.list(this.#resource, {
      ...this.#options,
      // Any state not older than the one last seen will do: a watch cache may answer.
      resourceVersion: this.#resourceVersion === '' ? '0' : this.#resourceVersion,
    });
    if (this.#abort.signal.aborted) {
      return;
    }
    this.#replace(list.items);
    this.#resourceVersion = list.metadata.resourceVersion ?? '';
    if (!this.#hasSynced) {
      this.#hasSynced = true;
      this.#markSynced();
    }
  }

  async #watchUntilExpired(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const startedAt = this.#clock.now();
      let end: WatchEnd;
      try {
        end = await this.#watch();
      } catch (error) {
        if (isApiError(error, 'Expired') || isApiError(error, 'Gone')) {
          end = 'expired';
        } else {
          if (this.#abort.signal.aborted) {
            return;
          }
          this.#logger.info(
            { resource: this.#resource.resource, err: error },
            'watch failed; will go on from the last version',
          );
          end = 'empty';
        }
      }
      if (end === 'expired') {
        this.#logger.debug({ resource: this.#resource.resource }, 'version too old to watch from; will list again');
        // A fresh list, since one "not older than" this version could come from where it is still unknown.
        this.#resourceVersion = '';
        return;
      }
      if (end === 'empty' && this.#clock.now() - startedAt < shortWatchMs) {
        await this.#backOff();
      } else {
        this.#failures = 0;
      }
    }
  }

  async #watch(): Promise<WatchEnd> {
    let end: WatchEnd = 'empty';
    const events = this.#client.watch(this.#resource, {
      ...this.#options,
      resourceVersion: this.#resourceVersion,
      allowWatchBookmarks: true,
      timeoutSeconds: Math.round(minWatchSeconds * (1 + this.#random())),
      signal: this.#abort.signal,
    });
    for await (const event of events) {
      if (this.#abort.signal.aborted) {
        return 'ended';
      }
      if (event.type === 'ERROR') {
        if (event.object.code === 410) {
          return 'expired';
        }
        throw new Error(`watch error: ${event.object.message ?? event.object.reason ?? 'unknown'}`);
      }
      end = 'ended';
      if (event.type === 'DELETED') {
        this.#delete(event.object);
      } else if (event.type !== 'BOOKMARK') {
        this.#set(event.object);
      }
      this.#resourceVersion = event.object.metadata?.resourceVersion ?? this.#resourceVersion;
    }
    return end;
  }

  async #backOff(): Promise<void> {
    const delay = Math.min(firstDelayMs * 2 ** this.#failures, lastDelayMs) * (1 + this.#random());
    this.#failures++;
    const signal = this.#abort.signal;
    if (signal.aborted) {
      return;
    }
    await new Promise<void>((resolve) => {
      const done = () => {
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#clock.after(delay, done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Brings the cache to what a list says, telling handlers only of what differs. */
  #replace(items: readonly T[]): void {
    const keys = new Set<string>();
    for (const item of items) {
      keys.add(keyOf(item));
      this.#set(item);
    }
    if (keys.size < this.lister.size) {
      for (const object of [...this.lister.list()]) {
        if (!keys.has(keyOf(object))) {
          this.#delete(object);
        }
      }
    }
  }

  #set(raw: T): void {
    // Items of a list may come without their type; whoever takes one from the cache can rely on it.
    const object =
      raw.kind === undefined ? { apiVersion: apiVersionOf(this.#resource), ...raw, kind: this.#resource.kind } : raw;
    const old = this.lister.set(keyOf(object), object);
    if (old === undefined) {
      for (const handler of this.#handlers) {
        this.#call(() => handler.onAdd?.(object));
      }
      return;
    }
    if (old.metadata?.uid !== object.metadata?.uid) {
      // Deleted and created anew, unseen in between: whoever counts by identity must see both.
      for (const handler of this.#handlers) {
        this.#call(() => handler.onDelete?.(old));
        this.#call(() => handler.onAdd?.(object));
      }
    } else if (old.metadata?.resourceVersion !== object.metadata?.resourceVersion) {
      for (const handler of this.#handlers) {
        this.#call(() => handler.onUpdate?.(object, old));
      }
    }
  }

  #delete(object: T): void {
    const old = this.lister.delete(keyOf(object));
    if (old !== undefined) {
      for (const handler of this.#handlers) {
        this.#call(() => handler.onDelete?.(object.kind === undefined ? { ...object, kind: old.kind } : object));
      }
    }
  }

  #call(handle: () => void): void {
    try {
      handle();
    } catch (error) {
      this.#logger.error({ resource: this.#resource.resource, err: error }, 'informer handler failed');
    }
  }
}

/** What the set needs of an informer, whatever the type of its objects. */
interface Startable {
  readonly synced: Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

class InformerSet implements SharedInformers {
  readonly #client: ApiClient;
  readonly #logger: Logger;
  readonly #settings: SharedInformersOptions;
  readonly #informers = new Map<string, Startable>();
  #stopped = false;

  constructor(client: ApiClient, logger: Logger, settings: SharedInformersOptions) {
    this.#client = client;
    this.#logger = logger;
    this.#settings = settings;
  }

  informer<T extends KubernetesObject>(resource: Resource<T>, options: InformerOptions = {}): Informer<T> {
    const key = [
      apiVersionOf(resource),
      resource.resource,
      options.namespace ?? '',
      options.labelSelector ?? '',
      options.fieldSelector ?? '',
    ].join('\n');
    const known = this.#informers.get(key);
    if (known !== undefined) {
      return known as unknown as Informer<T>;
    }
    const informer = new ResourceInformer(this.#client, resource, options, this.#logger, this.#settings);
    this.#informers.set(key, informer);
    return informer;
  }

  async start(): Promise<void> {
    if (this.#stopped) {
      throw new Error('informers cannot start again once stopped');
    }
    const informers = [...this.#informers.values()];
    for (const informer of informers) {
      informer.start();
    }
    await Promise.all(informers.map((informer) => informer.synced));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#informers.values()].map((informer) => informer.stop()));
  }
}

/**
 * Caches kept fresh by list and watch through `client`: a watch that breaks goes on from the last version seen, one whose
 * version has been compacted lists again and tells handlers the difference. Failures are retried for ever, with growing
 * and jittered delays, and logged.
 */
export function createSharedInformers(
  client: ApiClient,
  logger: Logger,
  options: SharedInformersOptions = {},
): SharedInformers {
  return new InformerSet(client, logger, options);
}
