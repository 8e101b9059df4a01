import type {
  ComponentStatus,
  ConfigMap,
  Event,
  LimitRange,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  ResourceQuota,
  Secret,
  ServiceAccount,
} from '../../apimachinery/types/core-v1.ts';
import type { Event as GroupEvent } from '../../apimachinery/types/events-v1.ts';
import type { Column } from '../resources/resource-row.ts';
import { ageColumn, createdAtColumn, integer, nameColumn, orNone, since, text } from './column.ts';

const count = (map: object | undefined) => (map === undefined ? 0 : Object.keys(map).length);

export const configMapColumns: readonly Column<ConfigMap>[] = [
  nameColumn,
  integer('Data', ({ data, binaryData }) => count(data) + count(binaryData)),
  ageColumn,
];

export const secretColumns: readonly Column<Secret>[] = [
  nameColumn,
  text('Type', ({ type }) => type ?? ''),
  integer('Data', ({ data }) => count(data)),
  ageColumn,
];

export const serviceAccountColumns: readonly Column<ServiceAccount>[] = [
  nameColumn,
  integer('Secrets', ({ secrets }) => secrets?.length ?? 0),
  ageColumn,
];

export const namespaceColumns: readonly Column<Namespace>[] = [
  nameColumn,
  text('Status', ({ status }) => status?.phase ?? ''),
  ageColumn,
];

export const limitRangeColumns: readonly Column<LimitRange>[] = [nameColumn, createdAtColumn];

const nodeRolePrefix = 'node-role.kubernetes.io/';

