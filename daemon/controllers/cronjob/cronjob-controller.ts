import { isApiError } from '../../apimachinery/api-error.ts';
import { stableStringify } from '../../apimachinery/hash.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import { controllerOf, isControlledBy, makeControllerReference } from '../../apimachinery/owner-reference.ts';
import { formatTime, parseTime } from '../../apimachinery/time.ts';
import type { CronJob, CronJobStatus, Job } from '../../apimachinery/types/batch-v1.ts';
import type { ObjectReference } from '../../apimachinery/types/core-v1.ts';
import { cronjobs, jobs } from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { WorkQueue } from '../../client/work-queue.ts';
import type { ControllerContext } from '../controller-context.ts';
import { isJobFinished, jobCondition } from '../job/job-conditions.ts';
import { joinKey, objectKey } from '../object-key.ts';
import { refersTo } from '../workload/owner-reference.ts';
import { isNamespaceTerminating, messageOf } from '../workload/pod-control.ts';
import { controlledBy, indexByController } from '../workload/pod-index.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { isTimeZone, missedTimes, parseSchedule, type Schedule, ScheduleError } from './schedule.ts';

const scheduledTimeAnnotation = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
/** Looked at this much after the hour strikes, so that clocks that differ a little agree that it has. */
const afterTheHourMs = 100;

export function startCronJobController(context: ControllerContext, workers: number): void {
  new CronJobController(context, workers);
}

class CronJobController {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;
  readonly #cronJobs: Informer<CronJob>;
  readonly #jobs: Informer<Job>;

  constructor(context: ControllerContext, workers: number) {
    this.#context = context;
    this.#queue = context.reconciler('cronjob', workers, (key) => this.#reconcile(key));
    const enqueue = (cronJob: CronJob): void => this.#queue.add(keyOf(cronJob));
    this.#cronJobs = context.watch(cronjobs, { onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
    const ownerChanged = (job: Job): void => {
      const reference = controllerOf(job);
      if (reference !== undefined && refersTo(reference, cronjobs)) {
        this.#queue.add(joinKey(job.metadata.namespace, reference.name));
      }
    };
    this.#jobs = context.watch(jobs, { onAdd: ownerChanged, onUpdate: ownerChanged, onDelete: ownerChanged });
    indexByController(this.#jobs);
  }

  async #reconcile(key: string): Promise<void> {
    const cronJob = this.#cronJobs.lister.get(key);
    if (cronJob === undefined) return;
    const children = controlledBy(this.#jobs, cronJob.metadata.uid ?? '');
    let status = await this.#countActive(cronJob, children);
    await this.#deleteHistory(cronJob, children);
    let wait: number | undefined;
    if (!isTerminating(cronJob) && cronJob.spec.suspend !== true) {
      const schedule = this.#schedule(cronJob);
      if (schedule !== undefined) {
        const started = await this.#startIfDue(cronJob, status, schedule);
        status = started.status;
        wait = this.#untilNext(cronJob, status, schedule);
      }
    }
    if (stableStringify(trimmed(status)) !== stableStringify(trimmed(cronJob.status ?? {}))) {
      await this.#context.client.update(cronjobs, { ...cronJob, status: trimmed(status) }, { subresource: 'status' });
    }
    if (wait !== undefined) this.#queue.addAfter(key, wait);
  }

  #event(cronJob: CronJob, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#context.event(cronjobs, cronJob, type, reason, message);
  }

