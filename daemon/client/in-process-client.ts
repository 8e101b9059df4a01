import type { Attributes } from '../api/authorization/authorizer.ts';
import { decodeBody } from '../api/codec/decode-body.ts';
import { storeFailure } from '../api/registry/object-store.ts';
import { selectionOf } from '../api/registry/selection.ts';
import type { WriteRequest } from '../api/registry/writes.ts';
import type { ResourceApi } from '../api/resource-api.ts';
import type { ResourceRow } from '../api/resources/resource-row.ts';
import { noSuchResource } from '../api/status-errors.ts';
import { apiVersionOf, type KubernetesObject, type ObjectList, type Resource } from '../apimachinery/resource.ts';
import type { Status } from '../apimachinery/types/meta-v1.ts';
import { StoreError } from '../store/store.ts';
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

/** An `ApiClient` straight on the registry: no sockets and no JSON text, the same authorization and admission. */
export class InProcessClient implements ApiClient {
  readonly identity: Identity;
  readonly #api: ResourceApi;

  constructor(api: ResourceApi, identity: Identity) {
    this.#api = api;
    this.identity = identity;
  }

  async get<T extends KubernetesObject>(resource: Resource<T>, key: ObjectKey, options: GetOptions = {}): Promise<T> {
    const row = this.#row(resource);
    this.#authorize('get', resource, key.namespace, key.name, options.subresource);
    if (options.subresource === 'scale') {
      return (await this.#api.scale.get(row, key.namespace ?? '', key.name)) as unknown as T;
    }
    const stored = await this.#api.registry.reads.get(row, key.namespace ?? '', key.name, options.resourceVersion);
    return stored.object as T;
  }

  async list<T extends KubernetesObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ObjectList<T>> {
    const row = this.#row(resource);
    this.#authorizeList('list', resource, options);
    const page = await this.#api.registry.reads.list({ ...options, selection: selectionOf(row, options) });
    return {
      kind: `${row.handle.kind}List`,
      apiVersion: apiVersionOf(row.handle),
      metadata: {
        resourceVersion: String(page.revision),
        ...(page.continue === undefined ? {} : { continue: page.continue }),
        ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
      },
      items: page.items.map((item) => item.object as T),
    };
  }

  async *watch<T extends KubernetesObject>(
    resource: Resource<T>,
    options: WatchOptions = {},
  ): AsyncIterable<WatchEvent<T>> {
    const row = this.#row(resource);
    this.#authorizeList('watch', resource, options);
    const { signal } = options;
    if (signal?.aborted) return;
    let pending: WatchEvent<T>[] = [];
    let over = false;
    let wake: (() => void) | undefined;
    const notify = (): void => {
      wake?.();
      wake = undefined;
    };
    const finish = (): void => {
      over = true;
      notify();
    };
    const stop = await this.#api.registry.watches.watch(
      {
        selection: selectionOf(row, options),
        allowBookmarks: options.allowWatchBookmarks === true,
        ...(options.resourceVersion === undefined ? {} : { resourceVersion: options.resourceVersion }),
        ...(options.sendInitialEvents === undefined ? {} : { sendInitialEvents: options.sendInitialEvents }),
        ...(options.timeoutSeconds === undefined ? {} : { timeoutSeconds: options.timeoutSeconds }),
      },
      {
        onBatch: (batch) => {
          for (const event of batch.events) pending.push({ type: event.type, object: event.object.object as T });
          notify();
        },
        onBookmark: (object) => {
          pending.push({ type: 'BOOKMARK', object: object as T });
          notify();
        },
        onEnd: (error) => {
          if (error !== undefined) pending.push({ type: 'ERROR', object: error.status });
          finish();
        },
      },
    );
    signal?.addEventListener('abort', finish);
    try {
      for (;;) {
        while (pending.length > 0 && !signal?.aborted) {
          const events = pending;
          pending = [];
          for (const event of events) yield event;
        }
        if (over || signal?.aborted) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      signal?.removeEventListener('abort', finish);
      stop();
    }
  }

  async create<T extends KubernetesObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const row = this.#row(resource);
    const namespace = row.handle.namespaced ? (object.metadata?.namespace ?? '') : '';
    // As over HTTP, the name of what is to be created does not count.
    this.#authorize('create', resource, namespace, '', options.subresource);
    return this.#call(async () => {
      const write = this.#write(options);
      const creator = this.#api.creators.get(`${resource.group}/${resource.resource}`);
      const body = { value: object };
      const stored =
        creator === undefined
          ? await this.#api.registry.writes.create(row, namespace, body, write)
          : await creator({ api: this.#api, row, namespace, body, write });
      return stored.object as T;
    });
  }

