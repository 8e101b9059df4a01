import type { KubernetesObject, Resource } from '../apimachinery/resource.ts';
import { apiVersionOf } from '../apimachinery/resource.ts';
import type { ApiClient } from '../client/api-client.ts';
import type { Clock } from '../client/clock.ts';
import { createEventRecorder, type EventRecorder } from '../client/event-recorder.ts';
import type { Informer, InformerHandler, SharedInformers } from '../client/informer.ts';
import { createWorkQueue, type WorkQueue } from '../client/work-queue.ts';
import type { Logger } from '../log/logger.ts';
import type { ControllerContext, ControllerSettings, EventType } from './controller-context.ts';

export interface RunningControllerOptions {
  readonly name: string;
  /** Component that its events name. */
  readonly eventSource: string;
  readonly client: ApiClient;
  readonly informers: SharedInformers;
  readonly logger: Logger;
  readonly settings: ControllerSettings;
  readonly clock: Clock;
}

interface Reconciler {
  readonly queue: WorkQueue;
  readonly workers: number;
  readonly reconcile: (key: string) => Promise<void>;
}

/** A controller's context, and the handle on what it has started. */
export class RunningController implements ControllerContext {
  readonly name: string;
  readonly client: ApiClient;
  readonly logger: Logger;
  readonly settings: ControllerSettings;
  readonly clock: Clock;
  readonly #informers: SharedInformers;
  readonly #recorder: EventRecorder;
  readonly #reconcilers: Reconciler[] = [];
  readonly #stops: (() => void)[] = [];

  constructor(options: RunningControllerOptions) {
    this.name = options.name;
    this.client = options.client;
    this.logger = options.logger;
    this.settings = options.settings;
    this.clock = options.clock;
    this.#informers = options.informers;
    this.#recorder = createEventRecorder(options.client, {
      component: options.eventSource,
      logger: options.logger,
      clock: options.clock,
    });
  }

  now(): Date {
    return new Date(this.clock.now());
  }

  informer<T extends KubernetesObject>(resource: Resource<T>): Informer<T> {
    return this.#informers.informer(resource);
  }

  watch<T extends KubernetesObject>(resource: Resource<T>, handler: InformerHandler<T>): Informer<T> {
    const informer = this.#informers.informer(resource);
    // The handler may name the informer that is being returned: hand it what is there already in the next turn.
    let unsubscribe: (() => void) | undefined;
    let stopped = false;
    queueMicrotask(() => {
      if (!stopped) unsubscribe = informer.addHandler(handler);
    });
    this.onStop(() => {
      stopped = true;
      unsubscribe?.();
    });
    return informer;
  }

  reconciler(name: string, workers: number, reconcile: (key: string) => Promise<void>): WorkQueue {
    const queue = createWorkQueue(name, { logger: this.logger, clock: this.clock });
    this.#reconcilers.push({ queue, workers, reconcile });
    return queue;
  }

  event(resource: Resource, object: KubernetesObject, type: EventType, reason: string, message: string): void {
    const subject = { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind };
    this.#recorder.event(subject, type, reason, message);
  }

  onStop(stop: () => void): void {
    this.#stops.push(stop);
  }

  /** To be called once the caches have filled. */
  run(): void {
    for (const { queue, workers, reconcile } of this.#reconcilers) queue.run(reconcile, workers);
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) stop();
    await Promise.all(this.#reconcilers.map(({ queue }) => queue.shutDown()));
    await this.#recorder.flush();
  }
}
