import { isApiError } from '../apimachinery/api-error.ts';
import type { Pod } from '../apimachinery/types/core-v1.ts';
import { pods } from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';
import type { Clock } from '../client/clock.ts';
import type { EventRecorder } from '../client/event-recorder.ts';
import type { Logger } from '../log/logger.ts';
import { fitMessage, noNodesMessage } from './fit-error.ts';
import { countAlgorithm, countAttempt, countPreemption, countScheduledPod, setCacheSize } from './metrics.ts';
import type { NodeInfo } from './node-info.ts';
import type { NominatedPods } from './nominated-pods.ts';
import type { Cycle, Reservation, SchedulerPlugin } from './plugin.ts';
import type { PodInfo } from './pod-info.ts';
import { PodStatusWriter } from './pod-status-writer.ts';
import { type Candidate, findPreemption } from './preemption.ts';
import type { PodPlacer, Unschedulable } from './schedule-pod.ts';
import type { SchedulerCache } from './scheduler-cache.ts';
import type { SchedulerListers } from './scheduler-listers.ts';
import { type QueuedPod, SchedulingQueue } from './scheduling-queue.ts';

export interface SchedulingLoopOptions {
  readonly client: ApiClient;
  readonly cache: SchedulerCache;
  readonly listers: SchedulerListers;
  readonly nominated: NominatedPods;
  readonly placer: PodPlacer;
  readonly plugins: readonly SchedulerPlugin[];
  readonly recorder: EventRecorder;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Decisions may hold the event loop no longer than this at a time. */
const sliceMs = 10;
/** Decided but not yet bound: beyond this many, deciding waits for binding. */
const maxBinding = 200;

/**
 * Takes pods from the queue one by one. A decision is made in one turn of the event loop against the cache, and counted
 * there at once; writing it to the API goes on beside the next decisions.
 */
export class SchedulingLoop {
  readonly queue: SchedulingQueue;
  readonly #options: SchedulingLoopOptions;
  readonly #status: PodStatusWriter;
  readonly #writes = new Set<Promise<void>>();
  #binding = 0;
  #running = false;
  #scheduled = false;

  constructor(options: SchedulingLoopOptions) {
    this.#options = options;
    this.#status = new PodStatusWriter(options.client, options.clock, options.logger);
    this.queue = new SchedulingQueue(options.plugins, options.clock, () => this.#kick());
  }

  start(): void {
    this.#running = true;
    this.#kick();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.queue.close();
    await Promise.all(this.#writes);
  }

  #kick(): void {
    if (this.#running && !this.#scheduled && this.#binding < maxBinding) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#slice();
      });
    }
  }

  #slice(): void {
    const end = performance.now() + sliceMs;
    while (this.#running && this.#binding < maxBinding) {
      const queued = this.queue.pop();
      if (queued === undefined) {
        break;
      }
      this.#attempt(queued);
      if (performance.now() >= end) {
        this.#kick();
        break;
      }
    }
    setCacheSize(this.#options.cache.nodes.length, this.#options.cache.podCount);
  }

