import { isApiError } from '../../apimachinery/api-error.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { Job, JobCondition, JobStatus } from '../../apimachinery/types/batch-v1.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { jobs } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { sameStatus } from '../workload/status-equal.ts';
import { ensureJobCondition, jobCondition, newJobCondition } from './job-conditions.ts';
import { completionIndexOf, formatIndexes, isIndexed } from './job-indexes.ts';
import { removeTracking } from './job-pods.ts';
import { hasFailed, isTracked, type JobView } from './job-view.ts';
import { matchFailurePolicy } from './pod-failure-policy.ts';

/** The most uids listed in `status.uncountedTerminatedPods` at a time: it bounds the size of the status. */
const maxUncounted = 500;

export interface TrackingOptions {
  readonly context: ControllerContext;
  readonly view: JobView;
  /** The status with this round's counts of running pods. */
  readonly status: JobStatus;
  /** The interim condition when the Job is over. */
  readonly finished: JobCondition | undefined;
  /** Uids whose finalizer is known to be off already; those taken off here are added. */
  readonly released: Set<string>;
  /** Called with every version of the Job that was written. */
  readonly wrote: (job: Job) => void;
}

/**
 * Counts finished pods exactly once, whatever is interrupted: first their uids go into the status, then their finalizers are
 * taken off, then the uids turn into counts. The final condition is added when nothing is left to count and no pod runs.
 */
export async function trackFinishedPods(options: TrackingOptions): Promise<void> {
  const { context, view, finished, released } = options;
  const tracked = new Set(view.pods.filter((pod) => isTracked(pod, released)).map((pod) => pod.metadata.uid ?? ''));
  const { status, toRelease, truncated } = countPods(view, countReleased(options.status, tracked), finished, released);
  let job = await write(options, view.job, withInterimCondition(status, view.job, finished));

  const failures = await releasePods(context, toRelease, released);
  for (const pod of toRelease) if (released.has(pod.metadata.uid ?? '')) tracked.delete(pod.metadata.uid ?? '');
  let final = countReleased(job.status ?? {}, tracked);
  const uncounted = final.uncountedTerminatedPods ?? {};
  const allCounted = (uncounted.succeeded?.length ?? 0) + (uncounted.failed?.length ?? 0) === 0;
  let over: JobCondition | undefined;
  if (finished !== undefined && allCounted && !truncated && (final.terminating ?? 0) === 0 && failures.length === 0) {
    over = finalCondition(finished, context.now());
    final = {
      ...final,
      conditions: [...ensureJobCondition(final.conditions ?? [], over)],
      ...(over.type === 'Complete' ? { completionTime: formatTime(context.now()) } : {}),
    };
  }
  job = await write(options, job, final);
  if (over !== undefined) recordFinished(context, job, over);
  if (failures.length > 0) throw failures[0];
}

/** Uids of pods that no longer carry the finalizer turn into counts. */
function countReleased(status: JobStatus, tracked: ReadonlySet<string>): JobStatus {
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods ?? {};
  const stillSucceeded = succeeded.filter((uid) => tracked.has(uid));
  const stillFailed = failed.filter((uid) => tracked.has(uid));
  return {
    ...status,
    succeeded: (status.succeeded ?? 0) + succeeded.length - stillSucceeded.length,
    failed: (status.failed ?? 0) + failed.length - stillFailed.length,
    uncountedTerminatedPods: {
      ...(stillSucceeded.length === 0 ? {} : { succeeded: stillSucceeded }),
      ...(stillFailed.length === 0 ? {} : { failed: stillFailed }),
    },
  };
}

