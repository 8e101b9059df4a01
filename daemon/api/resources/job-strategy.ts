import type { Job } from '../../apimachinery/types/batch-v1.ts';

/** Labels that tie pods to their Job, under the group's prefix and, for older readers, bare. */
const controllerUid = 'controller-uid';
const jobName = 'job-name';
const prefix = 'batch.kubernetes.io/';

/**
 * Unless the user manages the selector, a Job selects its pods by its own uid, so the uid must be there before this runs.
 * A value the user has set stays, for validation to refuse.
 */
export function generateJobSelector(job: Job): void {
  if (job.spec.manualSelector === true) return;
  const { name = '', uid = '' } = job.metadata;
  job.spec.template.metadata ??= {};
  job.spec.template.metadata.labels ??= {};
  const { labels } = job.spec.template.metadata;
  for (const [key, value] of [
    [jobName, name],
    [controllerUid, uid],
  ] as const) {
    labels[key] ??= value;
    labels[prefix + key] ??= value;
  }
  job.spec.selector ??= {};
  job.spec.selector.matchLabels ??= {};
  job.spec.selector.matchLabels[prefix + controllerUid] ??= uid;
}
