import { join } from 'node:path';
import type { PersistentVolume, PersistentVolumeClaim } from '../../apimachinery/types/core-v1.ts';
import type { StorageClass } from '../../apimachinery/types/storage-v1.ts';
import { classOf, provisionedBy, selectedNode } from './volume-match.ts';

/** StorageClasses with this provisioner get directories on the node that their first pod runs on. */
export const localPathProvisioner = 'balsa.io/local-path';

/**
 * The volume for a claim: a directory of its own on the chosen node, made by the kubelet when it is first mounted. The
 * class's parameter `path` overrides where. Undefined while no node has been chosen: the class must wait for one.
 */
export function localPathVolume(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  directory: string,
): PersistentVolume | undefined {
  const node = claim.metadata.annotations?.[selectedNode];
  if (node === undefined) return undefined;
  const { namespace = '', name = '', uid = '' } = claim.metadata;
  const volumeName = `pvc-${uid}`;
  const parent = storageClass.parameters?.['path'] ?? directory;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: volumeName, annotations: { [provisionedBy]: localPathProvisioner } },
    spec: {
      capacity: { storage: claim.spec.resources?.requests?.['storage'] ?? '0' },
      accessModes: claim.spec.accessModes ?? [],
      volumeMode: claim.spec.volumeMode ?? 'Filesystem',
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: classOf(claim),
      ...(storageClass.mountOptions === undefined ? {} : { mountOptions: storageClass.mountOptions }),
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
      hostPath: { path: join(parent, `${volumeName}_${namespace}_${name}`), type: 'DirectoryOrCreate' },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
          ],
        },
      },
    },
  };
}
