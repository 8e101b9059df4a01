import type { KubernetesObject, ObjectList, Resource } from '../apimachinery/resource.ts';
import type { Status } from '../apimachinery/types/meta-v1.ts';

/** Who a request is made as; what authentication yields (Kubernetes `user.Info`). */
export interface Identity {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export interface ObjectKey {
  /** Absent for a cluster-scoped resource. */
  readonly namespace?: string;
  readonly name: string;
}

export interface GetOptions {
  readonly resourceVersion?: string;
  readonly subresource?: string;
}

export interface ListOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan';
  readonly limit?: number;
  readonly continue?: string;
}

export interface WatchOptions extends ListOptions {
  readonly allowWatchBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
}

/**
 * ADDED, MODIFIED, DELETED and BOOKMARK carry an object (a bookmark's holds only `metadata.resourceVersion`). An ERROR
 * event carries a Status; 410 `Expired` means: list again.
 */
export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: T }
  | { readonly type: 'ERROR'; readonly object: Status };

export interface WriteOptions {
  readonly subresource?: string;
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  readonly fieldValidation?: 'Ignore' | 'Warn' | 'Strict';
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

export interface PatchOptions extends WriteOptions {
  readonly type: PatchType;
  /** Only for `apply`: take over fields that others own. */
  readonly force?: boolean;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: boolean;
}

/**
 * The one way every part of the daemon reaches the API, always as one identity: in the process (no HTTP, no JSON, the same
 * authorization and admission) or over HTTPS.
 *
 * Objects that come back are shared with the watch cache and with every other reader: **never change one**; take a
 * `structuredClone` first. Every failure is an `ApiError` (see `api-error.ts`) that carries the Kubernetes `Status`.
 */
export interface ApiClient {
  readonly identity: Identity;
  get<T extends KubernetesObject>(resource: Resource<T>, key: ObjectKey, options?: GetOptions): Promise<T>;
  list<T extends KubernetesObject>(resource: Resource<T>, options?: ListOptions): Promise<ObjectList<T>>;
  /** Ends (returns) when the server ends the watch or the signal is aborted. */
  watch<T extends KubernetesObject>(resource: Resource<T>, options?: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** `object.metadata.namespace` says where. */
  create<T extends KubernetesObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  update<T extends KubernetesObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  /** `patch` is the parsed body: an array for `json`, else an object. Creates nothing unless the type is `apply`. */
  patch<T extends KubernetesObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: unknown,
    options: PatchOptions,
  ): Promise<T>;
  /** Yields the object as it is left (still there under a grace period or finalizers) or the success Status. */
  delete<T extends KubernetesObject>(
    resource: Resource<T>,
    key: ObjectKey,
    options?: DeleteOptions,
  ): Promise<T | Status>;
  deleteCollection<T extends KubernetesObject>(
    resource: Resource<T>,
    list: ListOptions,
    options?: DeleteOptions,
  ): Promise<void>;
  /** POST to a subresource: `binding`, `eviction`, `token`. */
  createSubresource<In, Out>(
    resource: Resource,
    key: ObjectKey,
    subresource: string,
    body: In,
    options?: WriteOptions,
  ): Promise<Out>;
  /** POST of a virtual resource: the review APIs. */
  review<T extends KubernetesObject>(resource: Resource<T>, object: T): Promise<T>;
}
