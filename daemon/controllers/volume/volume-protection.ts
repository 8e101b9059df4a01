import { isApiError } from '../../apimachinery/api-error.ts';
import { isPodTerminal } from '../../apimachinery/conditions.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../../apimachinery/types/core-v1.ts';
import { persistentvolumeclaims, persistentvolumes, pods } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { joinKey } from '../object-key.ts';
import { isTerminating } from '../workload/pod-state.ts';

export const claimFinalizer = 'kubernetes.io/pvc-protection';
export const volumeFinalizer = 'kubernetes.io/pv-protection';

/** Keeps claims that a pod uses, though they have been deleted, until no pod does. */
export function startClaimProtection(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('pvcprotection', workers, async (key) => {
    const claim = claims.lister.get(key);
    if (claim === undefined) return;
    await protect(context, persistentvolumeclaims, claim, claimFinalizer, () =>
      podInformer.lister.byIndex('claim', key).some(usesClaims),
    );
  });
  const enqueue = (claim: PersistentVolumeClaim): void => queue.add(keyOf(claim));
  const claims = context.watch(persistentvolumeclaims, { onAdd: enqueue, onUpdate: enqueue });
  const podChanged = (pod: Pod): void => {
    for (const key of claimKeys(pod)) queue.add(key);
  };
  const podInformer = context.watch(pods, { onUpdate: podChanged, onDelete: podChanged });
  podInformer.addIndex('claim', claimKeys);
}

/** Keeps volumes that are bound, though they have been deleted, until their claim is gone. */
export function startVolumeProtection(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('pvprotection', workers, async (key) => {
    const volume = volumes.lister.get(key);
    if (volume === undefined) return;
    await protect(context, persistentvolumes, volume, volumeFinalizer, () => volume.status?.phase === 'Bound');
  });
  const enqueue = (volume: PersistentVolume): void => queue.add(keyOf(volume));
  const volumes = context.watch(persistentvolumes, { onAdd: enqueue, onUpdate: enqueue });
}

async function protect<T extends KubernetesObject>(
  context: ControllerContext,
  resource: Resource<T>,
  object: T,
  finalizer: string,
  inUse: () => boolean,
): Promise<void> {
  const finalizers = object.metadata?.finalizers ?? [];
  const isHeld = finalizers.includes(finalizer);
  const hold = !isTerminating(object);
  if (isHeld === hold || (!hold && inUse())) return;
  const next = hold ? [...finalizers, finalizer] : finalizers.filter((entry) => entry !== finalizer);
  try {
    await context.client.update(resource, { ...object, metadata: { ...object.metadata, finalizers: next } });
  } catch (error) {
    if (!isApiError(error, 'NotFound')) throw error;
  }
}

function claimKeys(pod: Pod): string[] {
  return (pod.spec.volumes ?? []).flatMap((volume) => {
    const name =
      volume.persistentVolumeClaim?.claimName ??
      (volume.ephemeral === undefined ? undefined : `${pod.metadata.name}-${volume.name}`);
    return name === undefined ? [] : [joinKey(pod.metadata.namespace, name)];
  });
}

/** A pod that was never bound to a node, or has finished, holds no volume. */
function usesClaims(pod: Pod): boolean {
  return !isPodTerminal(pod) && (pod.spec.nodeName ?? '') !== '';
}
