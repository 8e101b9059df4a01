import type { Store } from '../../store/store.ts';
import { StoreError } from '../../store/store.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import {
  badRequest,
  expired,
  invalid,
  notFound,
  timeout,
  tooLargeResourceVersion,
  tooOldResourceVersion,
} from '../status-errors.ts';
import { type CacheHub, decodeKeyValue, registryPrefix, storeKey } from './cache-hub.ts';
import { type ContinueToken, decodeContinue, encodeContinue } from './continue-token.ts';
import type { ReadBarrier } from './read-barrier.ts';
import type { ResourceCache } from './resource-cache.ts';
import { type Selection, selects } from './selection.ts';
import { cacheKey, type StoredObject, viewOf, viewsOf } from './stored-object.ts';

export interface ListQuery {
  readonly selection: Selection;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: string;
  readonly limit?: number;
  readonly continue?: string;
}

export interface ListPage {
  readonly row: ResourceRow;
  readonly items: readonly StoredObject[];
  readonly revision: number;
  readonly continue?: string;
  readonly remaining?: number;
}

/** How long a read waits for the caches to reach the revision it asks for. */
const catchUpMs = 3000;

const listOptionsKind = { group: 'meta.k8s.io', kind: 'ListOptions' };

/** GET and LIST: from the caches where that is correct, else from the store's past revisions. */
export class Reads {
  readonly #store: Store;
  readonly #hub: CacheHub;
  readonly #barrier: ReadBarrier;

  constructor(store: Store, hub: CacheHub, barrier: ReadBarrier) {
    this.#store = store;
    this.#hub = hub;
    this.#barrier = barrier;
  }

  async get(row: ResourceRow, namespace: string, name: string, resourceVersion?: string): Promise<StoredObject> {
    await this.reach(resourceVersion);
    const stored = this.#hub.cacheOf(row).get(cacheKey(namespace, name));
    if (stored === undefined) throw notFound(row.handle, name);
    return viewOf(stored, row);
  }

  async list(query: ListQuery): Promise<ListPage> {
    const { selection } = query;
    const limit = query.limit ?? 0;
    const match = query.resourceVersionMatch ?? '';
    checkListOptions(query);
    const cache = this.#hub.cacheOf(selection.row);
    if (query.continue) {
      const token = decodeContinue(query.continue);
      const revision = token.revision > 0 ? token.revision : await this.#fresh();
      return this.#listAt(cache, selection, revision, limit, token);
    }
    if (match === 'Exact') {
      const revision = parseRevision(query.resourceVersion);
      if (revision > this.#hub.revision) await this.reach(query.resourceVersion);
      return this.#listAt(cache, selection, revision, limit, undefined);
    }
    await this.reach(query.resourceVersion);
    return this.#page(selection, this.#fromCache(cache, selection), this.#hub.revision, limit, '');
  }

  /** Waits until the caches are as new as the caller demands. */
  async reach(resourceVersion: string | undefined): Promise<void> {
    if (resourceVersion === undefined || resourceVersion === '') {
      await this.#fresh();
      return;
    }
    const revision = parseRevision(resourceVersion);
    if (revision > this.#hub.revision && !(await this.#hub.waitFor(revision, catchUpMs))) {
      throw tooLargeResourceVersion(revision, this.#hub.revision);
    }
  }

  /** Makes the caches as new as the store was at the time of the call. */
  async #fresh(): Promise<number> {
    const revision = await this.#barrier.revision();
    if (this.#hub.revision < revision && !(await this.#hub.waitFor(revision, catchUpMs))) {
      throw timeout('the caches did not catch up with the store in time', 1);
    }
    return this.#hub.revision;
  }

  #fromCache(cache: ResourceCache, selection: Selection): StoredObject[] {
    if (selection.name !== undefined && (selection.namespace !== '' || !selection.row.handle.namespaced)) {
      const one = cache.get(cacheKey(selection.namespace, selection.name));
      return one !== undefined && selects(selection, one) ? [one] : [];
    }
    const all = cache.list(selection.namespace);
    if (selection.labels === undefined && selection.fields === undefined) return all;
    return all.filter((stored) => selects(selection, stored));
  }

