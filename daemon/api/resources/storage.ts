import {
  csidrivers,
  csinodes,
  csistoragecapacities,
  storageclasses,
  volumeattachments,
  volumeattributesclasses,
} from '../../apimachinery/types/resources.ts';
import { defaultCsiDriver, defaultStorageClass, defaultVolumeAttachment } from './defaults/storage.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';
import { separateStatus } from './status-separation.ts';

/** The group storage.k8s.io, v1. */
export const storageRows: readonly ResourceRow[] = [
  defineRow(csidrivers, { hasGeneration: true, allowUnconditionalUpdate: false, defaults: defaultCsiDriver }),
  defineRow(csinodes, { allowUnconditionalUpdate: false }),
  defineRow(csistoragecapacities, { allowUnconditionalUpdate: false }),
  defineRow(storageclasses, { shortNames: ['sc'], defaults: defaultStorageClass }),
  defineRow(volumeattachments, {
    allowUnconditionalUpdate: false,
    defaults: defaultVolumeAttachment,
    ...separateStatus({ initialStatus: () => ({ attached: false }) }),
  }),
  defineRow(volumeattributesclasses, { shortNames: ['vac'] }),
];
