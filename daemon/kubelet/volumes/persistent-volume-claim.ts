import { mkdir } from 'node:fs/promises';
import { checkHostPath } from './host-path.ts';
import { applyFsGroup } from './ownership.ts';
import type { VolumePlugin, VolumeRequest } from './plugin.ts';

/** A generic ephemeral volume is a claim of its own, named after pod and volume. */
function claimName({ pod, volume }: VolumeRequest): string {
  return volume.persistentVolumeClaim?.claimName ?? `${pod.metadata?.name}-${volume.name}`;
}

/** Claims bound to volumes that are directories of this node: `hostPath` and `local`. */
export const persistentVolumeClaim: VolumePlugin = {
  name: 'kubernetes.io/local-volume',
  handles: (volume) => volume.persistentVolumeClaim !== undefined || volume.ephemeral !== undefined,
  async setUp(request) {
    const { pod, volume, sources } = request;
    const namespace = pod.metadata?.namespace ?? '';
    const claim = await sources.claim(namespace, claimName(request));
    if (volume.ephemeral !== undefined) {
      const owner = claim.metadata?.ownerReferences?.find((reference) => reference.controller === true);
      if (owner?.uid !== pod.metadata?.uid)
        throw new Error(
          `PVC ${namespace}/${claim.metadata?.name} was not created for pod ${namespace}/${pod.metadata?.name} (pod is not owner)`,
        );
    }
    if (claim.status?.phase !== 'Bound' || claim.spec?.volumeName === undefined)
      throw new Error(
        `PVC ${namespace}/${claim.metadata?.name} has non-bound phase ("${claim.status?.phase ?? ''}") or empty pvc.Spec.VolumeName ("${claim.spec?.volumeName ?? ''}")`,
      );
    const persistent = await sources.volume(claim.spec.volumeName);
    const { hostPath, local, claimRef } = persistent.spec ?? {};
    if (claimRef?.uid !== undefined && claimRef.uid !== claim.metadata?.uid)
      throw new Error(`PV ${JSON.stringify(persistent.metadata?.name)} is bound to another claim`);
    const path = hostPath?.path ?? local?.path;
    if (path === undefined) throw new Error(`no volume plugin matched for PV ${persistent.metadata?.name}`);
    if (hostPath !== undefined) await checkHostPath(path, hostPath.type ?? '');
    else await checkHostPath(path, 'Directory');
    if (hostPath !== undefined && (hostPath.type ?? '') === '') await mkdir(path, { recursive: true });
    const readOnly = volume.persistentVolumeClaim?.readOnly ?? false;
    if (local !== undefined) await applyFsGroup(pod, path, readOnly);
    return { path, readOnly };
  },
  // The data outlives the pod.
  tearDown: async () => {},
};