  async update<T extends KubernetesObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const row = this.#row(resource);
    const { name = '', namespace = '' } = object.metadata ?? {};
    const subresource = options.subresource ?? '';
    this.#authorize('update', resource, namespace, name, subresource);
    return this.#call(async () => {
      if (subresource === 'scale') {
        const scaled = await this.#api.scale.update(row, namespace, name, { value: object }, this.#write(options));
        return scaled as unknown as T;
      }
      const target = { row, namespace: row.handle.namespaced ? namespace : '', name, subresource };
      const result = await this.#api.put(target, { value: object }, this.#write(options));
      return result.object.object as T;
    });
  }

  async patch<T extends KubernetesObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: unknown,
    options: PatchOptions,
  ): Promise<T> {
    const row = this.#row(resource);
    const subresource = options.subresource ?? '';
    this.#authorize('patch', resource, key.namespace, key.name, subresource);
    return this.#call(async () => {
      const namespace = row.handle.namespaced ? (key.namespace ?? '') : '';
      if (subresource === 'scale') {
        const write = this.#write(options);
        return (await this.#api.scale.patch(row, namespace, key.name, options.type, patch, write)) as unknown as T;
      }
      const target = { row, namespace, name: key.name, subresource };
      const result = await this.#api.patch(target, options.type, patch, this.#write(options), options.force === true);
      return result.object.object as T;
    });
  }

  async delete<T extends KubernetesObject>(
    resource: Resource<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<T | Status> {
    const row = this.#row(resource);
    this.#authorize('delete', resource, key.namespace, key.name);
    return this.#call(async () => {
      const namespace = row.handle.namespaced ? (key.namespace ?? '') : '';
      const write = this.#write({ dryRun: options.dryRun === true });
      const result = await this.#api.registry.deletion.delete(row, namespace, key.name, options, write);
      return 'object' in result ? (result.object.object as T) : result.status;
    });
  }

  async deleteCollection<T extends KubernetesObject>(
    resource: Resource<T>,
    list: ListOptions,
    options: DeleteOptions = {},
  ): Promise<void> {
    const row = this.#row(resource);
    this.#authorize('deletecollection', resource, list.namespace, '');
    await this.#call(() =>
      this.#api.registry.deleteCollection(
        { ...list, selection: selectionOf(row, list) },
        options,
        this.#write({ dryRun: options.dryRun === true }),
      ),
    );
  }

  async createSubresource<In, Out>(
    resource: Resource,
    key: ObjectKey,
    subresource: string,
    body: In,
    options: WriteOptions = {},
  ): Promise<Out> {
    const row = this.#row(resource);
    this.#authorize('create', resource, key.namespace, key.name, subresource);
    const handler = this.#api.subresources.get(`${resource.resource}/${subresource}`);
    if (handler === undefined) throw noSuchResource();
    return this.#call(async () => {
      const write = this.#write(options);
      const object = decodeBody<KubernetesObject>(handler.kind, { value: body }, write.fieldValidation, write.warn);
      const namespace = key.namespace ?? '';
      return (await handler.create({ api: this.#api, row, namespace, name: key.name, body: object, write })) as Out;
    });
  }

  async review<T extends KubernetesObject>(resource: Resource<T>, object: T): Promise<T> {
    const namespace = object.metadata?.namespace ?? '';
    this.#authorize('create', resource, namespace, '');
    const handler = this.#api.virtual.get(`${resource.group}/${resource.version}/${resource.resource}`);
    if (handler?.create === undefined) throw noSuchResource();
    const { create } = handler;
    return this.#call(async () => {
      const write = this.#write({});
      const body = decodeBody<KubernetesObject>(handler.kind, { value: object }, write.fieldValidation, write.warn);
      return (await create({ api: this.#api, namespace, body, write })) as T;
    });
  }

  #row(resource: Resource): ResourceRow {
    const row = this.#api.registry.row(resource.group, resource.version, resource.resource);
    if (row === undefined) throw noSuchResource();
    return row;
  }

  #authorize(verb: string, resource: Resource, namespace = '', name = '', subresource = ''): void {
    this.#require(verb, {
      group: resource.group,
      version: resource.version,
      resource: resource.resource,
      subresource,
      namespace: resource.namespaced ? namespace : resource.resource === 'namespaces' ? name : '',
      name,
    });
  }

  #authorizeList(verb: string, resource: Resource, options: ListOptions): void {
    const { group, version } = resource;
    const { namespace = '', fieldSelector } = options;
    this.#require(verb, {
      group,
      version,
      resource: resource.resource,
      subresource: '',
      namespace,
      name: '',
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    });
  }

  #require(verb: string, resource: NonNullable<Attributes['resource']>): void {
    this.#api.authorizer.require({ identity: this.identity, verb, resource });
  }

  #write(options: WriteOptions): WriteRequest {
    return {
      identity: this.identity,
      dryRun: options.dryRun === true,
      fieldManager: options.fieldManager ?? this.identity.name,
      fieldValidation: options.fieldValidation ?? 'Ignore',
      warn: () => undefined,
    };
  }

  async #call<R>(call: () => Promise<R>): Promise<R> {
    try {
      return await call();
    } catch (error) {
      if (error instanceof StoreError) throw storeFailure(error);
      throw error;
    }
  }
}
