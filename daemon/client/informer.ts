import type { KubernetesObject, Resource } from '../apimachinery/resource.ts';

export interface InformerHandler<T> {
  onAdd?(object: T): void;
  onUpdate?(object: T, old: T): void;
  /** `object` is the last state seen; it may be stale when the deletion itself was missed. */
  onDelete?(object: T): void;
}

/** Read access to an informer's cache. Objects are shared: never change one. Keys are `namespace/name`, or `name`. */
export interface Lister<T> {
  get(key: string): T | undefined;
  list(namespace?: string): readonly T[];
  byIndex(index: string, value: string): readonly T[];
  readonly size: number;
}

/** A cache of one resource (of all that the selectors let through), kept fresh by list and watch, with callbacks. */
export interface Informer<T> {
  readonly lister: Lister<T>;
  /** True once the first list has been delivered to the cache. */
  hasSynced(): boolean;
  /** Current objects arrive as `onAdd`; returns the unsubscribe function. */
  addHandler(handler: InformerHandler<T>): () => void;
  /** Register before `start`, or at any time: existing objects are indexed at once. */
  addIndex(name: string, valuesOf: (object: T) => readonly string[]): void;
}

export interface InformerOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** One informer per resource and selector, shared by all that ask for it. */
export interface SharedInformers {
  informer<T extends KubernetesObject>(resource: Resource<T>, options?: InformerOptions): Informer<T>;
  /** Starts what has been asked for since the last call and resolves once all have synced. */
  start(): Promise<void>;
  stop(): Promise<void>;
}
