import type { CSIDriver, StorageClass, VolumeAttachment } from '../../../apimachinery/types/storage-v1.ts';

export function defaultStorageClass(storageClass: StorageClass): void {
  storageClass.reclaimPolicy ??= 'Delete';
  storageClass.volumeBindingMode ??= 'Immediate';
}

export function defaultCsiDriver(driver: CSIDriver): void {
  driver.spec ??= {};
  const { spec } = driver;
  spec.attachRequired ??= true;
  spec.podInfoOnMount ??= false;
  spec.storageCapacity ??= false;
  spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
  if (spec.volumeLifecycleModes === undefined || spec.volumeLifecycleModes.length === 0) {
    spec.volumeLifecycleModes = ['Persistent'];
  }
  spec.requiresRepublish ??= false;
  spec.seLinuxMount ??= false;
}

export function defaultVolumeAttachment(attachment: VolumeAttachment): void {
  attachment.spec ??= { attacher: '', nodeName: '', source: {} };
  attachment.status ??= { attached: false };
}
