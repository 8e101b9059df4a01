import { isApiError } from '../../apimachinery/api-error.ts';
import { isPodReady } from '../../apimachinery/conditions.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import type { Job } from '../../apimachinery/types/batch-v1.ts';
import type { EnvVar, Pod } from '../../apimachinery/types/core-v1.ts';
import { jobs, pods } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { objectKey } from '../object-key.ts';
import { podsToDelete } from '../replicaset/pod-ranking.ts';
import type { Expectations } from '../workload/expectations.ts';
import { isNamespaceTerminating, PodControl, podFromTemplate } from '../workload/pod-control.ts';
import { slowStart } from '../workload/slow-start.ts';
import { finishedAt, remainingAfter, remainingBackoffMs } from './job-backoff.ts';
import {
  completionIndexAnnotation,
  completionIndexOf,
  firstPendingIndexes,
  indexFailureCountAnnotation,
  indexFailures,
  indexIgnoredFailureCountAnnotation,
  isIndexed,
} from './job-indexes.ts';
import { hasFailed, hasTracking, isSuspended, type JobView, trackingFinalizer } from './job-view.ts';
import { matchFailurePolicy } from './pod-failure-policy.ts';

/** The most pods created or deleted for one Job in one round. */
const maxPodsPerRound = 500;
/** Generated names of pods: 63 characters less the five that the API appends. */
const maxGenerateName = 63 - 5;

/** What a round did to the pods, so that the status can say so before the cache shows it. */
export interface PodChanges {
  readonly active: number;
  readonly ready: number;
  readonly terminating: number;
  readonly error: unknown;
  /** When to look again, in milliseconds, for a back-off to end. */
  readonly lookAgainMs: number | undefined;
}

/** Starts and stops the pods of Jobs. */
export class JobPods {
  readonly #context: ControllerContext;
  readonly #expectations: Expectations;
  readonly #control: PodControl;

  constructor(context: ControllerContext, expectations: Expectations) {
    this.#context = context;
    this.#expectations = expectations;
    this.#control = new PodControl(context, jobs);
  }

  /** The Job is over: stops what runs. The finalizers stay until the pods are counted. */
  async stopAll(view: JobView): Promise<PodChanges> {
    return this.#remove(view, view.active, (pod) => this.#control.delete(view.job, pod));
  }

  /** Brings the number of running pods to what the Job asks for now. */
  async manage(view: JobView): Promise<PodChanges> {
    const { job, active } = view;
    const wanted = wantedActive(view);
    const surplus = isSuspended(job)
      ? [...active]
      : surplusPods(view, Math.max(0, active.length - wanted), this.#context.now());
    if (surplus.length > 0) return this.#scaleDown(view, surplus.slice(0, maxPodsPerRound));
    const reserved = job.spec.podReplacementPolicy === 'Failed' ? view.terminating : 0;
    const missing = isSuspended(job) ? 0 : wanted - reserved - active.length;
    if (missing <= 0) return unchanged(view);
    return this.#scaleUp(view, Math.min(missing, maxPodsPerRound));
  }

  async #scaleDown(view: JobView, doomed: readonly Pod[]): Promise<PodChanges> {
    const key = keyOf(view.job);
    this.#expectations.expectDeletions(key, doomed.map(keyOf));
    return this.#remove(view, doomed, async (pod) => {
      try {
        // Stopped on purpose: neither a success nor a failure, so there is nothing to count.
        await removeTracking(this.#context, pod);
        await this.#control.delete(view.job, pod);
      } catch (error) {
        this.#expectations.deletionObserved(key, keyOf(pod));
        throw error;
      }
    });
  }

  async #remove(view: JobView, doomed: readonly Pod[], remove: (pod: Pod) => Promise<void>): Promise<PodChanges> {
    let removed = 0;
    let removedReady = 0;
    let failure: unknown;
    await Promise.all(
      doomed.map(async (pod) => {
        try {
          await remove(pod);
        } catch (error) {
          if (!isApiError(error, 'NotFound')) {
            failure ??= error;
            return;
          }
        }
        removed++;
        if (isPodReady(pod)) removedReady++;
      }),
    );
    return {
      active: view.active.length - removed,
      ready: view.ready - removedReady,
      terminating: view.terminating + removed,
      error: failure,
      lookAgainMs: undefined,
    };
  }

  async #scaleUp(view: JobView, count: number): Promise<PodChanges> {
    const { job } = view;
    const plan = this.#indexesToStart(view, count);
    if (plan.waitMs > 0) return { ...unchanged(view), lookAgainMs: plan.waitMs };
    const total = plan.indexes?.length ?? count;
    const key = keyOf(job);
    this.#expectations.expectCreations(key, total);
    let ignored = 0;
    const { successes, error } = await slowStart(total, async (i) => {
      try {
        await this.#control.create(job, newPod(view, plan.indexes?.[i]));
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
        ignored++;
      }
    });
    for (let i = successes - ignored; i < total; i++) this.#expectations.creationObserved(key);
    return { ...unchanged(view), active: view.active.length + successes - ignored, error };
  }

  /** The back-off to wait for first, or the indexes to start (undefined for a Job without indexes). */
  #indexesToStart(view: JobView, count: number): { waitMs: number; indexes?: readonly number[] } {
    const { job } = view;
    const now = this.#context.now();
    const perIndex = view.failedIndexes !== undefined;
    if (!perIndex) {
      const failed = view.pods.filter((pod) => hasFailed(job, pod));
      const succeeded = view.pods.filter((pod) => pod.status?.phase === 'Succeeded');
      const waitMs = remainingBackoffMs(failed, succeeded, now);
      if (waitMs > 0) return { waitMs };
    }
    if (!isIndexed(job)) return { waitMs: 0 };
    const running = new Set(view.active.map((pod) => completionIndexOf(job, pod) ?? -1));
    const taken = [view.succeededIndexes, view.failedIndexes ?? new Set<number>(), running];
    const pending = firstPendingIndexes(job.spec.completions ?? 0, count, taken);
    if (!perIndex) return { waitMs: 0, indexes: pending };
    const waitOf = (index: number): number => {
      const pod = view.delayed.get(index);
      if (pod === undefined) return 0;
      const { counted, ignored } = indexFailures(pod);
      return remainingAfter(counted + ignored + 1, finishedAt(pod) ?? 0, now);
    };
    const indexes = pending.filter((index) => waitOf(index) === 0);
    if (indexes.length > 0 || pending.length === 0) return { waitMs: 0, indexes };
    return { waitMs: Math.min(...pending.map(waitOf)) };
  }
}

