import { isApiError } from '../../apimachinery/api-error.ts';
import { keyOf, splitKey } from '../../apimachinery/object-key.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type { Job } from '../../apimachinery/types/batch-v1.ts';
import { jobs } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { jobCondition } from './job-conditions.ts';

/** Deletes finished Jobs, and with them their pods, `ttlSecondsAfterFinished` after their end. */
export function startTtlAfterFinishedController(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('ttl_jobs_to_delete', workers, async (key) => {
    const cached = informer.lister.get(key);
    if (cached === undefined) return;
    const wait = remainingMs(cached, context.now());
    if (wait === undefined) return;
    if (wait > 0) {
      queue.addAfter(key, wait);
      return;
    }
    try {
      // Asked for once more: the time to live may have been made longer.
      const fresh = await context.client.get(jobs, splitKey(key));
      const left = remainingMs(fresh, context.now());
      if (left === undefined || left > 0) return;
      await context.client.delete(jobs, splitKey(key), {
        propagationPolicy: 'Foreground',
        ...(fresh.metadata.uid === undefined ? {} : { preconditions: { uid: fresh.metadata.uid } }),
      });
    } catch (error) {
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error;
    }
  });
  const changed = (job: Job): void => {
    if (remainingMs(job, context.now()) !== undefined) queue.add(keyOf(job));
  };
  const informer = context.watch(jobs, { onAdd: changed, onUpdate: changed });
}

/** Until the Job is to go; undefined when it is not finished, has no time to live or goes already. */
function remainingMs(job: Job, now: Date): number | undefined {
  const ttl = job.spec.ttlSecondsAfterFinished;
  const condition = jobCondition(job, 'Complete') ?? jobCondition(job, 'Failed');
  const finishedAt = parseTime(condition?.lastTransitionTime);
  if (ttl === undefined || finishedAt === undefined || isTerminating(job)) return undefined;
  return finishedAt + ttl * 1000 - now.getTime();
}
