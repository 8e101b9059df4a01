import { formatTime } from '../../apimachinery/time.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../apimachinery/types/core-v1.ts';
import type { WriteContext } from './resource-row.ts';

const snapshotGroup = 'snapshot.storage.k8s.io';

/** `dataSource` and `dataSourceRef` say the same where both can. */
export function normalizeDataSources(claim: PersistentVolumeClaim): void {
  const { spec } = claim;
  const { dataSource, dataSourceRef } = spec;
  if (dataSource !== undefined && dataSourceRef === undefined) {
    spec.dataSourceRef = { ...dataSource };
  } else if (dataSource === undefined && dataSourceRef !== undefined && !dataSourceRef.namespace) {
    const { apiGroup, kind, name } = dataSourceRef;
    const isClaim = !apiGroup && kind === 'PersistentVolumeClaim';
    const isSnapshot = apiGroup === snapshotGroup && kind === 'VolumeSnapshot';
    if (isClaim || isSnapshot) spec.dataSource = { ...(apiGroup === undefined ? {} : { apiGroup }), kind, name };
  }
}

export function preparePersistentVolumeStatus(volume: PersistentVolume, old: PersistentVolume, context: WriteContext) {
  if (volume.status === undefined || volume.status.phase === old.status?.phase) return;
  volume.status.lastPhaseTransitionTime = formatTime(context.now);
}