  #attempt(queued: QueuedPod): void {
    const { cache, listers, client, placer, logger } = this.#options;
    const start = performance.now();
    const cycle: Cycle = { pod: queued.info, cache, listers, client };
    try {
      if (cache.nodes.length === 0) {
        this.#unschedulable(queued, noNodesMessage, new Set(), start);
        return;
      }
      const result = placer.place(cycle);
      countAlgorithm((performance.now() - start) / 1000);
      if ('unschedulable' in result) {
        this.#noNode(cycle, queued, result.unschedulable, start);
      } else {
        this.#decided(cycle, queued, result.node, start);
      }
    } catch (error) {
      logger.error({ pod: queued.info.pod.metadata.name, err: error }, 'scheduling attempt failed');
      this.#failed(queued, error, start);
    }
  }

  #decided(cycle: Cycle, queued: QueuedPod, node: NodeInfo, start: number): void {
    const { cache, nominated, plugins } = this.#options;
    const reservations: Reservation[] = [];
    for (const plugin of plugins) {
      const reservation = plugin.reserve?.(cycle, node);
      if (reservation !== undefined) {
        reservations.push(reservation);
      }
    }
    cache.assume(queued.info, node.name);
    nominated.delete(queued.info.uid);
    this.#binding++;
    this.#track(this.#bind(queued, node.name, reservations, start));
  }

  async #bind(queued: QueuedPod, nodeName: string, reservations: readonly Reservation[], start: number): Promise<void> {
    const { client, cache, recorder, clock, logger } = this.#options;
    const { pod, uid } = queued.info;
    const { namespace = '', name = '' } = pod.metadata;
    try {
      for (const reservation of reservations) {
        await reservation.beforeBind?.();
      }
      await client.createSubresource(pods, { namespace, name }, 'binding', {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { namespace, name, uid: pod.metadata.uid },
        target: { kind: 'Node', name: nodeName },
      });
      this.queue.done(uid);
      countAttempt('scheduled', (performance.now() - start) / 1000);
      countScheduledPod(queued.attempts, (clock.now() - queued.since) / 1000);
      logger.debug({ namespace, name, node: nodeName }, 'pod bound');
      const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`;
      recorder.event(typed(pod), 'Normal', 'Scheduled', message, { action: 'Binding' });
    } catch (error) {
      cache.forget(uid);
      for (const reservation of reservations) {
        reservation.release?.();
      }
      // Room that was counted as taken is free again.
      this.queue.handle({ kind: 'AssignedPodDelete', pod });
      logger.warn({ namespace, name, node: nodeName, err: error }, 'pod could not be bound');
      if (isApiError(error, 'NotFound')) {
        this.queue.done(uid);
      } else {
        this.#failed(queued, error, start);
      }
    } finally {
      this.#binding--;
      this.#kick();
    }
  }

  #noNode(cycle: Cycle, queued: QueuedPod, failure: Unschedulable, start: number): void {
    const { nominated, random } = this.#options;
    const narrowed =
      failure.narrowedBy.length === 0
        ? undefined
        : `node(s) didn't satisfy plugin(s) [${failure.narrowedBy.join(' ')}]`;
    const message = fitMessage({
      nodeCount: failure.nodeCount,
      ...(failure.preFilter === undefined ? {} : { preFilter: failure.preFilter }),
      rejections: failure.rejections.values(),
      ...(narrowed === undefined ? {} : { others: narrowed }),
    });
    const result = findPreemption(cycle, failure, nominated, random);
    if ('message' in result) {
      if (!result.waits) {
        nominated.delete(queued.info.uid);
      }
      const nominee = result.waits ? undefined : '';
      this.#unschedulable(queued, `${message} preemption: ${result.message}`, failure.plugins, start, nominee);
      return;
    }
    const { candidate } = result;
    const { name: nodeName } = candidate.node;
    countPreemption(candidate.victims.length);
    nominated.set(queued.info, nodeName);
    this.#unschedulable(queued, message, failure.plugins, start, nodeName);
    this.#track(this.#preempt(queued.info, candidate));
  }

  /** Makes the victims leave; the pod is tried again as they go. */
  async #preempt(preemptor: PodInfo, { node, victims }: Candidate): Promise<void> {
    const { nominated, logger } = this.#options;
    for (const other of nominated.on(node.name)) {
      if (other.priority < preemptor.priority) {
        // It would no longer fit there: it may find another node before the victims have gone.
        nominated.delete(other.uid);
        await this.#status.write(other.pod, { nominatedNodeName: '' });
      }
    }
    const scheduler = preemptor.pod.spec.schedulerName ?? 'default-scheduler';
    await Promise.all(
      victims.map(async ({ pod }) => {
        if (pod.metadata.deletionTimestamp !== undefined) {
          return;
        }
        const { namespace = '', name = '' } = pod.metadata;
        try {
          await this.#evict(pod, scheduler);
          logger.info({ namespace, name, node: node.name, preemptor: preemptor.pod.metadata.name }, 'pod preempted');
          const message = `Preempted by pod ${preemptor.pod.metadata.uid} on node ${node.name}`;
          this.#options.recorder.event(typed(pod), 'Normal', 'Preempted', message, { action: 'Preempting' });
        } catch (error) {
          if (!isApiError(error, 'NotFound')) {
            logger.warn({ namespace, name, err: error }, 'pod could not be preempted');
          }
        }
      }),
    );
  }

  async #evict(pod: Pod, scheduler: string): Promise<void> {
    const { namespace = '', name = '', uid } = pod.metadata;
    await this.#status.write(pod, {
      condition: {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'PreemptionByScheduler',
        message: `${scheduler}: preempting to accommodate a higher priority pod`,
      },
    });
    await this.#options.client.delete(pods, { namespace, name }, uid === undefined ? {} : { preconditions: { uid } });
  }

  #unschedulable(
    queued: QueuedPod,
    message: string,
    rejectedBy: ReadonlySet<string>,
    start: number,
    nominatedNodeName?: string,
  ): void {
    this.queue.unschedulable(queued.info.uid, rejectedBy);
    countAttempt('unschedulable', (performance.now() - start) / 1000);
    this.#report(queued.info.pod, 'Unschedulable', message, nominatedNodeName);
  }

  #failed(queued: QueuedPod, error: unknown, start: number): void {
    this.queue.failed(queued.info.uid);
    countAttempt('error', (performance.now() - start) / 1000);
    this.#report(queued.info.pod, 'SchedulerError', error instanceof Error ? error.message : String(error), undefined);
  }

  #report(pod: Pod, reason: string, message: string, nominatedNodeName: string | undefined): void {
    if (!this.#running) {
      return;
    }
    this.#options.recorder.event(typed(pod), 'Warning', 'FailedScheduling', message, { action: 'Scheduling' });
    const condition = { type: 'PodScheduled', status: 'False', reason, message };
    this.#track(
      this.#status.write(pod, { condition, ...(nominatedNodeName === undefined ? {} : { nominatedNodeName }) }),
    );
  }

  #track(write: Promise<void>): void {
    this.#writes.add(write);
    void write.finally(() => this.#writes.delete(write));
  }
}

/** Events name the kind of what they are about. */
function typed(pod: Pod): Pod {
  return pod.kind === undefined ? { ...pod, apiVersion: 'v1', kind: 'Pod' } : pod;
}
