import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import { parseQuantity } from '../../apimachinery/quantity.ts';
import type { ObjectReference, PersistentVolume, PersistentVolumeClaim } from '../../apimachinery/types/core-v1.ts';
import { isTerminating } from '../workload/pod-state.ts';

export const bindCompleted = 'pv.kubernetes.io/bind-completed';
export const boundByController = 'pv.kubernetes.io/bound-by-controller';
export const provisionedBy = 'pv.kubernetes.io/provisioned-by';
export const selectedNode = 'volume.kubernetes.io/selected-node';
export const storageProvisioner = 'volume.kubernetes.io/storage-provisioner';
const classAnnotation = 'volume.beta.kubernetes.io/storage-class';

/** Class of a volume or claim; the annotation is the older form. */
export function classOf({ metadata, spec }: PersistentVolume | PersistentVolumeClaim): string {
  return metadata.annotations?.[classAnnotation] ?? spec?.storageClassName ?? '';
}

/** The volume is kept for this claim: by name alone while the claim has not been seen, by uid from then on. */
export function isReservedFor(reference: ObjectReference | undefined, claim: PersistentVolumeClaim): boolean {
  if (reference === undefined) return false;
  if (reference.name !== claim.metadata.name || reference.namespace !== claim.metadata.namespace) return false;
  return reference.uid === undefined || reference.uid === '' || reference.uid === claim.metadata.uid;
}

/**
 * The volume to bind a claim to: the one that is reserved for it, else the smallest that has what it asks for. A claim that
 * waits for its pod to be scheduled takes only what is reserved.
 */
export function findVolume(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
  reservedOnly: boolean,
): PersistentVolume | undefined {
  const wanted = parseQuantity(claim.spec.resources?.requests?.['storage'] ?? '0');
  let best: PersistentVolume | undefined;
  for (const volume of volumes) {
    const { claimRef, capacity, accessModes = [], volumeMode = 'Filesystem' } = volume.spec ?? {};
    if (isTerminating(volume) || volumeMode !== (claim.spec.volumeMode ?? 'Filesystem')) continue;
    const size = parseQuantity(capacity?.['storage'] ?? '0');
    if (isReservedFor(claimRef, claim)) {
      if (size.compare(wanted) >= 0) return volume;
      continue;
    }
    if (reservedOnly || claimRef !== undefined || (volume.status?.phase ?? 'Available') !== 'Available') continue;
    if (classOf(volume) !== classOf(claim) || size.compare(wanted) < 0) continue;
    if (!(claim.spec.accessModes ?? []).every((mode) => accessModes.includes(mode))) continue;
    if (
      claim.spec.selector !== undefined &&
      !labelSelectorMatcher(claim.spec.selector).matches(volume.metadata.labels)
    ) {
      continue;
    }
    if (best === undefined || size.compare(parseQuantity(best.spec?.capacity?.['storage'] ?? '0')) < 0) best = volume;
  }
  return best;
}
