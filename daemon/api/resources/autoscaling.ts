import { horizontalpodautoscalers, horizontalpodautoscalersV1 } from '../../apimachinery/types/resources.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';

/** The group autoscaling: v2, which is stored, and v1, a view of it. */
export const autoscalingRows: readonly ResourceRow[] = [
  defineRow(horizontalpodautoscalers, { shortNames: ['hpa'], categories: ['all'] }),
  defineRow(horizontalpodautoscalersV1, { shortNames: ['hpa'], categories: ['all'] }),
];