  /** The status with the jobs that run now, and the time of the last success. */
  async #countActive(cronJob: CronJob, children: readonly Job[]): Promise<CronJobStatus> {
    let active = [...(cronJob.status?.active ?? [])];
    let lastSuccessfulTime = cronJob.status?.lastSuccessfulTime;
    const byUid = new Map(children.map((job) => [job.metadata.uid, job]));
    for (const job of children) {
      const listed = active.some((reference) => reference.uid === job.metadata.uid);
      const name = job.metadata.name ?? '';
      if (!isJobFinished(job)) {
        if (listed) continue;
        // Ours by its owner reference; only our record of it is missing, as after a crash between the two writes.
        if (parseTime(job.metadata.annotations?.[scheduledTimeAnnotation]) !== undefined) active.push(referenceTo(job));
        else
          this.#event(
            cronJob,
            'Warning',
            'UnexpectedJob',
            `Saw a job that the controller did not create or forgot: ${name}`,
          );
        continue;
      }
      const completed = jobCondition(job, 'Complete') === undefined ? undefined : job.status?.completionTime;
      if (completed !== undefined && (parseTime(completed) ?? 0) > (parseTime(lastSuccessfulTime) ?? 0)) {
        lastSuccessfulTime = completed;
      }
      if (!listed) continue;
      active = active.filter((reference) => reference.uid !== job.metadata.uid);
      const condition = jobCondition(job, 'Complete') === undefined ? 'Failed' : 'Complete';
      this.#event(cronJob, 'Normal', 'SawCompletedJob', `Saw completed job: ${name}, condition: ${condition}`);
    }
    for (const reference of active) {
      if (byUid.has(reference.uid) || !(await this.#isGone(reference))) continue;
      active = active.filter(({ uid }) => uid !== reference.uid);
      this.#event(cronJob, 'Normal', 'MissingJob', `Active job went missing: ${reference.name}`);
    }
    return {
      ...cronJob.status,
      active,
      ...(lastSuccessfulTime === undefined ? {} : { lastSuccessfulTime }),
    };
  }

  async #isGone(reference: ObjectReference): Promise<boolean> {
    const { namespace, name = '' } = reference;
    try {
      const job = await this.#context.client.get(jobs, { ...(namespace === undefined ? {} : { namespace }), name });
      return job.metadata.uid !== reference.uid;
    } catch (error) {
      if (isApiError(error, 'NotFound')) return true;
      throw error;
    }
  }

  async #deleteHistory(cronJob: CronJob, children: readonly Job[]): Promise<void> {
    const { successfulJobsHistoryLimit: successes, failedJobsHistoryLimit: failures } = cronJob.spec;
    const oldest = async (type: string, limit: number | undefined): Promise<void> => {
      if (limit === undefined) return;
      const finished = children.filter((job) => jobCondition(job, type) !== undefined && !isTerminating(job));
      finished.sort((a, b) => (startOf(a) < startOf(b) ? -1 : 1));
      for (const job of finished.slice(0, Math.max(0, finished.length - limit))) await this.#deleteJob(cronJob, job);
    };
    await oldest('Complete', successes ?? 3);
    await oldest('Failed', failures ?? 1);
  }

  async #deleteJob(cronJob: CronJob, job: Job): Promise<void> {
    const name = job.metadata.name ?? '';
    try {
      await this.#context.client.delete(jobs, objectKey(job), { propagationPolicy: 'Background' });
      this.#event(cronJob, 'Normal', 'SuccessfulDelete', `Deleted job ${name}`);
    } catch (error) {
      if (isApiError(error, 'NotFound')) return;
      this.#event(cronJob, 'Warning', 'FailedDelete', `Deleted job: ${messageOf(error)}`);
      throw error;
    }
  }

  #schedule(cronJob: CronJob): Schedule | undefined {
    const { timeZone, schedule } = cronJob.spec;
    if (timeZone !== undefined && !isTimeZone(timeZone)) {
      const message = `invalid timeZone: "${timeZone}": unknown time zone ${timeZone}`;
      this.#event(cronJob, 'Warning', 'UnknownTimeZone', message);
      return undefined;
    }
    try {
      return parseSchedule(schedule, timeZone);
    } catch (error) {
      if (!(error instanceof ScheduleError)) throw error;
      this.#event(cronJob, 'Warning', 'UnparseableSchedule', `unparseable schedule: "${schedule}" : ${error.message}`);
      return undefined;
    }
  }

  async #startIfDue(cronJob: CronJob, status: CronJobStatus, schedule: Schedule): Promise<{ status: CronJobStatus }> {
    const now = this.#context.now().getTime();
    const deadlineMs = deadlineOf(cronJob);
    const since = Math.max(lastTime(cronJob, status), deadlineMs === undefined ? 0 : now - deadlineMs);
    const { latest, tooMany } = missedTimes(schedule, since, now);
    if (tooMany) {
      const message = 'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew';
      this.#event(cronJob, 'Warning', 'TooManyMissedTimes', message);
    }
    if (latest === undefined) return { status };
    if (deadlineMs !== undefined && latest + deadlineMs < now) {
      const message = `Missed scheduled time to start a job: ${new Date(latest).toUTCString().replace('GMT', '+0000')}`;
      this.#event(cronJob, 'Warning', 'MissSchedule', message);
      return { status };
    }
    const name = jobName(cronJob, latest);
    const active = status.active ?? [];
    if (active.some((reference) => reference.name === name) || parseTime(status.lastScheduleTime) === latest) {
      return { status };
    }
    if (cronJob.spec.concurrencyPolicy === 'Forbid' && active.length > 0) {
      const message = 'Not starting job because prior execution is running and concurrency policy is Forbid';
      this.#event(cronJob, 'Normal', 'JobAlreadyActive', message);
      return { status };
    }
    let remaining = active;
    if (cronJob.spec.concurrencyPolicy === 'Replace') {
      for (const reference of active) {
        const job = this.#jobs.lister.get(joinKey(reference.namespace, reference.name ?? ''));
        if (job !== undefined) await this.#deleteJob(cronJob, job);
      }
      remaining = [];
    }
    const job = await this.#create(cronJob, latest);
    if (job === undefined) return { status };
    const lastScheduleTime = formatTime(new Date(latest));
    return { status: { ...status, active: [...remaining, referenceTo(job)], lastScheduleTime } };
  }

  async #create(cronJob: CronJob, scheduledAt: number): Promise<Job | undefined> {
    const wanted = newJob(cronJob, scheduledAt);
    try {
      const job = await this.#context.client.create(jobs, wanted);
      this.#event(cronJob, 'Normal', 'SuccessfulCreate', `Created job ${job.metadata.name}`);
      return job;
    } catch (error) {
      if (isNamespaceTerminating(error)) return undefined;
      if (isApiError(error, 'AlreadyExists')) {
        const existing = await this.#context.client.get(jobs, objectKey(wanted));
        // Made just before a crash: all that is missing is our record of it.
        if (isControlledBy(existing, cronJob)) return existing;
      }
      this.#event(cronJob, 'Warning', 'FailedCreate', `Error creating job: ${messageOf(error)}`);
      throw error;
    }
  }

  #untilNext(cronJob: CronJob, status: CronJobStatus, schedule: Schedule): number | undefined {
    const now = this.#context.now().getTime();
    const next = schedule.next(Math.max(now, lastTime(cronJob, status)));
    return next === undefined ? undefined : next - now + afterTheHourMs;
  }
}

