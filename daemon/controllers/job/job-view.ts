import { isPodActive, isPodReady } from '../../apimachinery/conditions.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type { Job, JobCondition } from '../../apimachinery/types/batch-v1.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { finishedAt } from './job-backoff.ts';
import { jobCondition, newJobCondition } from './job-conditions.ts';
import { completionIndexOf, indexFailures, isIndexed, parseIndexes } from './job-indexes.ts';
import { matchFailurePolicy } from './pod-failure-policy.ts';
import { matchSuccessPolicy } from './success-policy.ts';

/** Held by every pod of a Job until its outcome is counted in the Job's status. */
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';

/** What holds for a Job and its pods at one moment. */
export interface JobView {
  readonly job: Job;
  readonly pods: readonly Pod[];
  readonly active: readonly Pod[];
  readonly ready: number;
  readonly terminating: number;
  /** Still to be counted: they carry the finalizer and are in no list of the status. */
  readonly newlySucceeded: readonly Pod[];
  readonly newlyFailed: readonly Pod[];
  /** Totals, with what is still to be counted. */
  readonly succeeded: number;
  readonly failed: number;
  /** Of an Indexed Job: those the status has, and with what the pods say. */
  readonly knownSucceededIndexes: ReadonlySet<number>;
  readonly succeededIndexes: ReadonlySet<number>;
  /** With backoffLimitPerIndex only. */
  readonly failedIndexes: ReadonlySet<number> | undefined;
  /** Failed pods that must stay until their index has a new pod, which inherits their count of failures. */
  readonly delayed: ReadonlyMap<number, Pod>;
}

export function isSuspended(job: Job): boolean {
  return job.spec.suspend === true;
}

export function hasTracking(pod: Pod): boolean {
  return pod.metadata.finalizers?.includes(trackingFinalizer) === true;
}

/** A pod that is deleted before it finished counts as failed, unless only failed pods are to be replaced. */
export function hasFailed(job: Job, pod: Pod): boolean {
  if (pod.status?.phase === 'Failed') return true;
  const onlyFailed = job.spec.podReplacementPolicy === 'Failed';
  return !onlyFailed && isTerminating(pod) && pod.status?.phase !== 'Succeeded';
}

/** `released` are uids of pods whose finalizer has been taken off though the cache may still show it. */
export function viewJob(job: Job, pods: readonly Pod[], released: ReadonlySet<string>): JobView {
  const { status } = job;
  const uncounted = status?.uncountedTerminatedPods ?? {};
  const active = pods.filter(isPodActive);
  const isNew = (listed: readonly string[] | undefined) => (pod: Pod) =>
    isTracked(pod, released) &&
    !(listed ?? []).includes(pod.metadata.uid ?? '') &&
    (!isIndexed(job) || completionIndexOf(job, pod) !== undefined);
  const newlySucceeded = pods.filter((pod) => pod.status?.phase === 'Succeeded').filter(isNew(uncounted.succeeded));
  const newlyFailed = pods.filter((pod) => hasFailed(job, pod)).filter(isNew(uncounted.failed));
  const countedFailures = newlyFailed.filter((pod) => matchFailurePolicy(job.spec.podFailurePolicy, pod).counts);

  const completions = job.spec.completions ?? 0;
  const known = parseIndexes(isIndexed(job) ? status?.completedIndexes : '', completions);
  const succeededIndexes = new Set(known);
  if (isIndexed(job)) {
    for (const pod of pods) {
      const index = completionIndexOf(job, pod);
      if (index !== undefined && pod.status?.phase === 'Succeeded' && isTracked(pod, released))
        succeededIndexes.add(index);
    }
  }
  const failedIndexes = failedIndexesOf(job, pods, released);
  return {
    job,
    pods,
    active,
    ready: active.filter(isPodReady).length,
    terminating: pods.filter((pod) => isTerminating(pod) && !isFinished(pod)).length,
    newlySucceeded,
    newlyFailed,
    succeeded: isIndexed(job)
      ? succeededIndexes.size
      : (status?.succeeded ?? 0) + newlySucceeded.length + (uncounted.succeeded?.length ?? 0),
    failed: (status?.failed ?? 0) + countedFailures.length + (uncounted.failed?.length ?? 0),
    knownSucceededIndexes: known,
    succeededIndexes,
    failedIndexes,
    delayed: delayedPods(job, pods, active, released, succeededIndexes, failedIndexes),
  };
}

export function isTracked(pod: Pod, released: ReadonlySet<string>): boolean {
  return hasTracking(pod) && !released.has(pod.metadata.uid ?? '');
}

function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

