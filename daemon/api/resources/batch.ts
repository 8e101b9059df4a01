import { cronjobs, jobs } from '../../apimachinery/types/resources.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';

/** The group batch, v1. */
export const batchRows: readonly ResourceRow[] = [
  defineRow(cronjobs, { shortNames: ['cj'], categories: ['all'], hasGeneration: true }),
  defineRow(jobs, { categories: ['all'], hasGeneration: true }),
];
