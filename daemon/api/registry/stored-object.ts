import { apiVersionOf, type KubernetesObject } from '../../apimachinery/resource.ts';
import type { ResourceRow } from '../resources/resource-row.ts';

/**
 * The bytes an object is stored as are the bytes a client gets, but for the resource version, which only the store
 * knows: it is spliced in at the start of `metadata`. For that, stored text always begins with this prefix.
 */
export function textPrefix(row: ResourceRow): string {
  return `{"kind":${JSON.stringify(row.handle.kind)},"apiVersion":${JSON.stringify(apiVersionOf(row.handle))},"metadata":{`;
}

const prefixes = new WeakMap<ResourceRow, Buffer>();

function prefixBytes(row: ResourceRow): Buffer {
  let prefix = prefixes.get(row);
  if (prefix === undefined) {
    prefix = Buffer.from(textPrefix(row));
    prefixes.set(row, prefix);
  }
  return prefix;
}

/** The JSON text under which `object` is stored: type and metadata first, without its resource version. */
export function encodeForStore(row: ResourceRow, object: KubernetesObject): Buffer {
  const { kind: _kind, apiVersion: _apiVersion, metadata, ...rest } = object;
  const { resourceVersion: _revision, ...meta } = metadata ?? {};
  return Buffer.from(
    JSON.stringify({ kind: row.handle.kind, apiVersion: apiVersionOf(row.handle), metadata: meta, ...rest }),
  );
}

/** `namespace/name`, or `name` of a cluster-scoped object. */
export function cacheKey(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}

/**
 * One object at one revision. It is decoded at most once, and its response bytes are made at most once, however many
 * readers and watchers there are. Nothing that it hands out may be changed.
 */
export class StoredObject<T extends KubernetesObject = KubernetesObject> {
  readonly row: ResourceRow;
  readonly key: string;
  readonly revision: number;
  #value: Buffer;
  #spliced = false;
  #object: T | undefined;
  #views: Map<ResourceRow, StoredObject> | undefined;

  /** `value`: the bytes as stored. */
  constructor(row: ResourceRow, key: string, revision: number, value: Buffer, object?: T) {
    this.row = row;
    this.key = key;
    this.revision = revision;
    this.#value = value;
    this.#object = object;
  }

  get namespace(): string {
    const slash = this.key.indexOf('/');
    return slash === -1 ? '' : this.key.slice(0, slash);
  }

  get name(): string {
    return this.key.slice(this.key.indexOf('/') + 1);
  }

  /** The decoded object, with its resource version. Shared: never change it. */
  get object(): T {
    if (this.#object === undefined) {
      const object = this.#parse();
      object.metadata ??= {};
      object.metadata.resourceVersion = String(this.revision);
      this.row.normalizeStored?.(object);
      this.#object = object;
    }
    return this.#object;
  }

  /** Damaged text reads as an object that has a name and nothing else, so that it can be deleted. */
  #parse(): T {
    const parsed = parseObject(this.#value.toString());
    if (parsed !== undefined) return parsed as T;
    this.#spliced = true;
    const { name, namespace } = this;
    const metadata = { name, ...(namespace === '' ? {} : { namespace }), resourceVersion: String(this.revision) };
    const object = typeFirst(this.row, { metadata }) as T;
    this.#value = Buffer.from(JSON.stringify(object));
    return object;
  }

  /** The JSON text that a client gets. */
  get json(): Buffer {
    if (!this.#spliced && this.revision === 0) this.#spliced = true; // a dry run's result: never stored
    if (!this.#spliced) {
      const prefix = prefixBytes(this.row);
      if (this.row.normalizeStored !== undefined) {
        this.#value = Buffer.from(JSON.stringify(typeFirst(this.row, this.object)));
      } else if (
        this.#value.length > prefix.length &&
        this.#value.compare(prefix, 0, prefix.length, 0, prefix.length) === 0
      ) {
        const revision = `"resourceVersion":"${this.revision}"${this.#value[prefix.length] === 0x7d ? '' : ','}`;
        const json = Buffer.allocUnsafeSlow(this.#value.length + revision.length);
        prefix.copy(json, 0);
        json.write(revision, prefix.length, 'latin1');
        this.#value.copy(json, prefix.length + revision.length, prefix.length);
        this.#value = json;
      } else {
        // Written by another program (an API server on a shared store): put our form in place of it.
        this.#value = Buffer.from(JSON.stringify(typeFirst(this.row, this.object)));
      }
      this.#spliced = true;
    }
    return this.#value;
  }

  /** The same object at another revision: what a watcher is told of a deletion. */
  withRevision(revision: number): StoredObject<T> {
    const object = this.object;
    const copy = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
    return new StoredObject<T>(this.row, this.key, revision, encodeForStore(this.row, copy), copy);
  }

  /** What a conversion elsewhere has made of this object for `row`. */
  keepView(row: ResourceRow, object: KubernetesObject): void {
    object.metadata = { ...object.metadata, resourceVersion: String(this.revision) };
    this.#views ??= new Map();
    this.#views.set(row, new StoredObject(row, this.key, this.revision, encodeForStore(row, object), object));
  }

  /** This object in another served version of its kind. */
  viewAs(row: ResourceRow): StoredObject {
    // Not converted yet: who shows it to a client has to use `viewsOf`.
    if (row.convert !== undefined) return this.#views?.get(row) ?? this;
    if (row === this.row || row.stored === undefined) return this;
    this.#views ??= new Map();
    let view = this.#views.get(row);
    if (view === undefined) {
      const object = row.stored.fromStored(this.object);
      object.metadata = { ...object.metadata, resourceVersion: String(this.revision) };
      view = new StoredObject(row, this.key, this.revision, encodeForStore(row, object), object);
      this.#views.set(row, view);
    }
    return view;
  }
}

/** As `viewAs` of each, where the conversion may take a call to another program. */
export async function viewsOf(objects: readonly StoredObject[], row: ResourceRow): Promise<readonly StoredObject[]> {
  if (row.convert === undefined) {
    return row.stored === undefined ? objects : objects.map((stored) => stored.viewAs(row));
  }
  const version = apiVersionOf(row.handle);
  const missing = objects.filter((stored) => stored.viewAs(row).object.apiVersion !== version);
  if (missing.length > 0) {
    const converted = await row.convert(missing.map(({ object }) => object));
    for (const [index, stored] of missing.entries()) stored.keepView(row, converted[index]!);
  }
  return objects.map((stored) => stored.viewAs(row));
}

export async function viewOf(stored: StoredObject, row: ResourceRow): Promise<StoredObject> {
  return (await viewsOf([stored], row))[0]!;
}

function typeFirst(row: ResourceRow, object: KubernetesObject): KubernetesObject {
  const { kind: _kind, apiVersion: _apiVersion, metadata, ...rest } = object;
  return { kind: row.handle.kind, apiVersion: apiVersionOf(row.handle), metadata: metadata ?? {}, ...rest };
}

function parseObject(text: string): KubernetesObject | undefined {
  try {
    const object = JSON.parse(text) as KubernetesObject;
    return typeof object.metadata === 'object' && object.metadata !== null ? object : undefined;
  } catch {
    return undefined; // the caller serves what can be known of it
  }
}
