import type { ApiError } from '../../apimachinery/api-error.ts';
import { apiVersionOf, type KubernetesObject } from '../../apimachinery/resource.ts';
import { timeout, toApiError, tooLargeResourceVersion, tooOldResourceVersion } from '../status-errors.ts';
import type { CacheHub } from './cache-hub.ts';
import { parseRevision, type Reads } from './reads.ts';
import { type SelectedEvent, type Selection, selectEvent, selects } from './selection.ts';
import { viewsOf } from './stored-object.ts';
import { type WatchBatch, WatchGroups } from './watch-groups.ts';

export interface WatchQuery {
  readonly selection: Selection;
  readonly resourceVersion?: string;
  readonly allowBookmarks: boolean;
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
}

export interface WatchSink {
  onBatch(batch: WatchBatch): void;
  /** `initialEnd`: the state asked for by `sendInitialEvents` is complete. */
  onBookmark(object: KubernetesObject): void;
  /** Nothing follows. An error is sent to the client as an ERROR event. */
  onEnd(error: ApiError | undefined): void;
}

const catchUpMs = 3000;
const bookmarkMs = 60_000;
/** Without `timeoutSeconds` a watch ends after 30 to 60 minutes, spread so that not all come back at once. */
const minTimeoutSeconds = 1800;

/** WATCH from the caches. */
export class Watches {
  readonly #hub: CacheHub;
  readonly #reads: Reads;
  readonly #groups = new WatchGroups();
  readonly #open = new Set<(error?: ApiError) => void>();
  #stopping = false;

  constructor(hub: CacheHub, reads: Reads) {
    this.#hub = hub;
    this.#reads = reads;
  }

  get count(): number {
    return this.#groups.watchers;
  }

  /** Ends every watch, as a shutdown does. */
  stop(): void {
    this.#stopping = true;
    for (const end of [...this.#open]) end();
  }

  /** Starts a watch; returns the function that ends it without further calls to the sink. */
  async watch(query: WatchQuery, asked: WatchSink): Promise<() => void> {
    const { selection } = query;
    const sink = selection.row.convert === undefined ? asked : convertingSink(selection, asked);
    const cache = this.#hub.cacheOf(selection.row);
    const version = query.resourceVersion ?? '';
    const from = parseRevision(version);
    if (version === '') await this.#reads.reach(undefined);
    else if (from > this.#hub.revision && !(await this.#hub.waitFor(from, catchUpMs))) {
      throw tooLargeResourceVersion(from, this.#hub.revision);
    }
    if (this.#stopping || !this.#hub.ready) throw timeout('the server is shutting down', 1);

    // From here to the join nothing else runs: the initial events and what follows have no gap between them.
    const initial: SelectedEvent[] = [];
    const wantsState = query.sendInitialEvents ?? from === 0;
    if (wantsState) {
      for (const stored of cache.list(selection.namespace)) {
        if (selects(selection, stored)) initial.push({ type: 'ADDED', object: stored.viewAs(selection.row) });
      }
    } else if (from > 0) {
      const missed = cache.since(from);
      if (missed === undefined) {
        sink.onEnd(tooOldResourceVersion(from, cache.historyFloor));
        return () => undefined;
      }
      for (const event of missed) {
        const mine = selectEvent(selection, event);
        if (mine !== undefined) initial.push(mine);
      }
    }
    let over = false;
    const close = (): void => {
      over = true;
      leave();
      clearInterval(bookmarks);
      clearTimeout(deadline);
      this.#open.delete(end);
    };
    const end = (error?: ApiError): void => {
      if (over) return;
      close();
      sink.onEnd(error);
    };
    const leave = this.#groups.join(cache, selection, {
      onBatch: (batch) => sink.onBatch(batch),
      onReset: () => end(),
    });
    this.#open.add(end);
    const bookmark = (): void => {
      if (!over && this.#hub.ready) sink.onBookmark(bookmarkObject(selection, this.#hub.revision, false));
    };
    const bookmarks = query.allowBookmarks ? setInterval(bookmark, bookmarkMs) : undefined;
    bookmarks?.unref();
    const seconds =
      query.timeoutSeconds !== undefined && query.timeoutSeconds > 0
        ? query.timeoutSeconds
        : minTimeoutSeconds * (1 + Math.random());
    const deadline = setTimeout(
      () => {
        // The last word saves the client a list: it goes on from here.
        if (query.allowBookmarks) bookmark();
        end();
      },
      Math.min(seconds * 1000, 0x7fffffff),
    );
    deadline.unref();
    const revision = this.#hub.revision;
    if (initial.length > 0) sink.onBatch({ events: initial, encoded: new Map() });
    if (query.sendInitialEvents === true && query.allowBookmarks && !over) {
      sink.onBookmark(bookmarkObject(selection, revision, true));
    }
    return close;
  }
}

/** Converts what a watch sees, in order: a conversion that fails ends the watch. */
function convertingSink({ row }: Selection, sink: WatchSink): WatchSink {
  let last: Promise<void> = Promise.resolve();
  let over = false;
  const then = (step: () => Promise<void> | void): void => {
    last = last
      .then(() => (over ? undefined : step()))
      .catch((error: unknown) => {
        over = true;
        sink.onEnd(toApiError(error));
      });
  };
  return {
    onBatch: ({ events }) =>
      then(async () => {
        const views = await viewsOf(
          events.map(({ object }) => object),
          row,
        );
        const converted = events.map(({ type }, index) => ({ type, object: views[index]! }));
        sink.onBatch({ events: converted, encoded: new Map() });
      }),
    onBookmark: (object) => then(() => sink.onBookmark(object)),
    onEnd: (error) => then(() => sink.onEnd(error)),
  };
}

function bookmarkObject(selection: Selection, revision: number, initialEnd: boolean): KubernetesObject {
  const { handle } = selection.row;
  return {
    kind: handle.kind,
    apiVersion: apiVersionOf(handle),
    metadata: {
      resourceVersion: String(revision),
      ...(initialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    },
  };
}
