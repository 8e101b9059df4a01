import { applyPatch } from '../api/patch/patch.ts';
import { apiError } from '../apimachinery/api-error.ts';
import { randomSuffix } from '../apimachinery/hash.ts';
import { keyOf } from '../apimachinery/object-key.ts';
import { apiVersionOf, type KubernetesObject, type ObjectList, type Resource } from '../apimachinery/resource.ts';
import { formatTime } from '../apimachinery/time.ts';
import type { Binding, Pod } from '../apimachinery/types/core-v1.ts';
import type { Status } from '../apimachinery/types/meta-v1.ts';
import type {
  ApiClient,
  DeleteOptions,
  GetOptions,
  Identity,
  ListOptions,
  ObjectKey,
  PatchOptions,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './api-client.ts';
import { type Clock, systemClock } from './clock.ts';
import { EventQueue } from './event-queue.ts';
import {
  type Change,
  collectionName,
  conflict,
  deepFreeze,
  eventOf,
  exists,
  graceOf,
  keyText,
  matcherOf,
  mergeBySubresource,
  notFound,
  pickDefined,
  specOf,
} from './fake-objects.ts';

/** A request a fake client has answered, as tests look at it. */
export interface FakeAction {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';
  /** Plural name, as in the URL. */
  readonly resource: string;
  readonly subresource: string;
  /** `namespace/name`, or `name`; of a list: the namespace, or empty. */
  readonly key: string;
  /** The object written, the patch, or the body posted. */
  readonly body?: unknown;
}

export interface FakeClientOptions {
  readonly identity?: Identity;
  readonly clock?: Clock;
  /** Freezes what it hands out, so that a test fails where shared objects are changed (default true). */
  readonly freeze?: boolean;
}

/** A reactor answers a request in the API's stead by throwing; what it does otherwise is up to it. */
export type FakeReactor = (action: FakeAction) => void;

const success: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' };

/**
 * The API in memory for unit tests: versions and conflicts, watches with history, selectors, generated names, the status
 * subresource, deletion with finalizers and grace, bindings and evictions. It neither validates, nor defaults, nor authorizes.
 */
export class FakeClient implements ApiClient {
  readonly identity: Identity;
  /** Every write (and, with `recordReads`, every read) in order. */
  readonly actions: FakeAction[] = [];
  recordReads = false;
  readonly #clock: Clock;
  readonly #freeze: boolean;
  readonly #collections = new Map<string, Map<string, KubernetesObject>>();
  readonly #watchers = new Set<(change: Change) => void>();
  readonly #queues = new Set<EventQueue<unknown>>();
  readonly #reactors: FakeReactor[] = [];
  #history: Change[] = [];
  #version = 0;
  #compacted = 0;
  #uid = 0;

  constructor(options: FakeClientOptions = {}) {
    this.identity = options.identity ?? { name: 'test', groups: ['system:masters'] };
    this.#clock = options.clock ?? systemClock;
    this.#freeze = options.freeze ?? true;
  }

  get resourceVersion(): string {
    return String(this.#version);
  }

  /** Sees each request before it is answered; throwing fails the request. Returns the function that removes it. */
  react(reactor: FakeReactor): () => void {
    this.#reactors.push(reactor);
    return () => void this.#reactors.splice(this.#reactors.indexOf(reactor), 1);
  }

  /** Puts objects in as they are (status and all), giving them what every stored object has. No action is recorded. */
  seed<T extends KubernetesObject>(resource: Resource<T>, ...objects: T[]): T[] {
    return objects.map((object) => {
      const stored = this.#stamp(resource, structuredClone(object));
      return this.#put(resource, stored);
    });
  }

  /** Forgets history: watches from an older version answer 410, as after a compaction. */
  compact(): void {
    this.#compacted = this.#version;
    this.#history = [];
  }

  /** Ends every open watch, as a server that restarts does. */
  dropWatches(): void {
    for (const queue of this.#queues) {
      queue.end();
    }
  }

  /** Resolves once all watchers have taken all events and nothing more is written in consequence. */
  async settle(): Promise<void> {
    let quiet = 0;
    while (quiet < 3) {
      const version = this.#version;
      const actions = this.actions.length;
      await new Promise<void>((resolve) => setImmediate(resolve));
      const busy = [...this.#queues].some((queue) => queue.length > 0);
      quiet = busy || version !== this.#version || actions !== this.actions.length ? 0 : quiet + 1;
    }
  }

  async get<T extends KubernetesObject>(resource: Resource<T>, key: ObjectKey, options: GetOptions = {}): Promise<T> {
    this.#act('get', resource, options.subresource, keyText(key));
    return this.#find(resource, key);
  }

  async list<T extends KubernetesObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ObjectList<T>> {
    this.#act('list', resource, '', options.namespace ?? '');
    const matches = matcherOf(options);
    const items = [...this.#collection(resource).values()].filter(matches) as T[];
    items.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const start = options.continue === undefined ? 0 : Number(options.continue);
    const end = options.limit === undefined || options.limit === 0 ? items.length : start + options.limit;
    return {
      apiVersion: apiVersionOf(resource),
      kind: `${resource.kind}List`,
      metadata: {
        resourceVersion: String(this.#version),
        ...(end < items.length ? { continue: String(end), remainingItemCount: items.length - end } : {}),
      },
      items: items.slice(start, end),
    };
  }

  async *watch<T extends KubernetesObject>(
    resource: Resource<T>,
    options: WatchOptions = {},
  ): AsyncGenerator<WatchEvent<T>> {
    this.#act('watch', resource, '', options.namespace ?? '');
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
      for (const object of this.#collection(resource).values()) {
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

  async create<T extends KubernetesObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const copy = structuredClone(object);
    copy.metadata ??= {};
    if (!copy.metadata.name && copy.metadata.generateName) {
      copy.metadata.name = `${copy.metadata.generateName}${randomSuffix(5)}`;
    }
    this.#act('create', resource, '', keyOf(copy), object);
    if (!copy.metadata.name) {
      throw apiError(
        'Invalid',
        `${resource.kind} "" is invalid: metadata.name: Required value: name or generateName is required`,
      );
    }
    if (resource.namespaced && !copy.metadata.namespace) {
      throw apiError('BadRequest', 'an empty namespace may not be set during creation');
    }
    if (this.#collection(resource).has(keyOf(copy))) {
      throw exists(resource, copy.metadata.name);
    }
    delete copy.metadata.resourceVersion;
    delete copy.metadata.uid;
    delete copy.metadata.deletionTimestamp;
    delete copy.metadata.deletionGracePeriodSeconds;
    if (resource.subresources.includes('status') && resource.kind !== 'Node') {
      delete (copy as { status?: unknown }).status;
    }
    if (resource.kind === 'Pod') {
      (copy as unknown as Pod).status = { phase: 'Pending', qosClass: 'BestEffort' };
    }
    const stored = this.#stamp(resource, copy);
    return options.dryRun === true ? stored : this.#put(resource, stored);
  }

  async update<T extends KubernetesObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const key = keyOf(object);
    this.#act('update', resource, options.subresource, key, object);
    return this.#replace(resource, this.#findByKey(resource, key), structuredClone(object), options);
  }

  async patch<T extends KubernetesObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: unknown,
    options: PatchOptions,
  ): Promise<T> {
    this.#act('patch', resource, options.subresource, keyText(key), patch);
    const type = options.type === 'apply' ? 'strategic' : options.type;
    const old = this.#collection(resource).get(keyText(key)) as T | undefined;
    if (old === undefined) {
      if (options.type !== 'apply') {
        throw notFound(resource, key.name);
      }
      return this.create(resource, patch as T, options);
    }
    const { definition } = resource;
    // A custom resource has no merge keys: its objects are merged member by member.
    const next = applyPatch({
      type: type === 'strategic' && definition === '' ? 'merge' : type,
      patch: structuredClone(patch),
      object: old,
      definition,
    });
    return this.#replace(resource, old, structuredClone(next), options);
  }

  async delete<T extends KubernetesObject>(
    resource: Resource<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<T | Status> {
    this.#act('delete', resource, '', keyText(key), options);
    return this.#delete(resource, this.#find(resource, key), options);
  }

  async deleteCollection<T extends KubernetesObject>(
    resource: Resource<T>,
    list: ListOptions,
    options: DeleteOptions = {},
  ): Promise<void> {
    this.#act('deletecollection', resource, '', list.namespace ?? '', options);
    const matches = matcherOf(list);
    for (const object of [...this.#collection(resource).values()].filter(matches)) {
      this.#delete(resource, object as T, options);
    }
  }

  async createSubresource<In, Out>(
    resource: Resource,
    key: ObjectKey,
    subresource: string,
    body: In,
    _options: WriteOptions = {},
  ): Promise<Out> {
    this.#act('create', resource, subresource, keyText(key), body);
    const object = this.#find(resource, key);
    switch (`${resource.resource}/${subresource}`) {
      case 'pods/binding':
        this.#bind(resource, object as Pod, body as unknown as Binding);
        return success as Out;
      case 'pods/eviction':
        this.#delete(resource, object, {});
        return success as Out;
      case 'serviceaccounts/token':
        return {
          ...body,
          status: { token: `token-of-${keyText(key)}`, expirationTimestamp: this.#time(3_600_000) },
        } as Out;
      default:
        throw apiError('NotFound', 'the server could not find the requested resource');
    }
  }

  async review<T extends KubernetesObject>(resource: Resource<T>, object: T): Promise<T> {
    this.#act('create', resource, '', '', object);
    return { ...object, status: { allowed: true, authenticated: true } } as T;
  }

  #bind(resource: Resource, pod: Pod, binding: Binding): void {
    if (pod.metadata.deletionTimestamp !== undefined) {
      throw apiError('Conflict', `pod ${pod.metadata.name} is being deleted, cannot be assigned to a host`);
    }
    if (pod.spec.nodeName) {
      throw apiError(
        'Conflict',
        `Operation cannot be fulfilled on pods/binding "${pod.metadata.name}": pod ${pod.metadata.name} is already assigned to node "${pod.spec.nodeName}"`,
      );
    }
    const conditions = (pod.status?.conditions ?? []).filter((condition) => condition.type !== 'PodScheduled');
    const bound: Pod = {
      ...pod,
      metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, ...binding.metadata?.annotations } },
      spec: { ...pod.spec, nodeName: binding.target.name ?? '' },
      status: {
        ...pod.status,
        conditions: [...conditions, { type: 'PodScheduled', status: 'True', lastTransitionTime: this.#time(0) }],
      },
    };
    this.#put(resource, this.#next(bound));
  }

  #replace<T extends KubernetesObject>(resource: Resource<T>, old: T, next: T, options: WriteOptions): T {
    const given = next.metadata?.resourceVersion;
    const name = old.metadata?.name ?? '';
    if (given !== undefined && given !== '' && given !== old.metadata?.resourceVersion) {
      throw conflict(
        resource,
        name,
        'the object has been modified; please apply your changes to the latest version and try again',
      );
    }
    if (next.metadata?.uid !== undefined && next.metadata.uid !== old.metadata?.uid) {
      throw conflict(
        resource,
        name,
        `Precondition failed: UID in precondition: ${next.metadata.uid}, UID in object meta: ${old.metadata?.uid}`,
      );
    }
    const merged = mergeBySubresource(resource, old, next, options.subresource ?? '');
    merged.metadata = {
      ...merged.metadata,
      ...pickDefined({
        uid: old.metadata?.uid,
        creationTimestamp: old.metadata?.creationTimestamp,
        deletionTimestamp: old.metadata?.deletionTimestamp,
        deletionGracePeriodSeconds: old.metadata?.deletionGracePeriodSeconds,
        generation: old.metadata?.generation,
        resourceVersion: old.metadata?.resourceVersion,
      }),
    };
    merged.apiVersion = apiVersionOf(resource);
    merged.kind = resource.kind;
    const changed = JSON.stringify(specOf(merged)) !== JSON.stringify(specOf(old));
    if (changed && merged.metadata.generation !== undefined) {
      merged.metadata.generation++;
    }
    if (options.dryRun === true || JSON.stringify(merged) === JSON.stringify(old)) {
      return merged;
    }
    if (merged.metadata.deletionTimestamp !== undefined && (merged.metadata.finalizers ?? []).length === 0) {
      const grace = merged.metadata.deletionGracePeriodSeconds ?? 0;
      if (grace === 0) {
        this.#remove(resource, merged);
        return merged;
      }
    }
    return this.#put(resource, this.#next(merged));
  }

  #delete<T extends KubernetesObject>(resource: Resource<T>, object: T, options: DeleteOptions): T | Status {
    const { uid, resourceVersion } = options.preconditions ?? {};
    const metadata = object.metadata ?? {};
    const name = metadata.name ?? '';
    if (uid !== undefined && uid !== metadata.uid) {
      throw conflict(
        resource,
        name,
        `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
      );
    }
    if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
      throw conflict(
        resource,
        name,
        `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
      );
    }
    if (options.dryRun === true) {
      return object;
    }
    const grace = resource.kind === 'Pod' ? graceOf(object as unknown as Pod, options.gracePeriodSeconds) : 0;
    const finalizers = new Set(metadata.finalizers);
    if (options.propagationPolicy === 'Foreground') {
      finalizers.add('foregroundDeletion');
    } else if (options.propagationPolicy === 'Orphan') {
      finalizers.add('orphan');
    }
    if (grace === 0 && finalizers.size === 0) {
      this.#remove(resource, object);
      return success;
    }
    if (metadata.deletionTimestamp !== undefined && grace >= (metadata.deletionGracePeriodSeconds ?? 0)) {
      return object;
    }
    const marked = {
      ...object,
      metadata: {
        ...metadata,
        ...(finalizers.size > 0 ? { finalizers: [...finalizers] } : {}),
        deletionTimestamp: metadata.deletionTimestamp ?? this.#time(grace * 1000),
        deletionGracePeriodSeconds: grace,
        ...(metadata.generation === undefined ? {} : { generation: metadata.generation + 1 }),
      },
    };
    return this.#put(resource, this.#next(marked));
  }

  #act(
    verb: FakeAction['verb'],
    resource: Resource,
    subresource: string | undefined,
    key: string,
    body?: unknown,
  ): void {
    const action: FakeAction = {
      verb,
      resource: resource.resource,
      subresource: subresource ?? '',
      key,
      ...(body === undefined ? {} : { body }),
    };
    if (this.recordReads || !(verb === 'get' || verb === 'list' || verb === 'watch')) {
      this.actions.push(action);
    }
    for (const reactor of this.#reactors) {
      reactor(action);
    }
  }

  #collection(resource: Resource): Map<string, KubernetesObject> {
    const name = collectionName(resource);
    let collection = this.#collections.get(name);
    if (collection === undefined) {
      collection = new Map();
      this.#collections.set(name, collection);
    }
    return collection;
  }

  #find<T extends KubernetesObject>(resource: Resource<T>, key: ObjectKey): T {
    return this.#findByKey(resource, keyText(key));
  }

  #findByKey<T extends KubernetesObject>(resource: Resource<T>, key: string): T {
    const object = this.#collection(resource).get(key);
    if (object === undefined) {
      throw notFound(resource, key.slice(key.indexOf('/') + 1));
    }
    return object as T;
  }

  #stamp<T extends KubernetesObject>(resource: Resource<T>, object: T): T {
    object.apiVersion = apiVersionOf(resource);
    object.kind = resource.kind;
    object.metadata = {
      creationTimestamp: this.#time(0),
      uid: `uid-${++this.#uid}`,
      ...('spec' in object ? { generation: 1 } : {}),
      ...object.metadata,
      resourceVersion: String(this.#version + 1),
    };
    return object;
  }

  #next<T extends KubernetesObject>(object: T): T {
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version + 1) } };
  }

  #put<T extends KubernetesObject>(resource: Resource<T>, object: T): T {
    if (this.#freeze) {
      deepFreeze(object);
    }
    const collection = this.#collection(resource);
    const key = keyOf(object);
    const old = collection.get(key);
    collection.set(key, object);
    this.#publish({ version: ++this.#version, collection: collectionName(resource), object, old, deleted: false });
    return object;
  }

  #remove(resource: Resource, object: KubernetesObject): void {
    const last = this.#next(object);
    if (this.#freeze) {
      deepFreeze(last);
    }
    this.#collection(resource).delete(keyOf(object));
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
    const metadata = { resourceVersion: String(this.#version), ...annotations };
    return { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata } as T;
  }

  #time(offsetMs: number): string {
    return formatTime(new Date(this.#clock.now() + offsetMs));
  }
}
