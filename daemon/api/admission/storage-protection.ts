import { tryParseQuantity, zeroQuantity } from '../../apimachinery/quantity.ts';
import type { PersistentVolumeClaim } from '../../apimachinery/types/core-v1.ts';
import type { StorageClass } from '../../apimachinery/types/storage-v1.ts';
import type { Registry } from '../registry/registry.ts';
import { forbidden } from '../status-errors.ts';
import type { AdmissionPlugin } from './admission.ts';

const finalizers: Readonly<Record<string, string>> = {
  persistentvolumeclaims: 'kubernetes.io/pvc-protection',
  persistentvolumes: 'kubernetes.io/pv-protection',
};

/** Claims and volumes stay, though deleted, while they are used: the controllers take the finalizers off. */
export const storageObjectInUse: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  operations: ['CREATE'],
  resources: Object.keys(finalizers),
  admit({ row, object, subresource }) {
    if (subresource !== '') return;
    const finalizer = finalizers[row.handle.resource]!;
    const metadata = object!.metadata!;
    if (metadata.finalizers?.includes(finalizer)) return;
    metadata.finalizers = [...(metadata.finalizers ?? []), finalizer];
  },
};

/** A claim grows only once it is bound, and only if its class knows how. */
export function claimResize(registry: () => Registry): AdmissionPlugin {
  return {
    name: 'PersistentVolumeClaimResize',
    operations: ['UPDATE'],
    resources: ['persistentvolumeclaims'],
    validate({ row, name, object, old, subresource }) {
      if (subresource !== '') return;
      const claim = object as PersistentVolumeClaim;
      const before = old as PersistentVolumeClaim;
      const size = ({ spec }: PersistentVolumeClaim) =>
        tryParseQuantity(spec.resources?.requests?.['storage'] ?? '0') ?? zeroQuantity;
      if (size(claim).compare(size(before)) <= 0) return;
      if (before.status?.phase !== 'Bound') {
        throw forbidden(row.handle, name, 'Only bound persistent volume claims can be expanded');
      }
      const className =
        claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? claim.spec.storageClassName ?? '';
      const classes = registry().require('storage.k8s.io', 'v1', 'storageclasses');
      const found = registry().objects.cached(classes, className)?.object as StorageClass | undefined;
      if (found?.allowVolumeExpansion === true) return;
      throw forbidden(
        row.handle,
        name,
        'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
      );
    },
  };
}
