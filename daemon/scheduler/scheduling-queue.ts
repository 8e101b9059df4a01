import type { Pod } from '../apimachinery/types/core-v1.ts';
import type { Clock } from '../client/clock.ts';
import { type ClusterEvent, type ClusterEventKind, clusterEventKinds } from './cluster-event.ts';
import { Heap } from './heap.ts';
import { incomingPods, pendingPods } from './metrics.ts';
import type { SchedulerPlugin } from './plugin.ts';
import { type PodInfo, podInfoOf } from './pod-info.ts';

type Place = 'active' | 'backoff' | 'unschedulable' | 'gated' | 'inflight';

/** A pod on its way to a node. */
export interface QueuedPod {
  readonly info: PodInfo;
  /** Scheduling attempts begun so far. */
  readonly attempts: number;
  /** When it first came, in ms since the epoch. */
  readonly since: number;
}

interface Entry {
  info: PodInfo;
  attempts: number;
  readonly since: number;
  /** When it was last put in the active queue: earlier goes first among equal priorities. */
  queuedAt: number;
  place: Place;
  /** Moves made; tells live places in the heaps from those left behind. */
  moves: number;
  backoffUntil: number;
  /** Its last attempt failed for no fault of its own: it waits out its time. */
  failedByError: boolean;
  rejectedBy: ReadonlySet<string>;
  unschedulableSince: number;
}

interface HeapItem {
  readonly entry: Entry;
  readonly moves: number;
  readonly at: number;
}

const firstBackoffMs = 1_000;
const maxBackoffMs = 10_000;
/** An unschedulable pod is tried again after this long, whatever has or has not happened. */
const leftoverMs = 300_000;
const flushEveryMs = 30_000;

/**
 * Pods waiting for a node. Those to try now come by priority, then in order of arrival. Those that were rejected wait
 * until something happens that one of the plugins that rejected them cares about, and at least for their back-off.
 */
