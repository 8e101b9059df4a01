import type {
  DownwardAPIVolumeFile,
  HostPathVolumeSource,
  ISCSIVolumeSource,
  PersistentVolumeClaimSpec,
  ProjectedVolumeSource,
  Volume,
} from '../../../apimachinery/types/core-v1.ts';
import { defaultPullPolicy } from './image-reference.ts';

/** Mode 0644. */
const defaultFileMode = 0o644;

/** Sources that pods and persistent volumes share, with the fields both have. */
interface SharedSources {
  azureDisk?: { cachingMode?: string; kind?: string; fsType?: string; readOnly?: boolean };
  hostPath?: HostPathVolumeSource;
  iscsi?: Pick<ISCSIVolumeSource, 'iscsiInterface'>;
  rbd?: { pool?: string; user?: string; keyring?: string };
  scaleIO?: { storageMode?: string; fsType?: string };
}

export function defaultSharedSources(source: SharedSources): void {
  if (source.hostPath !== undefined) source.hostPath.type ??= '';
  if (source.iscsi !== undefined) source.iscsi.iscsiInterface ||= 'default';
  if (source.rbd !== undefined) {
    source.rbd.pool ||= 'rbd';
    source.rbd.user ||= 'admin';
    source.rbd.keyring ||= '/etc/ceph/keyring';
  }
  if (source.azureDisk !== undefined) {
    source.azureDisk.cachingMode ??= 'ReadWrite';
    source.azureDisk.kind ??= 'Shared';
    source.azureDisk.fsType ??= 'ext4';
    source.azureDisk.readOnly ??= false;
  }
  if (source.scaleIO !== undefined) {
    source.scaleIO.storageMode ||= 'ThinProvisioned';
    source.scaleIO.fsType ||= 'xfs';
  }
}

function defaultDownwardItems(items: readonly DownwardAPIVolumeFile[] | undefined): void {
  if (items === undefined) return;
  for (const item of items) {
    if (item.fieldRef !== undefined) item.fieldRef.apiVersion ||= 'v1';
    if (item.resourceFieldRef !== undefined) item.resourceFieldRef.divisor ??= '0';
  }
}

function defaultProjected(projected: ProjectedVolumeSource): void {
  projected.defaultMode ??= defaultFileMode;
  for (const source of projected.sources ?? []) {
    if (source.serviceAccountToken !== undefined) source.serviceAccountToken.expirationSeconds ??= 3600;
    defaultDownwardItems(source.downwardAPI?.items);
  }
}

export function defaultClaimSpec(spec: PersistentVolumeClaimSpec): void {
  spec.volumeMode ??= 'Filesystem';
  spec.resources ??= {};
}

/** A volume with no source is an emptyDir. */
export function defaultVolume(volume: Volume): void {
  let hasSource = false;
  for (const field in volume) if (field !== 'name') hasSource = true;
  if (!hasSource) volume.emptyDir = {};
  if (volume.secret !== undefined) volume.secret.defaultMode ??= defaultFileMode;
  else if (volume.configMap !== undefined) volume.configMap.defaultMode ??= defaultFileMode;
  else if (volume.projected !== undefined) defaultProjected(volume.projected);
  else if (volume.downwardAPI !== undefined) {
    volume.downwardAPI.defaultMode ??= defaultFileMode;
    defaultDownwardItems(volume.downwardAPI.items);
  } else if (volume.ephemeral?.volumeClaimTemplate !== undefined) {
    volume.ephemeral.volumeClaimTemplate.metadata ??= {};
    volume.ephemeral.volumeClaimTemplate.spec ??= {};
    defaultClaimSpec(volume.ephemeral.volumeClaimTemplate.spec);
  } else if (volume.image !== undefined) {
    volume.image.pullPolicy ||= defaultPullPolicy(volume.image.reference ?? '');
  } else defaultSharedSources(volume);
}