/** Lists the pods that are over, and names those whose finalizer may go. */
function countPods(
  view: JobView,
  status: JobStatus,
  finished: JobCondition | undefined,
  released: ReadonlySet<string>,
): { status: JobStatus; toRelease: Pod[]; truncated: boolean } {
  const { job } = view;
  const succeeded = [...(status.uncountedTerminatedPods?.succeeded ?? [])];
  const failed = [...(status.uncountedTerminatedPods?.failed ?? [])];
  const doneIndexes = new Set(view.knownSucceededIndexes);
  const toRelease: Pod[] = [];
  const jobFailed = finished !== undefined && finished.type !== 'SuccessCriteriaMet';
  let newIndexes = 0;
  let truncated = false;
  const byIndex = (pod: Pod): number => completionIndexOf(job, pod) ?? -1;
  const inOrder = isIndexed(job) ? [...view.pods].sort((a, b) => byIndex(a) - byIndex(b)) : view.pods;

  for (const pod of inOrder) {
    const uid = pod.metadata.uid ?? '';
    if (!isTracked(pod, released) || !mayRelease(view, pod, finished)) continue;
    toRelease.push(pod);
    const index = completionIndexOf(job, pod);
    const counts = !isIndexed(job) || index !== undefined;
    if (pod.status?.phase === 'Succeeded' && !failed.includes(uid)) {
      if (index !== undefined && isIndexed(job)) {
        if (!doneIndexes.has(index)) newIndexes++;
        doneIndexes.add(index);
      } else if (counts && !succeeded.includes(uid)) {
        succeeded.push(uid);
      }
    } else if ((hasFailed(job, pod) || jobFailed) && counts && !failed.includes(uid)) {
      if (matchFailurePolicy(job.spec.podFailurePolicy, pod).counts) failed.push(uid);
    }
    if (newIndexes + succeeded.length + failed.length >= maxUncounted) {
      truncated = true;
      break;
    }
  }
  return {
    status: {
      ...status,
      uncountedTerminatedPods: {
        ...(succeeded.length === 0 ? {} : { succeeded }),
        ...(failed.length === 0 ? {} : { failed }),
      },
      ...(isIndexed(job) ? { succeeded: doneIndexes.size, completedIndexes: formatIndexes(doneIndexes) } : {}),
      ...(view.failedIndexes === undefined ? {} : { failedIndexes: formatIndexes(view.failedIndexes) }),
    },
    toRelease,
    truncated,
  };
}

function mayRelease(view: JobView, pod: Pod, finished: JobCondition | undefined): boolean {
  const { job } = view;
  if (isTerminating(job) || finished !== undefined || pod.status?.phase === 'Succeeded') return true;
  if (!hasFailed(job, pod)) return false;
  const index = completionIndexOf(job, pod);
  return index === undefined || view.delayed.get(index)?.metadata.uid !== pod.metadata.uid;
}

function withInterimCondition(status: JobStatus, job: Job, finished: JobCondition | undefined): JobStatus {
  if (finished === undefined || jobCondition(job, finished.type) !== undefined) return status;
  return { ...status, conditions: [...(status.conditions ?? []), finished] };
}

function finalCondition(interim: JobCondition, now: Date): JobCondition {
  const type = interim.type === 'SuccessCriteriaMet' ? 'Complete' : 'Failed';
  return newJobCondition(type, interim.reason ?? '', interim.message ?? '', now);
}

async function write({ context, wrote }: TrackingOptions, job: Job, status: JobStatus): Promise<Job> {
  if (sameStatus(status, job.status) && status.ready === job.status?.ready) return job;
  const written = await context.client.update(jobs, { ...job, status: trimmed(status) }, { subresource: 'status' });
  wrote(written);
  return written;
}

/** Counts of zero are left out, except those that clients are told even then. */
function trimmed(status: JobStatus): JobStatus {
  const { active, succeeded, failed, completedIndexes, ...rest } = status;
  return {
    ...rest,
    ...(active === undefined || active === 0 ? {} : { active }),
    ...(succeeded === undefined || succeeded === 0 ? {} : { succeeded }),
    ...(failed === undefined || failed === 0 ? {} : { failed }),
    ...(completedIndexes === undefined || completedIndexes === '' ? {} : { completedIndexes }),
  };
}

async function releasePods(
  context: ControllerContext,
  doomed: readonly Pod[],
  released: Set<string>,
): Promise<unknown[]> {
  const failures: unknown[] = [];
  await Promise.all(
    doomed.map(async (pod) => {
      try {
        await removeTracking(context, pod);
      } catch (error) {
        if (!isApiError(error, 'NotFound')) {
          failures.push(error);
          return;
        }
      }
      released.add(pod.metadata.uid ?? '');
    }),
  );
  return failures;
}

function recordFinished(context: ControllerContext, job: Job, condition: JobCondition): void {
  if (condition.type !== 'Complete') {
    context.event(jobs, job, 'Warning', condition.reason ?? '', condition.message ?? '');
    return;
  }
  if (job.spec.completions !== undefined && (job.status?.succeeded ?? 0) > job.spec.completions) {
    const message = 'Too many succeeded pods running after completion count reached';
    context.event(jobs, job, 'Warning', 'TooManySucceededPods', message);
  }
  context.event(jobs, job, 'Normal', 'Completed', 'Job completed');
}
