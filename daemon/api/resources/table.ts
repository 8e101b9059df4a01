import { admissionregistrationRows } from './admissionregistration.ts';
import { appsRows } from './apps.ts';
import { autoscalingRows } from './autoscaling.ts';
import { batchRows } from './batch.ts';
import { coreRows } from './core.ts';
import { networkingRows } from './networking.ts';
import { platformRows } from './platform.ts';
import { rbacRows } from './rbac.ts';
import type { ResourceRow } from './resource-row.ts';
import { storageRows } from './storage.ts';

/** Every built-in kind that is stored, in each version it is served in. */
export const resourceRows: readonly ResourceRow[] = [
  ...coreRows,
  ...appsRows,
  ...autoscalingRows,
  ...batchRows,
  ...networkingRows,
  ...rbacRows,
  ...storageRows,
  ...admissionregistrationRows,
  ...platformRows,
];
