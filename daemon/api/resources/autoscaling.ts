import { horizontalpodautoscalers, horizontalpodautoscalersV1 } from '../../apimachinery/types/resources.ts';
import { autoscalersStoredAsV2 } from './autoscaler-storage.ts';
import { defaultAutoscaler, defaultAutoscalerV1 } from './defaults/autoscaling.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';
import { separateStatus } from './status-separation.ts';

/** The group autoscaling: v2, which is stored, and v1, a view of it. */
export const autoscalingRows: readonly ResourceRow[] = [
  defineRow(horizontalpodautoscalers, {
    shortNames: ['hpa'],
    categories: ['all'],
    defaults: defaultAutoscaler,
    ...separateStatus({ initialStatus: () => ({ desiredReplicas: 0, currentMetrics: null }) }),
  }),
  defineRow(horizontalpodautoscalersV1, {
    shortNames: ['hpa'],
    categories: ['all'],
    stored: autoscalersStoredAsV2,
    defaults: defaultAutoscalerV1,
    ...separateStatus({ initialStatus: () => ({ currentReplicas: 0, desiredReplicas: 0 }) }),
  }),
];