function nodeStatus({ spec, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const words = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'];
  if (spec.unschedulable === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function nodeRoles({ metadata }: Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (key.startsWith(nodeRolePrefix) && key.length > nodeRolePrefix.length)
      roles.add(key.slice(nodeRolePrefix.length));
    else if (key === 'kubernetes.io/role' && value !== '') roles.add(value);
  }
  return roles.size === 0 ? '<none>' : [...roles].sort().join(',');
}

const nodeAddress = ({ status }: Node, type: string) =>
  orNone(status?.addresses?.find((address) => address.type === type)?.address);
const orUnknown = (value: string | undefined) => value || '<unknown>';

export const nodeColumns: readonly Column<Node>[] = [
  nameColumn,
  text('Status', nodeStatus),
  text('Roles', nodeRoles),
  ageColumn,
  text('Version', ({ status }) => status?.nodeInfo?.kubeletVersion ?? ''),
  text('Internal-IP', (node) => nodeAddress(node, 'InternalIP'), true),
  text('External-IP', (node) => nodeAddress(node, 'ExternalIP'), true),
  text('OS-Image', ({ status }) => orUnknown(status?.nodeInfo?.osImage), true),
  text('Kernel-Version', ({ status }) => orUnknown(status?.nodeInfo?.kernelVersion), true),
  text('Container-Runtime', ({ status }) => orUnknown(status?.nodeInfo?.containerRuntimeVersion), true),
];

const shortModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

/** `RWO,ROX,RWX,RWOP`, always in this order. */
function accessModes(modes: readonly string[] | undefined): string {
  return Object.entries(shortModes)
    .filter(([mode]) => modes?.includes(mode))
    .map(([, short]) => short)
    .join(',');
}

const classAnnotation = 'volume.beta.kubernetes.io/storage-class';

export const persistentVolumeColumns: readonly Column<PersistentVolume>[] = [
  nameColumn,
  text('Capacity', ({ spec }) => spec.capacity?.['storage'] ?? '0'),
  text('Access Modes', ({ spec }) => accessModes(spec.accessModes)),
  text('Reclaim Policy', ({ spec }) => spec.persistentVolumeReclaimPolicy ?? ''),
  text('Status', ({ metadata, status }) =>
    metadata.deletionTimestamp !== undefined ? 'Terminating' : (status?.phase ?? ''),
  ),
  text('Claim', ({ spec }) =>
    spec.claimRef === undefined ? '' : `${spec.claimRef.namespace ?? ''}/${spec.claimRef.name ?? ''}`,
  ),
  text('StorageClass', ({ metadata, spec }) => metadata.annotations?.[classAnnotation] ?? spec.storageClassName ?? ''),
  text('VolumeAttributesClass', ({ spec }) => spec.volumeAttributesClassName ?? '<unset>'),
  text('Reason', ({ status }) => status?.reason ?? ''),
  ageColumn,
  text('VolumeMode', ({ spec }) => spec.volumeMode ?? '<unset>', true),
];

export const persistentVolumeClaimColumns: readonly Column<PersistentVolumeClaim>[] = [
  nameColumn,
  text('Status', ({ metadata, status }) =>
    metadata.deletionTimestamp !== undefined ? 'Terminating' : (status?.phase ?? ''),
  ),
  text('Volume', ({ spec }) => spec.volumeName ?? ''),
  text('Capacity', ({ spec, status }) => (spec.volumeName ? (status?.capacity?.['storage'] ?? '0') : '')),
  text('Access Modes', ({ spec, status }) => (spec.volumeName ? accessModes(status?.accessModes) : '')),
  text('StorageClass', ({ metadata, spec }) => metadata.annotations?.[classAnnotation] ?? spec.storageClassName ?? ''),
  text('VolumeAttributesClass', ({ spec }) => spec.volumeAttributesClassName ?? '<unset>'),
  ageColumn,
  text('VolumeMode', ({ spec }) => spec.volumeMode ?? '<unset>', true),
];

function quotaText(quota: ResourceQuota, wanted: (resource: string) => boolean): string {
  const { hard = {}, used = {} } = quota.status ?? {};
  return Object.keys(hard)
    .filter(wanted)
    .sort()
    .map((resource) => `${resource}: ${used[resource] ?? '0'}/${hard[resource]}`)
    .join(', ');
}

export const resourceQuotaColumns: readonly Column<ResourceQuota>[] = [
  nameColumn,
  text('Request', (quota) => quotaText(quota, (resource) => !resource.startsWith('limits'))),
  text('Limit', (quota) => quotaText(quota, (resource) => resource.startsWith('limits'))),
  ageColumn,
];

/** What the two groups' events have in common, under the core group's names. */
interface EventView {
  readonly event: Pick<Event, 'metadata' | 'type' | 'reason' | 'series' | 'eventTime' | 'involvedObject' | 'source'>;
  readonly message: string;
  readonly first: string | undefined;
  readonly last: string | undefined;
  readonly count: number;
  readonly component: string;
  readonly instance: string;
}

function eventColumns<T>(view: (event: T) => EventView): Column<T>[] {
  const firstSeen = ({ event, first }: EventView, now: Date) => since(first ?? event.eventTime, now);
  return [
    text('Last Seen', (object, now) => {
      const seen = view(object);
      const last = seen.event.series?.lastObservedTime ?? seen.last;
      return last === undefined ? firstSeen(seen, now) : since(last, now);
    }),
    text('Type', (object) => view(object).event.type ?? ''),
    text('Reason', (object) => view(object).event.reason ?? ''),
    text('Object', (object) => {
      const { kind = '', name } = view(object).event.involvedObject;
      return name ? `${kind.toLowerCase()}/${name}` : kind.toLowerCase();
    }),
    text('Subobject', (object) => view(object).event.involvedObject.fieldPath ?? '', true),
    text(
      'Source',
      (object) => {
        const { event, component, instance } = view(object);
        const [who, where] = event.source?.component
          ? [event.source.component, event.source.host ?? '']
          : [component, instance];
        return where === '' ? who : `${who}, ${where}`;
      },
      true,
    ),
    text('Message', (object) => view(object).message.trim()),
    text('First Seen', (object, now) => firstSeen(view(object), now), true),
    text('Count', (object) => String(view(object).event.series?.count ?? (view(object).count || 1)), true),
    { ...nameColumn, priority: 1, cell: (object) => view(object).event.metadata.name ?? '' },
  ];
}

export const coreEventColumns: readonly Column<Event>[] = eventColumns<Event>((event) => ({
  event,
  message: event.message ?? '',
  first: event.firstTimestamp ?? undefined,
  last: event.lastTimestamp ?? undefined,
  count: event.count ?? 0,
  component: event.reportingComponent ?? '',
  instance: event.reportingInstance ?? '',
}));

export const groupEventColumns: readonly Column<GroupEvent>[] = eventColumns<GroupEvent>((event) => ({
  event: {
    metadata: event.metadata,
    type: event.type,
    reason: event.reason,
    series: event.series,
    eventTime: event.eventTime,
    involvedObject: event.regarding ?? {},
    source: event.deprecatedSource,
  },
  message: event.note ?? '',
  first: event.deprecatedFirstTimestamp ?? undefined,
  last: event.deprecatedLastTimestamp ?? undefined,
  count: event.deprecatedCount ?? 0,
  component: event.reportingController ?? '',
  instance: event.reportingInstance ?? '',
}));

export const componentStatusColumns: readonly Column<ComponentStatus>[] = [
  nameColumn,
  text('Status', ({ conditions }) => {
    const healthy = conditions?.find(({ type }) => type === 'Healthy');
    return healthy?.status === 'True' ? 'Healthy' : healthy?.status === 'False' ? 'Unhealthy' : 'Unknown';
  }),
  text('Message', ({ conditions }) => conditions?.find(({ type }) => type === 'Healthy')?.message ?? ''),
  text('Error', ({ conditions }) => conditions?.find(({ type }) => type === 'Healthy')?.error ?? ''),
];