function failedIndexesOf(job: Job, pods: readonly Pod[], released: ReadonlySet<string>): Set<number> | undefined {
  const limit = job.spec.backoffLimitPerIndex;
  if (!isIndexed(job) || limit === undefined) return undefined;
  const failed = parseIndexes(job.status?.failedIndexes, job.spec.completions ?? 0);
  for (const pod of pods) {
    const index = completionIndexOf(job, pod);
    if (index === undefined || !isTracked(pod, released) || !hasFailed(job, pod)) continue;
    const { action, counts } = matchFailurePolicy(job.spec.podFailurePolicy, pod);
    if (action === 'FailIndex' || (counts && indexFailures(pod).counted >= limit)) failed.add(index);
  }
  return failed;
}

function delayedPods(
  job: Job,
  pods: readonly Pod[],
  active: readonly Pod[],
  released: ReadonlySet<string>,
  succeeded: ReadonlySet<number>,
  failed: ReadonlySet<number> | undefined,
): Map<number, Pod> {
  const delayed = new Map<number, Pod>();
  if (failed === undefined) return delayed;
  const running = new Set(active.map((pod) => completionIndexOf(job, pod)));
  const rank = (pod: Pod): number => indexFailures(pod).counted + indexFailures(pod).ignored;
  for (const pod of pods) {
    const index = completionIndexOf(job, pod);
    if (index === undefined || !isTracked(pod, released) || !hasFailed(job, pod)) continue;
    if (succeeded.has(index) || failed.has(index) || running.has(index)) continue;
    const last = delayed.get(index);
    const newer =
      last === undefined ||
      rank(pod) > rank(last) ||
      (rank(pod) === rank(last) && (finishedAt(pod) ?? 0) >= (finishedAt(last) ?? 0));
    if (newer) delayed.set(index, pod);
  }
  return delayed;
}

/**
 * Whether the Job is over, and how: the interim condition (`FailureTarget`, `SuccessCriteriaMet`) that is written before its
 * pods are stopped and counted; undefined while it goes on.
 */
export function verdict(view: JobView, now: Date): JobCondition | undefined {
  const { job, pods } = view;
  const decided = jobCondition(job, 'SuccessCriteriaMet') ?? jobCondition(job, 'FailureTarget');
  if (decided !== undefined) return decided;
  const fail = (reason: string, message: string) => newJobCondition('FailureTarget', reason, message, now);

  for (const pod of pods) {
    if (!hasFailed(job, pod)) continue;
    const { message } = matchFailurePolicy(job.spec.podFailurePolicy, pod);
    if (message !== undefined) return fail('PodFailurePolicy', message);
  }
  if (view.failed > backoffLimit(job) || restartsExceedLimit(job, pods)) {
    return fail('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  }
  const remaining = remainingActiveMs(job, now);
  if (remaining !== undefined && remaining <= 0) {
    return fail('DeadlineExceeded', 'Job was active longer than specified deadline');
  }
  if (view.failedIndexes !== undefined) {
    const { maxFailedIndexes, completions = 0 } = job.spec;
    const failed = view.failedIndexes.size;
    if (maxFailedIndexes !== undefined && failed > maxFailedIndexes) {
      return fail('MaxFailedIndexesExceeded', 'Job has exceeded the specified maximal number of failed indexes');
    }
    if (failed > 0 && failed + view.succeededIndexes.size >= completions) {
      return fail('FailedIndexes', 'Job has failed indexes');
    }
  }
  if (isIndexed(job)) {
    const met = matchSuccessPolicy(job.spec.successPolicy, job.spec.completions ?? 0, view.succeededIndexes);
    if (met !== undefined) return newJobCondition('SuccessCriteriaMet', 'SuccessPolicy', met, now);
  }
  return undefined;
}

function backoffLimit(job: Job): number {
  return job.spec.backoffLimit ?? (job.spec.backoffLimitPerIndex === undefined ? 6 : 2 ** 31 - 1);
}

/** With restartPolicy OnFailure a container's restarts count instead of new pods. */
function restartsExceedLimit(job: Job, pods: readonly Pod[]): boolean {
  if (job.spec.template.spec?.restartPolicy !== 'OnFailure') return false;
  let restarts = 0;
  for (const { status } of pods) {
    if (status?.phase !== 'Running' && status?.phase !== 'Pending') continue;
    for (const container of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) {
      restarts += container.restartCount ?? 0;
    }
  }
  return backoffLimit(job) === 0 ? restarts > 0 : restarts >= backoffLimit(job);
}

/** Until activeDeadlineSeconds is over, in milliseconds; undefined when there is none or the Job is suspended. */
export function remainingActiveMs(job: Job, now: Date): number | undefined {
  const startedAt = parseTime(job.status?.startTime);
  if (job.spec.activeDeadlineSeconds === undefined || startedAt === undefined || isSuspended(job)) return undefined;
  return startedAt + job.spec.activeDeadlineSeconds * 1000 - now.getTime();
}
