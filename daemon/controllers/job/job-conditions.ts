import { formatTime } from '../../apimachinery/time.ts';
import type { Job, JobCondition } from '../../apimachinery/types/batch-v1.ts';

export function newJobCondition(
  type: string,
  reason: string,
  message: string,
  now: Date,
  status = 'True',
): JobCondition {
  const time = formatTime(now);
  return { type, status, reason, message, lastProbeTime: time, lastTransitionTime: time };
}

export function jobCondition(job: Job, type: string): JobCondition | undefined {
  return job.status?.conditions?.find((condition) => condition.type === type && condition.status === 'True');
}

export function isJobFinished(job: Job): boolean {
  return jobCondition(job, 'Complete') !== undefined || jobCondition(job, 'Failed') !== undefined;
}

/**
 * Adds or replaces a condition; the same array comes back when nothing changes. One that was never there is not added as
 * False: from nothing to False says nothing.
 */
export function ensureJobCondition(conditions: readonly JobCondition[], wanted: JobCondition): readonly JobCondition[] {
  const index = conditions.findIndex((condition) => condition.type === wanted.type);
  const current = conditions[index];
  if (current === undefined) return wanted.status === 'False' ? conditions : [...conditions, wanted];
  if (current.status === wanted.status && current.reason === wanted.reason && current.message === wanted.message) {
    return conditions;
  }
  return conditions.map((condition, i) => (i === index ? wanted : condition));
}
