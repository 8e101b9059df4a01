import { isApiError } from '../../apimachinery/api-error.ts';
import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import { controllerOf } from '../../apimachinery/owner-reference.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { Job, JobCondition, JobStatus } from '../../apimachinery/types/batch-v1.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { jobs, pods } from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { WorkQueue } from '../../client/work-queue.ts';
import type { ControllerContext } from '../controller-context.ts';
import { joinKey } from '../object-key.ts';
import { claimObjects } from '../workload/claim.ts';
import { Expectations } from '../workload/expectations.ts';
import { refersTo } from '../workload/owner-reference.ts';
import { watchPodsOf } from '../workload/pod-events.ts';
import { claimCandidates, controlledBy } from '../workload/pod-index.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { ensureJobCondition, isJobFinished, newJobCondition } from './job-conditions.ts';
import { JobPods, type PodChanges, removeTracking } from './job-pods.ts';
import { trackFinishedPods } from './job-tracking.ts';
import {
  hasTracking,
  isSuspended,
  type JobView,
  remainingActiveMs,
  trackingFinalizer,
  verdict,
  viewJob,
} from './job-view.ts';

const ownName = 'kubernetes.io/job-controller';

export function startJobController(context: ControllerContext, workers: number): void {
  new JobController(context, workers);
}

class JobController {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;
  readonly #orphans: WorkQueue;
  readonly #jobs: Informer<Job>;
  readonly #pods: Informer<Pod>;
  readonly #expectations: Expectations;
  readonly #jobPods: JobPods;
  /** Per Job, the pods whose finalizer was taken off and that the cache still shows with it. */
  readonly #released = new Map<string, Set<string>>();
  /** Per Job, the version last written: an older one in the cache would count pods twice. */
  readonly #written = new Map<string, { readonly uid: string; readonly version: number }>();

