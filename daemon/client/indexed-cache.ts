import type { KubernetesObject } from '../apimachinery/resource.ts';
import type { Lister } from './informer.ts';

interface Index<T> {
  readonly valuesOf: (object: T) => readonly string[];
  readonly byValue: Map<string, Map<string, T>>;
}

const none: readonly never[] = Object.freeze([]);

/** Objects by key, by namespace and by the values of index functions. Lists are kept until something in them changes. */
export class IndexedCache<T extends KubernetesObject> implements Lister<T> {
  readonly #objects = new Map<string, T>();
  readonly #namespaces = new Map<string, Map<string, T>>();
  readonly #indexes = new Map<string, Index<T>>();
  readonly #lists = new Map<string, readonly T[]>();
  #all: readonly T[] | undefined;

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(namespace?: string): readonly T[] {
    if (namespace === undefined || namespace === '') {
      this.#all ??= [...this.#objects.values()];
      return this.#all;
    }
    let list = this.#lists.get(namespace);
    if (list === undefined) {
      const objects = this.#namespaces.get(namespace);
      if (objects === undefined) {
        return none;
      }
      list = [...objects.values()];
      this.#lists.set(namespace, list);
    }
    return list;
  }

  byIndex(name: string, value: string): readonly T[] {
    const index = this.#indexes.get(name);
    if (index === undefined) {
      throw new Error(`no index named ${name}`);
    }
    const objects = index.byValue.get(value);
    return objects === undefined ? none : [...objects.values()];
  }

  addIndex(name: string, valuesOf: (object: T) => readonly string[]): void {
    if (this.#indexes.has(name)) {
      return;
    }
    const index: Index<T> = { valuesOf, byValue: new Map() };
    for (const [key, object] of this.#objects) {
      addTo(index, key, object);
    }
    this.#indexes.set(name, index);
  }

  /** Returns what was there before. */
  set(key: string, object: T): T | undefined {
    const old = this.#objects.get(key);
    this.#objects.set(key, object);
    const namespace = object.metadata?.namespace;
    if (namespace) {
      put(this.#namespaces, namespace, key, object);
    }
    this.#changed(namespace);
    for (const index of this.#indexes.values()) {
      if (old !== undefined) {
        removeFrom(index, key, old);
      }
      addTo(index, key, object);
    }
    return old;
  }

  /** Returns what was there before. */
  delete(key: string): T | undefined {
    const old = this.#objects.get(key);
    if (old === undefined) {
      return undefined;
    }
    this.#objects.delete(key);
    const namespace = old.metadata?.namespace;
    if (namespace) {
      take(this.#namespaces, namespace, key);
    }
    this.#changed(namespace);
    for (const index of this.#indexes.values()) {
      removeFrom(index, key, old);
    }
    return old;
  }

  #changed(namespace: string | undefined): void {
    this.#all = undefined;
    if (namespace) {
      this.#lists.delete(namespace);
    }
  }
}

function addTo<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.valuesOf(object)) {
    put(index.byValue, value, key, object);
  }
}

function removeFrom<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.valuesOf(object)) {
    take(index.byValue, value, key);
  }
}

function put<T>(groups: Map<string, Map<string, T>>, group: string, key: string, object: T): void {
  const objects = groups.get(group);
  if (objects === undefined) {
    groups.set(group, new Map([[key, object]]));
  } else {
    objects.set(key, object);
  }
}

function take<T>(groups: Map<string, Map<string, T>>, group: string, key: string): void {
  const objects = groups.get(group);
  if (objects?.delete(key) === true && objects.size === 0) {
    groups.delete(group);
  }
}