  async #page(
    selection: Selection,
    selected: readonly StoredObject[],
    revision: number,
    limit: number,
    after: string,
  ): Promise<ListPage> {
    const from = after === '' ? 0 : firstAfter(selected, after);
    const to = limit > 0 ? Math.min(selected.length, from + limit) : selected.length;
    const items = from === 0 && to === selected.length ? selected : selected.slice(from, to);
    const { row } = selection;
    const viewed = await viewsOf(items, row);
    if (to === selected.length) return { row, items: viewed, revision };
    return {
      row,
      items: viewed,
      revision,
      continue: encodeContinue(revision, selected[to - 1]!.key),
      // As Kubernetes: not estimated for a selection.
      ...(selection.labels === undefined && selection.fields === undefined ? { remaining: selected.length - to } : {}),
    };
  }

  /** A list as the store stood at `revision`, which may be in the past. */
  async #listAt(
    cache: ResourceCache,
    selection: Selection,
    revision: number,
    limit: number,
    token: ContinueToken | undefined,
  ): Promise<ListPage> {
    if (revision <= this.#hub.revision && cache.lastRevision <= revision) {
      return this.#page(selection, this.#fromCache(cache, selection), revision, limit, token?.after ?? '');
    }
    try {
      return await this.#listFromStore(cache, selection, revision, limit, token);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === 'compacted') {
        if (token === undefined) throw tooOldResourceVersion(revision, cache.historyFloor);
        throw expiredContinue(token);
      }
      if (error.code === 'future_revision') throw tooLargeResourceVersion(revision, this.#hub.revision);
      throw error;
    }
  }

  async #listFromStore(
    cache: ResourceCache,
    selection: Selection,
    revision: number,
    limit: number,
    token: ContinueToken | undefined,
  ): Promise<ListPage> {
    const prefix = `${registryPrefix}${cache.row.storage}/${selection.namespace === '' ? '' : `${selection.namespace}/`}`;
    const rangeEnd = Buffer.from(`${prefix.slice(0, -1)}0`);
    let key =
      token === undefined ? Buffer.from(prefix) : Buffer.concat([storeKey(cache.row, token.after), Buffer.from([0])]);
    const plain = selection.labels === undefined && selection.fields === undefined;
    const selected: StoredObject[] = [];
    let count = 0;
    for (;;) {
      const page = await this.#store.range({
        key,
        rangeEnd,
        revision,
        limit: limit > 0 ? Math.max(limit + 1, plain ? 0 : 500) : 1000,
      });
      if (count === 0) count = page.count;
      const cut = registryPrefix.length + cache.row.storage.length + 1;
      for (const kv of page.kvs) {
        const stored = decodeKeyValue(cache.row, kv.key.toString('latin1', cut), kv);
        if (selects(selection, stored)) selected.push(stored);
        if (limit > 0 && selected.length > limit) break;
      }
      const last = page.kvs[page.kvs.length - 1];
      if (!page.more || last === undefined || (limit > 0 && selected.length > limit)) break;
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
    const result = await this.#page(selection, selected, revision, limit, '');
    return result.remaining === undefined ? result : { ...result, remaining: count - limit };
  }
}

function firstAfter(sorted: readonly StoredObject[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]!.key <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function expiredContinue(token: ContinueToken): Error {
  const error = expired(
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
      'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
      'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
      'deleted between the time the first chunk was returned and now may show up in the list.',
  );
  error.status.metadata = { continue: encodeContinue(-1, token.after) };
  return error;
}

/** A resourceVersion parameter as a revision. Fails with 400. */
export function parseRevision(text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  const revision = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(revision))
    throw badRequest(`Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`);
  return revision;
}

function checkListOptions(query: ListQuery): void {
  const { resourceVersion: version = '', resourceVersionMatch: match = '' } = query;
  const fail = (type: 'FieldValueForbidden' | 'FieldValueNotSupported', detail: string) =>
    invalid(listOptionsKind, '', [{ type, field: 'resourceVersionMatch', detail }]);
  if (query.limit !== undefined && query.limit < 0) {
    throw badRequest('limit must be a non-negative integer');
  }
  if (match === '') {
    if (query.continue && version !== '' && version !== '0') {
      throw badRequest('specifying resource version is not allowed when using continue');
    }
    return;
  }
  if (version === '') {
    throw fail(
      'FieldValueForbidden',
      'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    );
  }
  if (query.continue) {
    throw fail('FieldValueForbidden', 'Forbidden: resourceVersionMatch is forbidden when continue is provided');
  }
  if (match !== 'Exact' && match !== 'NotOlderThan') {
    throw fail(
      'FieldValueNotSupported',
      `Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan", ""`,
    );
  }
  if (match === 'Exact' && version === '0') {
    throw fail('FieldValueForbidden', 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
}