function lastTime(cronJob: CronJob, status: CronJobStatus): number {
  return parseTime(status.lastScheduleTime) ?? parseTime(cronJob.metadata.creationTimestamp) ?? 0;
}

function deadlineOf(cronJob: CronJob): number | undefined {
  const seconds = cronJob.spec.startingDeadlineSeconds;
  return seconds === undefined ? undefined : seconds * 1000;
}

/** Minutes since the epoch make the name, so that one time is never started twice. */
function jobName(cronJob: CronJob, scheduledAt: number): string {
  return `${cronJob.metadata.name}-${Math.floor(scheduledAt / 60_000)}`;
}

function newJob(cronJob: CronJob, scheduledAt: number): Job {
  const { metadata, spec } = cronJob.spec.jobTemplate;
  const { namespace } = cronJob.metadata;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...(metadata?.labels === undefined ? {} : { labels: { ...metadata.labels } }),
      annotations: { ...metadata?.annotations, [scheduledTimeAnnotation]: formatTime(new Date(scheduledAt)) },
      name: jobName(cronJob, scheduledAt),
      ...(namespace === undefined ? {} : { namespace }),
      ownerReferences: [makeControllerReference(cronjobs, cronJob)],
    },
    spec: structuredClone(spec),
  };
}

function referenceTo(job: Job): ObjectReference {
  const { name = '', namespace, uid = '', resourceVersion } = job.metadata;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    name,
    ...(namespace === undefined ? {} : { namespace }),
    uid,
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

function startOf(job: Job): string {
  return job.status?.startTime ?? job.metadata.creationTimestamp ?? '';
}

function trimmed(status: CronJobStatus): CronJobStatus {
  const { active, ...rest } = status;
  return active === undefined || active.length === 0 ? rest : { active, ...rest };
}
