import { isApiError } from '../apimachinery/api-error.ts';
import type { KubernetesObject } from '../apimachinery/resource.ts';
import { formatMicroTime, formatTime } from '../apimachinery/time.ts';
import type { Event, ObjectReference } from '../apimachinery/types/core-v1.ts';
import { events } from '../apimachinery/types/resources.ts';
import type { Logger } from '../log/logger.ts';
import type { ApiClient } from './api-client.ts';
import { type Clock, systemClock } from './clock.ts';
import { EventCorrelator } from './event-correlator.ts';

export type EventType = 'Normal' | 'Warning';

export interface EventDetails {
  /** What was done or tried, such as `Binding`; needed by recorders of series. */
  readonly action?: string;
  /** Annotations of the event. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly related?: ObjectReference;
}

export interface EventRecorder {
  /**
   * Records that something happened to `object`. Returns at once and never throws: what cannot be written is logged
   * and dropped. `object` must have its `kind` (as objects of informers have), or be a reference.
   */
  event(
    object: KubernetesObject | ObjectReference,
    type: EventType,
    reason: string,
    message: string,
    details?: EventDetails,
  ): void;
  /** Resolves once all that was recorded has been written or dropped. */
  flush(): Promise<void>;
}

export interface EventRecorderOptions {
  /** Shown as the event's source: `kubelet`, `deployment-controller`, `default-scheduler`. */
  readonly component: string;
  /** The node the source runs on. */
  readonly host?: string;
  /**
   * Writes repeats as `series`, with `eventTime` and `action`, as sources on the events.k8s.io API do (the scheduler);
   * otherwise as `count` with first and last time, as all others do.
   */
  readonly series?: boolean;
  readonly logger?: Logger;
  readonly clock?: Clock;
}

/** More than this many unwritten events are dropped. */
const queueLimit = 1000;
const maxAttempts = 12;
const retryDelayMs = 10_000;

class CorrelatingRecorder implements EventRecorder {
  readonly #client: ApiClient;
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #correlator: EventCorrelator;
  readonly #queue: Event[] = [];
  #writing: Promise<void> | undefined;
  #sequence = 0;

  constructor(client: ApiClient, options: EventRecorderOptions) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#correlator = new EventCorrelator(this.#clock);
  }

  event(
    object: KubernetesObject | ObjectReference,
    type: EventType,
    reason: string,
    message: string,
    details: EventDetails = {},
  ): void {
    const reference = referenceTo(object);
    if (reference.kind === undefined) {
      this.#options.logger?.error({ reason, name: reference.name }, 'event about an object of unknown kind');
      return;
    }
    if (this.#queue.length >= queueLimit) {
      this.#options.logger?.warn({ reason, name: reference.name }, 'too many unwritten events; dropping one');
      return;
    }
    this.#queue.push(this.#make(reference, type, reason, message, details));
    this.#writing ??= this.#drain();
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  #make(reference: ObjectReference, type: EventType, reason: string, message: string, details: EventDetails): Event {
    const { component, host = '', series = false } = this.#options;
    const now = new Date(this.#clock.now());
    // The counter stands in for the nanoseconds that make the original's names unique.
    const stamp = (BigInt(now.getTime()) * 1_000_000n + BigInt(this.#sequence++ % 1_000_000)).toString(16);
    const time = formatTime(now);
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: {
        name: `${reference.name}.${stamp}`,
        namespace: reference.namespace || 'default',
        ...(details.annotations === undefined ? {} : { annotations: { ...details.annotations } }),
      },
      involvedObject: reference,
      reason,
      message,
      type,
      ...(details.related === undefined ? {} : { related: details.related }),
      ...(details.action === undefined ? {} : { action: details.action }),
      ...(series
        ? { eventTime: formatMicroTime(now), source: {} }
        : {
            source: { component, ...(host === '' ? {} : { host }) },
            firstTimestamp: time,
            lastTimestamp: time,
            count: 1,
          }),
      reportingComponent: component,
      reportingInstance: series ? host || component : host,
    };
  }

  async #drain(): Promise<void> {
    // Leaves the caller first, and takes what it still has to say along.
    await undefined;
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
      try {
        await this.#record(event);
      } catch (error) {
        this.#options.logger?.error({ err: error, reason: event.reason }, 'event could not be recorded');
      }
    }
    this.#writing = undefined;
  }

  async #record(event: Event): Promise<void> {
    const observed = this.#correlator.observe(event);
    if (observed === undefined) {
      return;
    }
    for (let attempt = 1; ; attempt++) {
      try {
        const written =
          observed.patch === undefined
            ? await this.#client.create(events, observed.event)
            : await this.#repeat(observed.event, observed.patch);
        this.#correlator.written(observed.key, written);
        return;
      } catch (error) {
        if (isApiError(error) && error.code < 500) {
          const level = error.reason === 'AlreadyExists' || error.reason === 'Forbidden' ? 'debug' : 'warn';
          this.#options.logger?.[level]({ err: error, reason: event.reason }, 'event rejected');
          return;
        }
        if (attempt >= maxAttempts) {
          throw error;
        }
        this.#options.logger?.debug({ err: error, reason: event.reason }, 'event not written; will retry');
        await new Promise<void>((resolve) => {
          this.#clock.after(retryDelayMs, resolve);
        });
      }
    }
  }

  /** Counts one more on the event already written, or writes it anew when that one has expired. */
  async #repeat(event: Event, patch: Partial<Event>): Promise<Event> {
    const { namespace = '', name = '' } = event.metadata;
    try {
      return await this.#client.patch(events, { namespace, name }, patch, { type: 'strategic' });
    } catch (error) {
      if (!isApiError(error, 'NotFound')) {
        throw error;
      }
      return this.#client.create(events, event);
    }
  }
}

function referenceTo(object: KubernetesObject | ObjectReference): ObjectReference {
  if (!('metadata' in object) || object.metadata === undefined) {
    return object as ObjectReference;
  }
  const { namespace, name, uid, resourceVersion } = object.metadata;
  return {
    ...(object.kind === undefined ? {} : { kind: object.kind }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(uid === undefined ? {} : { uid }),
    ...(object.apiVersion === undefined ? {} : { apiVersion: object.apiVersion }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

/** Writes events about objects as `component`: repeats are counted on one event, floods about one object are held back. */
export function createEventRecorder(client: ApiClient, options: EventRecorderOptions): EventRecorder {
  return new CorrelatingRecorder(client, options);
}
