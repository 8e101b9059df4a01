import { applyPatch } from '../api/patch/patch.ts';
import { apiError } from '../apimachinery/api-error.ts';
import { randomSuffix } from '../apimachinery/hash.ts';
import { keyOf } from '../apimachinery/object-key.ts';
import { apiVersionOf, type KubernetesObject, type ObjectList, type Resource } from '../apimachinery/resource.ts';
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
import {
  conflict,
  exists,
  graceOf,
  keyText,
  matcherOf,
  mergeBySubresource,
  notFound,
  pickDefined,
  specOf,
} from './fake-objects.ts';
import { FakeStorage } from './fake-storage.ts';

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
  readonly #storage: FakeStorage;
  readonly #reactors: FakeReactor[] = [];

  constructor(options: FakeClientOptions = {}) {
    this.identity = options.identity ?? { name: 'test', groups: ['system:masters'] };
    this.#storage = new FakeStorage(options.clock ?? systemClock, options.freeze ?? true);
  }

  get resourceVersion(): string {
    return this.#storage.version;
  }

  /** Sees each request before it is answered; throwing fails the request. Returns the function that removes it. */
  react(reactor: FakeReactor): () => void {
    this.#reactors.push(reactor);
    return () => void this.#reactors.splice(this.#reactors.indexOf(reactor), 1);
  }

  /** Puts objects in as they are (status and all), giving them what every stored object has. No action is recorded. */
  seed<T extends KubernetesObject>(resource: Resource<T>, ...objects: T[]): T[] {
    return objects.map((object) => {
      const stored = this.#storage.stamp(resource, structuredClone(object));
      return this.#storage.put(resource, stored);
    });
  }

  /** Forgets history: watches from an older version answer 410, as after a compaction. */
  compact(): void {
    this.#storage.compact();
  }

  /** Ends every open watch, as a server that restarts does. */
  dropWatches(): void {
    this.#storage.dropWatches();
  }

  /** Resolves once all watchers have taken all events and nothing more is written in consequence. */
  async settle(): Promise<void> {
    let quiet = 0;
    while (quiet < 3) {
      const { version } = this.#storage;
      const actions = this.actions.length;
      await new Promise<void>((resolve) => setImmediate(resolve));
      quiet =
        this.#storage.isBusy || version !== this.#storage.version || actions !== this.actions.length ? 0 : quiet + 1;
    }
  }

  async get<T extends KubernetesObject>(resource: Resource<T>, key: ObjectKey, options: GetOptions = {}): Promise<T> {
    this.#act('get', resource, options.subresource, keyText(key));
    return this.#storage.find(resource, key);
  }

  async list<T extends KubernetesObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ObjectList<T>> {
    this.#act('list', resource, '', options.namespace ?? '');
    const matches = matcherOf(options);
    const items = [...this.#storage.collection(resource).values()].filter(matches) as T[];
    items.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const start = options.continue === undefined ? 0 : Number(options.continue);
    const end = options.limit === undefined || options.limit === 0 ? items.length : start + options.limit;
    return {
      apiVersion: apiVersionOf(resource),
      kind: `${resource.kind}List`,
      metadata: {
        resourceVersion: this.#storage.version,
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
    yield* this.#storage.watch(resource, options);
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
    if (this.#storage.collection(resource).has(keyOf(copy))) {
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
    const stored = this.#storage.stamp(resource, copy);
    return options.dryRun === true ? stored : this.#storage.put(resource, stored);
  }

  async update<T extends KubernetesObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const key = keyOf(object);
    this.#act('update', resource, options.subresource, key, object);
    return this.#replace(resource, this.#storage.findByKey(resource, key), structuredClone(object), options);
  }

  async patch<T extends KubernetesObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: unknown,
    options: PatchOptions,
  ): Promise<T> {
    this.#act('patch', resource, options.subresource, keyText(key), patch);
    const type = options.type === 'apply' ? 'strategic' : options.type;
    const old = this.#storage.collection(resource).get(keyText(key)) as T | undefined;
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
    return this.#delete(resource, this.#storage.find(resource, key), options);
  }

  async deleteCollection<T extends KubernetesObject>(
    resource: Resource<T>,
    list: ListOptions,
    options: DeleteOptions = {},
  ): Promise<void> {
    this.#act('deletecollection', resource, '', list.namespace ?? '', options);
    const matches = matcherOf(list);
    for (const object of [...this.#storage.collection(resource).values()].filter(matches)) {
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
    const object = this.#storage.find(resource, key);
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
          status: { token: `token-of-${keyText(key)}`, expirationTimestamp: this.#storage.time(3_600_000) },
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
        conditions: [
          ...conditions,
          { type: 'PodScheduled', status: 'True', lastTransitionTime: this.#storage.time(0) },
        ],
      },
    };
    this.#storage.put(resource, this.#storage.next(bound));
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
        this.#storage.remove(resource, merged);
        return merged;
      }
    }
    return this.#storage.put(resource, this.#storage.next(merged));
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
      this.#storage.remove(resource, object);
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
        deletionTimestamp: metadata.deletionTimestamp ?? this.#storage.time(grace * 1000),
        deletionGracePeriodSeconds: grace,
        ...(metadata.generation === undefined ? {} : { generation: metadata.generation + 1 }),
      },
    };
    return this.#storage.put(resource, this.#storage.next(marked));
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
}
