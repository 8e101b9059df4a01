import {
  csidrivers,
  csinodes,
  csistoragecapacities,
  storageclasses,
  volumeattachments,
  volumeattributesclasses,
} from '../../apimachinery/types/resources.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';

/** The group storage.k8s.io, v1. */
export const storageRows: readonly ResourceRow[] = [
  defineRow(csidrivers, { hasGeneration: true, allowUnconditionalUpdate: false }),
  defineRow(csinodes, { allowUnconditionalUpdate: false }),
  defineRow(csistoragecapacities, { allowUnconditionalUpdate: false }),
  defineRow(storageclasses, { shortNames: ['sc'] }),
  defineRow(volumeattachments, { allowUnconditionalUpdate: false }),
  defineRow(volumeattributesclasses, { shortNames: ['vac'] }),
];
