import { makeControllerReference } from '../../apimachinery/owner-reference.ts';
import type { ControllerRevision, StatefulSet } from '../../apimachinery/types/apps-v1.ts';
import type { PersistentVolumeClaim, Pod } from '../../apimachinery/types/core-v1.ts';
import type { OwnerReference } from '../../apimachinery/types/meta-v1.ts';
import { statefulsets } from '../../apimachinery/types/resources.ts';
import { podFromTemplate } from '../workload/pod-control.ts';
import { templateOf } from '../workload/revision-history.ts';

export const revisionLabel = 'controller-revision-hash';
const podNameLabel = 'statefulset.kubernetes.io/pod-name';
const podIndexLabel = 'apps.kubernetes.io/pod-index';

export function startOrdinal(set: StatefulSet): number {
  return set.spec.ordinals?.start ?? 0;
}

export function endOrdinal(set: StatefulSet): number {
  return startOrdinal(set) + (set.spec.replicas ?? 1) - 1;
}

/** The ordinal in a pod's name, when it is a name of this set's. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const prefix = `${set.metadata.name}-`;
  const name = pod.metadata.name ?? '';
  const text = name.startsWith(prefix) ? name.slice(prefix.length) : '';
  return /^(0|[1-9]\d*)$/.test(text) ? Number(text) : undefined;
}

export function revisionOfPod(pod: Pod): string {
  return pod.metadata.labels?.[revisionLabel] ?? '';
}

/** The pod of an ordinal at a revision: its name, host name and claims are the same whichever node it runs on. */
export function statefulPod(set: StatefulSet, revision: ControllerRevision, ordinal: number): Pod {
  const pod = podFromTemplate(templateOf(revision), set, statefulsets);
  delete pod.metadata.generateName;
  pod.metadata.name = `${set.metadata.name}-${ordinal}`;
  pod.metadata.labels = { ...pod.metadata.labels, [revisionLabel]: revision.metadata.name ?? '' };
  pod.spec.hostname = pod.metadata.name;
  if (set.spec.serviceName !== undefined && set.spec.serviceName !== '') pod.spec.subdomain = set.spec.serviceName;
  return withIdentity(set, pod, ordinal);
}

/** The pod with the labels and volumes that make it this ordinal's: what an update by hand may have taken away. */
export function withIdentity(set: StatefulSet, pod: Pod, ordinal: number): Pod {
  const claimed = (set.spec.volumeClaimTemplates ?? []).map((claim) => ({
    name: claim.metadata.name ?? '',
    persistentVolumeClaim: { claimName: claimName(set, claim, ordinal) },
  }));
  const names = new Set(claimed.map(({ name }) => name));
  const others = (pod.spec.volumes ?? []).filter(({ name }) => !names.has(name));
  const volumes = [...claimed, ...others];
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata.labels,
        [podNameLabel]: pod.metadata.name ?? '',
        [podIndexLabel]: String(ordinal),
      },
    },
    spec: volumes.length === 0 ? pod.spec : { ...pod.spec, volumes },
  };
}

export function hasIdentity(set: StatefulSet, pod: Pod, ordinal: number): boolean {
  const { labels } = pod.metadata;
  if (labels?.[podNameLabel] !== pod.metadata.name || labels?.[podIndexLabel] !== String(ordinal)) return false;
  return (set.spec.volumeClaimTemplates ?? []).every((claim) =>
    pod.spec.volumes?.some(
      ({ name, persistentVolumeClaim }) =>
        name === claim.metadata.name && persistentVolumeClaim?.claimName === claimName(set, claim, ordinal),
    ),
  );
}

export function claimName(set: StatefulSet, template: PersistentVolumeClaim, ordinal: number): string {
  return `${template.metadata.name}-${set.metadata.name}-${ordinal}`;
}

/** The claims an ordinal needs, without owners: they outlive the pod unless the retention policy says otherwise. */
export function claimsOf(set: StatefulSet, ordinal: number): PersistentVolumeClaim[] {
  return (set.spec.volumeClaimTemplates ?? []).map((template) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      ...structuredClone(template.metadata),
      name: claimName(set, template, ordinal),
      ...(set.metadata.namespace === undefined ? {} : { namespace: set.metadata.namespace }),
      labels: { ...template.metadata.labels, ...set.spec.selector.matchLabels },
    },
    spec: structuredClone(template.spec),
  }));
}

/**
 * Owners of an ordinal's claims under the set's retention policy: the set when they go with it, the pod when they go with
 * scaling down and this ordinal is being scaled away.
 */
export function claimOwners(set: StatefulSet, ordinal: number, pod: Pod): OwnerReference[] {
  const { whenDeleted = 'Retain', whenScaled = 'Retain' } = set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  const condemned = ordinal < startOrdinal(set) || ordinal > endOrdinal(set);
  if (whenScaled === 'Delete' && condemned) {
    const { name = '', uid = '' } = pod.metadata;
    return [{ apiVersion: 'v1', kind: 'Pod', name, uid }];
  }
  return whenDeleted === 'Delete' ? [makeControllerReference(statefulsets, set)] : [];
}

/** References that the retention policy manages, and that are to be replaced by those above. */
export function isRetentionOwner(set: StatefulSet, podName: string, reference: OwnerReference): boolean {
  return (
    (reference.kind === 'StatefulSet' && reference.uid === set.metadata.uid) ||
    (reference.kind === 'Pod' && reference.name === podName)
  );
}
