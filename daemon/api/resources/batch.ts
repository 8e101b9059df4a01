import { cronjobs, jobs } from '../../apimachinery/types/resources.ts';
import { defaultCronJob, defaultJob } from './defaults/workloads.ts';
import { defineRow } from './define-row.ts';
import { generateJobSelector } from './job-strategy.ts';
import type { ResourceRow } from './resource-row.ts';
import { jobFields } from './selectable-fields.ts';
import { keepSpec, keepStatus, separateStatus } from './status-separation.ts';

/** The group batch, v1. */
export const batchRows: readonly ResourceRow[] = [
  defineRow(cronjobs, {
    shortNames: ['cj'],
    categories: ['all'],
    hasGeneration: true,
    defaults: defaultCronJob,
    ...separateStatus({ initialStatus: () => ({}) }),
  }),
  defineRow(jobs, {
    categories: ['all'],
    hasGeneration: true,
    defaults: defaultJob,
    selectableFields: jobFields,
    prepareForCreate: (job) => {
      job.status = {};
      generateJobSelector(job);
    },
    prepareForUpdate: keepStatus,
    statusStrategy: { prepareForUpdate: keepSpec },
  }),
];
