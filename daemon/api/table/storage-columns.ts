import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from '../../apimachinery/types/storage-v1.ts';
import type { Column } from '../resources/resource-row.ts';
import { ageColumn, integer, nameColumn, text } from './column.ts';

const defaultAnnotations = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

function flag<T>(name: string, cell: (object: T) => boolean): Column<T> {
  return { name, type: 'boolean', priority: 0, cell };
}

export const storageClassColumns: readonly Column<StorageClass>[] = [
  {
    ...nameColumn,
    cell: ({ metadata }) => {
      const isDefault = defaultAnnotations.some((annotation) => metadata?.annotations?.[annotation] === 'true');
      return isDefault ? `${metadata?.name} (default)` : (metadata?.name ?? '');
    },
  },
  text('Provisioner', ({ provisioner }) => provisioner),
  text('ReclaimPolicy', ({ reclaimPolicy }) => reclaimPolicy ?? 'Delete'),
  text('VolumeBindingMode', ({ volumeBindingMode }) => volumeBindingMode ?? 'Immediate'),
  flag('AllowVolumeExpansion', ({ allowVolumeExpansion }) => allowVolumeExpansion ?? false),
  ageColumn,
];

export const volumeAttributesClassColumns: readonly Column<VolumeAttributesClass>[] = [
  nameColumn,
  text('DriverName', ({ driverName }) => driverName),
  ageColumn,
];

export const volumeAttachmentColumns: readonly Column<VolumeAttachment>[] = [
  nameColumn,
  text('Attacher', ({ spec }) => spec.attacher),
  text('PV', ({ spec }) => spec.source.persistentVolumeName ?? ''),
  text('Node', ({ spec }) => spec.nodeName),
  flag('Attached', ({ status }) => status?.attached ?? false),
  ageColumn,
];

export const csiDriverColumns: readonly Column<CSIDriver>[] = [
  nameColumn,
  flag('AttachRequired', ({ spec }) => spec.attachRequired ?? true),
  flag('PodInfoOnMount', ({ spec }) => spec.podInfoOnMount ?? false),
  flag('StorageCapacity', ({ spec }) => spec.storageCapacity ?? false),
  text(
    'TokenRequests',
    ({ spec }) => (spec.tokenRequests ?? []).map(({ audience }) => audience).join(',') || '<unset>',
  ),
  flag('RequiresRepublish', ({ spec }) => spec.requiresRepublish ?? false),
  text('Modes', ({ spec }) => (spec.volumeLifecycleModes ?? []).join(',') || '<none>'),
  ageColumn,
];

export const csiNodeColumns: readonly Column<CSINode>[] = [
  nameColumn,
  integer('Drivers', ({ spec }) => spec?.drivers?.length ?? 0),
  ageColumn,
];

export const csiStorageCapacityColumns: readonly Column<CSIStorageCapacity>[] = [
  nameColumn,
  text('StorageClassName', ({ storageClassName }) => storageClassName),
  text('Capacity', ({ capacity }) => capacity ?? '<unset>'),
];
