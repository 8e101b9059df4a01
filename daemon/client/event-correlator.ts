import type { Event } from '../apimachinery/types/core-v1.ts';
import type { Clock } from './clock.ts';

/** Distinct messages of one reason about one object, within the interval, before they are combined into one event. */
const aggregateLimit = 10;
const aggregateIntervalMs = 600_000;
/** Events about one object from one source: this many at once, then one per five minutes. */
const spamBurst = 25;
const spamRefillMs = 300_000;
/** A series that is silent for this long is over: what comes then starts a new one. */
const seriesGapMs = 360_000;
/** Repeats of a series are written at most this often. */
const seriesWriteMs = 60_000;
const cacheLimit = 4096;

export interface ObservedEvent {
  readonly key: string;
  /** The whole event as it should now be. */
  readonly event: Event;
  /** Present when the event has been written before: what has changed since. */
  readonly patch?: Partial<Event>;
}

interface Written {
  readonly event: Event;
  readonly at: number;
}

interface Aggregate {
  readonly messages: Set<string>;
  lastSeen: number;
}

interface Bucket {
  tokens: number;
  filledAt: number;
}

/**
 * What client-go's correlator does with a stream of events: repeats become counts, similar events beyond a number are
 * combined, and a source that says too much about one object is silenced for a while.
 */
export class EventCorrelator {
  readonly #clock: Clock;
  readonly #aggregates = new Map<string, Aggregate>();
  readonly #written = new Map<string, Written>();
  readonly #pending = new Map<string, number>();
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What to write for `event`; undefined when it is to be dropped. */
  observe(event: Event): ObservedEvent | undefined {
    const series = event.eventTime !== undefined;
    const { event: combined, key } = series
      ? { event, key: `${similarKey(event)}\n${event.message}` }
      : this.#combine(event);
    const observed = series ? this.#extendSeries(combined, key) : this.#count(combined, key);
    return observed !== undefined && this.#allowed(event) ? observed : undefined;
  }

  written(key: string, event: Event): void {
    remember(this.#written, key, { event, at: this.#clock.now() });
  }

  #combine(event: Event): { event: Event; key: string } {
    const similar = similarKey(event);
    const now = this.#clock.now();
    const known = this.#aggregates.get(similar);
    const aggregate =
      known !== undefined && now - known.lastSeen <= aggregateIntervalMs
        ? known
        : { messages: new Set<string>(), lastSeen: now };
    aggregate.lastSeen = now;
    aggregate.messages.add(event.message ?? '');
    remember(this.#aggregates, similar, aggregate);
    if (aggregate.messages.size < aggregateLimit) {
      return { event, key: `${similar}\n${event.involvedObject.fieldPath ?? ''}\n${event.message}` };
    }
    // Leaves room for one: a message seen before then still counts as such.
    aggregate.messages.delete(aggregate.messages.values().next().value ?? '');
    return { event: { ...event, message: `(combined from similar events): ${event.message}` }, key: similar };
  }

  #count(event: Event, key: string): ObservedEvent {
    const last = this.#written.get(key)?.event;
    if (last === undefined) {
      return { key, event };
    }
    const patch: Partial<Event> = {
      count: (last.count ?? 1) + 1,
      ...(event.lastTimestamp === undefined ? {} : { lastTimestamp: event.lastTimestamp }),
      ...(event.message === undefined || event.message === last.message ? {} : { message: event.message }),
    };
    return { key, event: { ...renewed(last), ...patch }, patch };
  }

  #extendSeries(event: Event, key: string): ObservedEvent | undefined {
    const last = this.#written.get(key);
    const now = this.#clock.now();
    if (last === undefined || now - last.at > seriesGapMs) {
      this.#pending.delete(key);
      return { key, event };
    }
    const unwritten = (this.#pending.get(key) ?? 0) + 1;
    if (last.event.series !== undefined && now - last.at < seriesWriteMs) {
      remember(this.#pending, key, unwritten);
      return undefined;
    }
    this.#pending.delete(key);
    const patch: Partial<Event> = {
      series: {
        count: (last.event.series?.count ?? 1) + unwritten,
        ...(event.eventTime === undefined ? {} : { lastObservedTime: event.eventTime }),
      },
    };
    return { key, event: { ...renewed(last.event), ...patch }, patch };
  }

  #allowed(event: Event): boolean {
    const { source, involvedObject } = event;
    const key = [
      source?.component ?? event.reportingComponent,
      source?.host,
      involvedObject.kind,
      involvedObject.namespace,
      involvedObject.name,
      involvedObject.uid,
      involvedObject.apiVersion,
    ].join('\n');
    const now = this.#clock.now();
    const bucket = this.#buckets.get(key) ?? { tokens: spamBurst, filledAt: now };
    bucket.tokens = Math.min(spamBurst, bucket.tokens + (now - bucket.filledAt) / spamRefillMs);
    bucket.filledAt = now;
    remember(this.#buckets, key, bucket);
    if (bucket.tokens < 1) {
      return false;
    }
    bucket.tokens--;
    return true;
  }
}

/** The same event as it can be created again, should it have expired. */
function renewed(event: Event): Event {
  const { resourceVersion: _, uid: __, creationTimestamp: ___, managedFields: ____, ...metadata } = event.metadata;
  return { ...event, metadata };
}

function similarKey(event: Event): string {
  const { source, involvedObject } = event;
  return [
    source?.component,
    source?.host,
    involvedObject.kind,
    involvedObject.namespace,
    involvedObject.name,
    involvedObject.uid,
    involvedObject.apiVersion,
    event.type,
    event.reason,
    event.action,
    event.reportingComponent,
    event.reportingInstance,
  ].join('\n');
}

/** Keeps the map small by forgetting what was touched longest ago. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > cacheLimit) {
    map.delete(map.keys().next().value ?? '');
  }
}