export class SchedulingQueue {
  readonly #plugins: readonly SchedulerPlugin[];
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #entries = new Map<string, Entry>();
  readonly #unschedulable = new Set<Entry>();
  /** Those of the unschedulable that an event of the kind may help. */
  readonly #interested = new Map<ClusterEventKind, Set<Entry>>(clusterEventKinds.map((kind) => [kind, new Set()]));
  readonly #active = new Heap<HeapItem>(
    (a, b) =>
      a.entry.info.priority > b.entry.info.priority || (a.entry.info.priority === b.entry.info.priority && a.at < b.at),
  );
  readonly #backoff = new Heap<HeapItem>((a, b) => a.at < b.at);
  readonly #sizes: Record<Place, number> = { active: 0, backoff: 0, unschedulable: 0, gated: 0, inflight: 0 };
  #sequence = 0;
  #cancelBackoff: (() => void) | undefined;
  #backoffTimerAt = Number.POSITIVE_INFINITY;
  #cancelFlush: (() => void) | undefined;
  #closed = false;

  /** `wake` is called when there is a pod to try. */
  constructor(plugins: readonly SchedulerPlugin[], clock: Clock, wake: () => void) {
    this.#plugins = plugins;
    this.#clock = clock;
    this.#wake = wake;
  }

  sizeOf(place: Place): number {
    return this.#sizes[place];
  }

  has(uid: string): boolean {
    return this.#entries.has(uid);
  }

  add(pod: Pod): void {
    const info = podInfoOf(pod);
    if (this.#closed || this.#entries.has(info.uid)) {
      return;
    }
    const now = this.#clock.now();
    const entry: Entry = {
      info,
      attempts: 0,
      since: now,
      queuedAt: 0,
      place: 'inflight',
      moves: 0,
      backoffUntil: 0,
      failedByError: false,
      rejectedBy: new Set(),
      unschedulableSince: now,
    };
    this.#entries.set(info.uid, entry);
    this.#sizes.inflight++;
    this.#move(entry, this.#admitted(pod) ? 'active' : 'gated', 'PodAdd');
  }

  /** A pod without a node has changed. What it asks for may have, so it is tried again. */
  update(pod: Pod, old: Pod): void {
    const info = podInfoOf(pod);
    const entry = this.#entries.get(info.uid);
    if (entry === undefined) {
      this.add(pod);
      return;
    }
    entry.info = info;
    if (entry.place === 'gated') {
      if (this.#admitted(pod)) {
        this.#move(entry, 'active', 'PodUpdate');
      }
    } else if (entry.place === 'unschedulable' && asksOtherwise(pod, old)) {
      this.#retry(entry, 'PodUpdate');
    }
  }

  delete(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry !== undefined) {
      this.#entries.delete(uid);
      this.#noLongerUnschedulable(entry);
      this.#leave(entry);
      entry.moves++;
    }
  }

  /** The next pod to try; it is in flight until `done`, `unschedulable` or `failed` is said of it. */
  pop(): QueuedPod | undefined {
    // Pods that something has happened for need not wait while there is nothing else to do.
    const entry = takeLive(this.#active) ?? this.#popBackoff();
    if (entry === undefined) {
      return undefined;
    }
    this.#move(entry, 'inflight');
    entry.attempts++;
    return { info: entry.info, attempts: entry.attempts, since: entry.since };
  }

  /** The pod has its node. */
  done(uid: string): void {
    this.delete(uid);
  }

  /** No node suits the pod: it waits for an event that one of the plugins cares about (any event, when there are none). */
  unschedulable(uid: string, rejectedBy: ReadonlySet<string>): void {
    const entry = this.#entries.get(uid);
    if (entry?.place !== 'inflight') {
      return;
    }
    entry.rejectedBy = rejectedBy;
    entry.failedByError = false;
    entry.unschedulableSince = this.#clock.now();
    entry.backoffUntil = this.#clock.now() + backoffOf(entry.attempts);
    this.#move(entry, 'unschedulable', 'ScheduleAttemptFailure');
    this.#unschedulable.add(entry);
    for (const kind of this.#kindsThatMatter(rejectedBy)) {
      this.#interested.get(kind)!.add(entry);
    }
    this.#armFlush();
  }

  /** Something other than the cluster's state was in the way: it is tried again after its back-off. */
  failed(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry?.place !== 'inflight') {
      return;
    }
    entry.failedByError = true;
    entry.backoffUntil = this.#clock.now() + backoffOf(entry.attempts);
    this.#move(entry, 'backoff', 'ScheduleAttemptFailure');
  }

  /** Something happened in the cluster: pods that it may help are tried again. */
  handle(event: ClusterEvent): void {
    for (const entry of [...this.#interested.get(event.kind)!]) {
      if (this.#mayHelp(entry, event)) {
        this.#retry(entry, event.kind);
      }
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancelBackoff?.();
    this.#cancelFlush?.();
    this.#entries.clear();
    this.#unschedulable.clear();
    for (const entries of this.#interested.values()) {
      entries.clear();
    }
    for (const place of Object.keys(this.#sizes) as Place[]) {
      this.#sizes[place] = 0;
      pendingPods.set(place, 0);
    }
  }

  #admitted(pod: Pod): boolean {
    return this.#plugins.every((plugin) => plugin.admits?.(pod) ?? true);
  }

  #kindsThatMatter(rejectedBy: ReadonlySet<string>): Iterable<ClusterEventKind> {
    if (rejectedBy.size === 0) {
      return clusterEventKinds;
    }
    const rejecting = this.#plugins.filter(({ name }) => rejectedBy.has(name));
    return new Set(rejecting.flatMap(({ interests }) => interests.flatMap(({ on }) => on)));
  }

  #noLongerUnschedulable(entry: Entry): void {
    if (this.#unschedulable.delete(entry)) {
      for (const entries of this.#interested.values()) {
        entries.delete(entry);
      }
    }
  }

  #mayHelp(entry: Entry, event: ClusterEvent): boolean {
    if (entry.rejectedBy.size === 0) {
      return true;
    }
    return this.#plugins.some(
      (plugin) =>
        entry.rejectedBy.has(plugin.name) &&
        plugin.interests.some(
          ({ on, hint }) => on.includes(event.kind) && (hint === undefined || hint(entry.info.pod, event)),
        ),
    );
  }

  #retry(entry: Entry, event: string): void {
    this.#noLongerUnschedulable(entry);
    this.#move(entry, entry.backoffUntil > this.#clock.now() ? 'backoff' : 'active', event);
  }

  #move(entry: Entry, place: Place, event?: string): void {
    this.#leave(entry);
    entry.place = place;
    entry.moves++;
    this.#sizes[place]++;
    if (place === 'active') {
      entry.queuedAt = this.#sequence++;
      this.#active.push({ entry, moves: entry.moves, at: entry.queuedAt });
      this.#wake();
    } else if (place === 'backoff') {
      this.#backoff.push({ entry, moves: entry.moves, at: entry.backoffUntil });
      this.#armBackoff();
      if (!entry.failedByError) {
        this.#wake();
      }
    }
    pendingPods.set(place, this.#sizes[place]);
    if (event !== undefined) {
      incomingPods.add(event, place);
    }
  }

  #leave(entry: Entry): void {
    this.#sizes[entry.place]--;
    pendingPods.set(entry.place, this.#sizes[entry.place]);
  }

  #popBackoff(): Entry | undefined {
    const kept: HeapItem[] = [];
    let found: Entry | undefined;
    while (found === undefined) {
      const item = this.#backoff.pop();
      if (item === undefined) {
        break;
      }
      if (item.moves !== item.entry.moves) {
        continue;
      }
      if (item.entry.failedByError) {
        kept.push(item);
      } else {
        found = item.entry;
      }
    }
    for (const item of kept) {
      this.#backoff.push(item);
    }
    return found;
  }

  #armBackoff(): void {
    const first = this.#backoff.peek();
    if (first === undefined || this.#closed || first.at >= this.#backoffTimerAt) {
      return;
    }
    this.#cancelBackoff?.();
    this.#backoffTimerAt = first.at;
    this.#cancelBackoff = this.#clock.after(Math.max(0, first.at - this.#clock.now()), () => {
      this.#backoffTimerAt = Number.POSITIVE_INFINITY;
      this.#flushBackoff();
    });
  }

  #flushBackoff(): void {
    const now = this.#clock.now();
    for (let item = this.#backoff.peek(); item !== undefined && item.at <= now; item = this.#backoff.peek()) {
      this.#backoff.pop();
      if (item.moves === item.entry.moves) {
        this.#move(item.entry, 'active', 'BackoffComplete');
      }
    }
    this.#armBackoff();
  }

  #armFlush(): void {
    if (this.#cancelFlush !== undefined || this.#closed) {
      return;
    }
    this.#cancelFlush = this.#clock.after(flushEveryMs, () => {
      this.#cancelFlush = undefined;
      const before = this.#clock.now() - leftoverMs;
      for (const entry of [...this.#unschedulable]) {
        if (entry.unschedulableSince <= before) {
          this.#retry(entry, 'UnschedulableTimeout');
        }
      }
      if (this.#unschedulable.size > 0) {
        this.#armFlush();
      }
    });
  }
}

function backoffOf(attempts: number): number {
  return Math.min(firstBackoffMs * 2 ** (attempts - 1), maxBackoffMs);
}

function takeLive(heap: Heap<HeapItem>): Entry | undefined {
  for (let item = heap.pop(); item !== undefined; item = heap.pop()) {
    if (item.moves === item.entry.moves) {
      return item.entry;
    }
  }
  return undefined;
}

/** Status and bookkeeping change with every failed attempt; only the rest is a reason to try again. */
function asksOtherwise(pod: Pod, old: Pod): boolean {
  return (
    (pod.spec !== old.spec && JSON.stringify(pod.spec) !== JSON.stringify(old.spec)) ||
    JSON.stringify([pod.metadata.labels, pod.metadata.annotations]) !==
      JSON.stringify([old.metadata.labels, old.metadata.annotations])
  );
}
