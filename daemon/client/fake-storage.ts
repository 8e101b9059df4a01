import { apiError } from '../apimachinery/api-error.ts';
import { keyOf } from '../apimachinery/object-key.ts';
import { apiVersionOf, type KubernetesObject, type Resource } from '../apimachinery/resource.ts';
import { formatTime } from '../apimachinery/time.ts';
import type { ObjectKey, WatchEvent, WatchOptions } from './api-client.ts';
import type { Clock } from './clock.ts';
import { EventQueue } from './event-queue.ts';
import { type Change, collectionName, deepFreeze, eventOf, keyText, matcherOf, notFound } from './fake-objects.ts';

/** The objects of a fake client, with the history of their changes and those who watch it. */
export class FakeStorage {
  readonly #clock: Clock;
  readonly #freeze: boolean;
  readonly #collections = new Map<string, Map<string, KubernetesObject>>();
  readonly #watchers = new Set<(change: Change) => void>();
  readonly #queues = new Set<EventQueue<unknown>>();
  #history: Change[] = [];
  #version = 0;
  #compacted = 0;
  #uid = 0;

  constructor(clock: Clock, freeze: boolean) {
    this.#clock = clock;
    this.#freeze = freeze;
  }

  get version(): string {
    return String(this.#version);
  }

  /** Whether a watcher has events yet to take. */
  get isBusy(): boolean {
    return [...this.#queues].some((queue) => queue.length > 0);
  }

  compact(): void {
    this.#compacted = this.#version;
    this.#history = [];
  }

  dropWatches(): void {
    for (const queue of this.#queues) {
      queue.end();
    }
  }

  /** Events from a version on, or of all there is and then on. */
  async *watch<T extends KubernetesObject>(
    resource: Resource<T>,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    const from = Number(options.resourceVersion ?? '0');
    const withState = from === 0 || options.sendInitialEvents === true;
    if (!withState && from < this.#compacted) {
      const error = apiError('Expired', `too old resource version: ${from} (${this.#compacted})`);
      yield { type: 'ERROR', object: error.status };
      return;
    }
    const matches = matcherOf(options);
    const queue = new EventQueue<WatchEvent<T>>();
    const collection = collectionName(resource);
    const deliver = (change: Change): void => {
      const event = change.collection === collection ? eventOf(change, matches) : undefined;
      if (event !== undefined) {
        queue.push(event as WatchEvent<T>);
      }
    };
    if (withState) {
      for (const object of this.collection(resource).values()) {
        if (matches(object)) {
          queue.push({ type: 'ADDED', object: object as T });
        }
      }
      if (options.sendInitialEvents === true) {
        queue.push({ type: 'BOOKMARK', object: this.#bookmark(resource, true) });
      }
    } else {
      for (const change of this.#history) {
        if (change.version > from) {
          deliver(change);
        }
      }
    }
    const end = (): void => queue.end();
    this.#watchers.add(deliver);
    this.#queues.add(queue as EventQueue<unknown>);
    options.signal?.addEventListener('abort', end, { once: true });
    if (options.signal?.aborted === true) {
      end();
    }
    try {
      yield* queue;
    } finally {
      this.#watchers.delete(deliver);
      this.#queues.delete(queue as EventQueue<unknown>);
      options.signal?.removeEventListener('abort', end);
    }
  }

  collection(resource: Resource): Map<string, KubernetesObject> {
    const name = collectionName(resource);
    let collection = this.#collections.get(name);
    if (collection === undefined) {
      collection = new Map();
      this.#collections.set(name, collection);
    }
    return collection;
  }

  find<T extends KubernetesObject>(resource: Resource<T>, key: ObjectKey): T {
    return this.findByKey(resource, keyText(key));
  }

  findByKey<T extends KubernetesObject>(resource: Resource<T>, key: string): T {
    const object = this.collection(resource).get(key);
    if (object === undefined) {
      throw notFound(resource, key.slice(key.indexOf('/') + 1));
    }
    return object as T;
  }

  stamp<T extends KubernetesObject>(resource: Resource<T>, object: T): T {
    object.apiVersion = apiVersionOf(resource);
    object.kind = resource.kind;
    object.metadata = {
      creationTimestamp: this.time(0),
      uid: `uid-${++this.#uid}`,
      ...('spec' in object ? { generation: 1 } : {}),
      ...object.metadata,
      resourceVersion: String(this.#version + 1),
    };
    return object;
  }

  next<T extends KubernetesObject>(object: T): T {
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version + 1) } };
  }

  put<T extends KubernetesObject>(resource: Resource<T>, object: T): T {
    if (this.#freeze) {
      deepFreeze(object);
    }
    const collection = this.collection(resource);
    const key = keyOf(object);
    const old = collection.get(key);
    collection.set(key, object);
    this.#publish({ version: ++this.#version, collection: collectionName(resource), object, old, deleted: false });
    return object;
  }

  remove(resource: Resource, object: KubernetesObject): void {
    const last = this.next(object);
    if (this.#freeze) {
      deepFreeze(last);
    }
    this.collection(resource).delete(keyOf(object));
    this.#publish({
      version: ++this.#version,
      collection: collectionName(resource),
      object: last,
      old: object,
      deleted: true,
    });
  }

  #publish(change: Change): void {
    this.#history.push(change);
    for (const deliver of this.#watchers) {
      deliver(change);
    }
  }

  #bookmark<T extends KubernetesObject>(resource: Resource<T>, initialEventsEnd: boolean): T {
    const annotations = initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
    const metadata = { resourceVersion: this.version, ...annotations };
    return { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata } as T;
  }

  time(offsetMs: number): string {
    return formatTime(new Date(this.#clock.now() + offsetMs));
  }
}