function unchanged(view: JobView): PodChanges {
  return {
    active: view.active.length,
    ready: view.ready,
    terminating: view.terminating,
    error: undefined,
    lookAgainMs: undefined,
  };
}

/** Without completions a Job is a pool of workers: once one has succeeded none is started, and none is stopped. */
function wantedActive({ job, active, succeeded, failedIndexes }: JobView): number {
  const parallelism = job.spec.parallelism ?? 1;
  if (job.spec.completions === undefined) return succeeded > 0 ? active.length : parallelism;
  const remaining = job.spec.completions - succeeded - (failedIndexes?.size ?? 0);
  return Math.max(0, Math.min(remaining, parallelism));
}

/** Pods to stop: of an Indexed Job first those without a valid index and the second ones of an index. */
function surplusPods({ job, active }: JobView, atLeast: number, now: Date): Pod[] {
  if (!isIndexed(job)) return podsToDelete(active, [], atLeast, now);
  const surplus: Pod[] = [];
  const kept = new Map<number, Pod[]>();
  for (const pod of active) {
    const index = completionIndexOf(job, pod);
    if (index === undefined) surplus.push(pod);
    else kept.set(index, [...(kept.get(index) ?? []), pod]);
  }
  const left: Pod[] = [];
  for (const duplicates of kept.values()) {
    const doomed = podsToDelete(duplicates, [], duplicates.length - 1, now);
    surplus.push(...doomed);
    left.push(...duplicates.filter((pod) => !doomed.includes(pod)));
  }
  const more = atLeast - surplus.length;
  return more > 0 ? [...surplus, ...podsToDelete(left, [], more, now)] : surplus;
}

function newPod(view: JobView, index: number | undefined): Pod {
  const { job } = view;
  const pod = podFromTemplate(job.spec.template, job, jobs);
  pod.metadata.finalizers = [...new Set([...(pod.metadata.finalizers ?? []), trackingFinalizer])];
  if (index === undefined) return pod;
  const name = job.metadata.name ?? '';
  const suffix = `-${index}-`;
  pod.metadata.generateName = `${name.slice(0, maxGenerateName - suffix.length)}${suffix}`;
  pod.metadata.labels = { ...pod.metadata.labels, [completionIndexAnnotation]: String(index) };
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [completionIndexAnnotation]: String(index),
    ...(view.failedIndexes === undefined ? {} : failureCounts(job, view.delayed.get(index))),
  };
  pod.spec.hostname = `${name}-${index}`;
  const variable: EnvVar = {
    name: 'JOB_COMPLETION_INDEX',
    valueFrom: { fieldRef: { fieldPath: `metadata.labels['${completionIndexAnnotation}']` } },
  };
  for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    if (!container.env?.some(({ name }) => name === variable.name))
      container.env = [...(container.env ?? []), variable];
  }
  return pod;
}

function failureCounts(job: Job, replaced: Pod | undefined): Record<string, string> {
  if (replaced === undefined) return { [indexFailureCountAnnotation]: '0' };
  const { counted, ignored } = indexFailures(replaced);
  const { counts } = matchFailurePolicy(job.spec.podFailurePolicy, replaced);
  const ignoredNow = ignored + (counts ? 0 : 1);
  return {
    [indexFailureCountAnnotation]: String(counted + (counts ? 1 : 0)),
    ...(ignoredNow === 0 ? {} : { [indexIgnoredFailureCountAnnotation]: String(ignoredNow) }),
  };
}

export async function removeTracking(context: ControllerContext, pod: Pod): Promise<void> {
  if (!hasTracking(pod)) return;
  const metadata = { uid: pod.metadata.uid, '$deleteFromPrimitiveList/finalizers': [trackingFinalizer] };
  await context.client.patch(pods, objectKey(pod), { metadata }, { type: 'strategic' });
}