  constructor(context: ControllerContext, workers: number) {
    this.#context = context;
    this.#expectations = new Expectations(() => context.now());
    this.#jobPods = new JobPods(context, this.#expectations);
    this.#queue = context.reconciler('job', workers, (key) => this.#reconcile(key));
    this.#orphans = context.reconciler('job_orphan_pod', 1, (key) => this.#releaseOrphan(key));
    const enqueue = (job: Job): void => this.#queue.add(keyOf(job));
    this.#jobs = context.watch(jobs, {
      onAdd: enqueue,
      onUpdate: enqueue,
      onDelete: (job) => {
        enqueue(job);
        for (const pod of controlledBy(this.#pods, job.metadata.uid ?? '')) this.#orphans.add(keyOf(pod));
      },
    });
    this.#pods = watchPodsOf(context, {
      owners: this.#jobs,
      ownerResource: jobs,
      expectations: this.#expectations,
      queue: () => this.#queue,
      matches: selects,
    });
    context.watch(pods, {
      onAdd: (pod) => this.#podSeen(pod),
      onUpdate: (pod) => this.#podSeen(pod),
      onDelete: (pod) => this.#forgetReleased(pod),
    });
  }

  #podSeen(pod: Pod): void {
    if (!hasTracking(pod)) this.#forgetReleased(pod);
    else if (this.#isOrphan(pod)) this.#orphans.add(keyOf(pod));
  }

  #forgetReleased(pod: Pod): void {
    const reference = controllerOf(pod);
    if (reference === undefined) return;
    this.#released.get(joinKey(pod.metadata.namespace, reference.name))?.delete(pod.metadata.uid ?? '');
  }

  /** Carries our finalizer, and no Job will ever count it. */
  #isOrphan(pod: Pod): boolean {
    const reference = controllerOf(pod);
    if (reference === undefined) return isTerminating(pod);
    if (!refersTo(reference, jobs)) return true;
    const job = this.#jobs.lister.get(joinKey(pod.metadata.namespace, reference.name));
    return job?.metadata.uid !== reference.uid || isJobFinished(job);
  }

  async #releaseOrphan(key: string): Promise<void> {
    const pod = this.#pods.lister.get(key);
    if (pod === undefined || !hasTracking(pod) || !this.#isOrphan(pod)) return;
    try {
      await removeTracking(this.#context, pod);
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
  }

  #forget(key: string): void {
    this.#expectations.forget(key);
    this.#released.delete(key);
    this.#written.delete(key);
  }

  async #reconcile(key: string): Promise<void> {
    const job = this.#jobs.lister.get(key);
    if (job === undefined || isJobFinished(job)) {
      this.#forget(key);
      return;
    }
    if ((job.spec.managedBy ?? ownName) !== ownName) return;
    const { completionMode = 'NonIndexed' } = job.spec;
    if (completionMode !== 'NonIndexed' && completionMode !== 'Indexed') {
      const message = 'Skipped Job sync because completion mode is unknown';
      this.#context.event(jobs, job, 'Warning', 'UnknownCompletionMode', message);
      return;
    }
    const written = this.#written.get(key);
    // The cache lags behind our own write: its event brings the Job back here.
    const stale = written !== undefined && Number(job.metadata.resourceVersion) < written.version;
    if (stale && written.uid === job.metadata.uid) return;
    await this.#sync(key, job);
  }

  async #sync(key: string, job: Job): Promise<void> {
    const { client } = this.#context;
    const mayAct = this.#expectations.satisfied(key);
    const members = await claimObjects(claimCandidates(this.#pods, job), {
      client,
      resource: pods,
      owner: job,
      ownerResource: jobs,
      matches: (pod) => selects(job, pod),
      finalizers: [trackingFinalizer],
    });
    const released = this.#released.get(key) ?? new Set<string>();
    this.#released.set(key, released);
    const now = this.#context.now();
    const view = viewJob(withStartTime(job, now), members, released);

    let finished = verdict(view, now);
    let status: JobStatus = view.job.status ?? {};
    let changes: PodChanges;
    if (finished !== undefined) {
      changes = await this.#jobPods.stopAll(view);
      // Pods that are not stopped yet, or not in the cache yet, must be seen and counted first.
      if (changes.active > 0 || !mayAct) finished = undefined;
    } else {
      const acts = mayAct && !isTerminating(job);
      changes = acts ? await this.#jobPods.manage(view) : viewCounts(view);
      if (isDone(view, changes.active)) {
        const message = 'Reached expected number of succeeded pods';
        finished = newJobCondition('SuccessCriteriaMet', 'CompletionsReached', message, now);
      } else if (acts) {
        status = this.#withSuspendCondition(view.job, status);
      }
    }
    status = { ...status, active: changes.active, ready: changes.ready, terminating: changes.terminating };
    await trackFinishedPods({
      context: this.#context,
      view: { ...view, job },
      status,
      finished,
      released,
      wrote: ({ metadata }) =>
        this.#written.set(key, { uid: metadata.uid ?? '', version: Number(metadata.resourceVersion) }),
    });
    if (changes.lookAgainMs !== undefined) this.#queue.addAfter(key, changes.lookAgainMs);
    const deadline = remainingActiveMs(view.job, now);
    if (deadline !== undefined && deadline > 0) this.#queue.addAfter(key, deadline);
    if (changes.error !== undefined) throw changes.error;
  }

  #withSuspendCondition(job: Job, status: JobStatus): JobStatus {
    const now = this.#context.now();
    const suspended = isSuspended(job);
    const condition: JobCondition = suspended
      ? newJobCondition('Suspended', 'JobSuspended', 'Job suspended', now)
      : newJobCondition('Suspended', 'JobResumed', 'Job resumed', now, 'False');
    const conditions = ensureJobCondition(status.conditions ?? [], condition);
    if (conditions === status.conditions || (conditions.length === 0 && status.conditions === undefined)) return status;
    const [reason, message] = suspended ? ['Suspended', 'Job suspended'] : ['Resumed', 'Job resumed'];
    this.#context.event(jobs, job, 'Normal', reason, message);
    // Time spent suspended does not count towards the deadline.
    return { ...status, conditions: [...conditions], ...(suspended ? {} : { startTime: formatTime(now) }) };
  }
}

function selects(job: Job, pod: Pod): boolean {
  return labelSelectorMatcher(job.spec.selector).matches(pod.metadata.labels);
}

function withStartTime(job: Job, now: Date): Job {
  if (job.status?.startTime !== undefined || isSuspended(job)) return job;
  return { ...job, status: { ...job.status, startTime: formatTime(now) } };
}

function viewCounts(view: JobView): PodChanges {
  const { ready, terminating } = view;
  return { active: view.active.length, ready, terminating, error: undefined, lookAgainMs: undefined };
}

function isDone({ job, succeeded }: JobView, active: number): boolean {
  if (active > 0) return false;
  return job.spec.completions === undefined ? succeeded > 0 : succeeded >= job.spec.completions;
}
