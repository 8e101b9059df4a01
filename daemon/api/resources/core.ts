import { formatTime } from '../../apimachinery/time.ts';
import {
  configmaps,
  endpoints,
  events,
  limitranges,
  namespaces,
  nodes,
  persistentvolumeclaims,
  persistentvolumes,
  podtemplates,
  replicationcontrollers,
  resourcequotas,
  secrets,
  serviceaccounts,
} from '../../apimachinery/types/resources.ts';
import { normalizeDataSources, preparePersistentVolumeStatus } from './claim-strategy.ts';
import {
  defaultEvent,
  defaultLimitRange,
  defaultNamespace,
  defaultNode,
  defaultPersistentVolume,
  defaultPersistentVolumeClaim,
  defaultResourceQuota,
  defaultSecret,
} from './defaults/core.ts';
import { defaultEndpoints } from './defaults/service.ts';
import { defaultPodTemplateObject, defaultReplicationController } from './defaults/workloads.ts';
import { defineRow } from './define-row.ts';
import { prepareNamespaceForCreate, prepareNamespaceForUpdate } from './namespace-strategy.ts';
import { podRow } from './pod.ts';
import type { ResourceRow } from './resource-row.ts';
import { controllerScale } from './scale-paths.ts';
import { coreEventFields, namespaceFields, nodeFields, replicaFields, secretFields } from './selectable-fields.ts';
import { serviceRow } from './service.ts';
import { keepSpec, keepStatus, separateStatus } from './status-separation.ts';

/** The core group, v1. */
export const coreRows: readonly ResourceRow[] = [
  podRow,
  serviceRow,
  defineRow(configmaps, { shortNames: ['cm'] }),
  defineRow(endpoints, {
    shortNames: ['ep'],
    storage: 'services/endpoints',
    allowCreateOnUpdate: true,
    defaults: defaultEndpoints,
  }),
  defineRow(events, {
    shortNames: ['ev'],
    allowCreateOnUpdate: true,
    defaults: defaultEvent,
    selectableFields: coreEventFields,
  }),
  defineRow(limitranges, { shortNames: ['limits'], allowCreateOnUpdate: true, defaults: defaultLimitRange }),
  defineRow(namespaces, {
    shortNames: ['ns'],
    defaults: defaultNamespace,
    selectableFields: namespaceFields,
    prepareForCreate: prepareNamespaceForCreate,
    prepareForUpdate: prepareNamespaceForUpdate,
    statusStrategy: { prepareForUpdate: keepSpec },
    subresourceStrategies: { finalize: { prepareForUpdate: keepStatus } },
  }),
  defineRow(nodes, {
    shortNames: ['no'],
    storage: 'minions',
    defaults: defaultNode,
    selectableFields: nodeFields,
    // A kubelet registers its node with the status it has: only updates drop it.
    prepareForUpdate: keepStatus,
    statusStrategy: { prepareForUpdate: keepSpec },
  }),
  defineRow(persistentvolumeclaims, {
    shortNames: ['pvc'],
    defaults: defaultPersistentVolumeClaim,
    ...separateStatus({ initialStatus: () => ({ phase: 'Pending' }) }),
    prepareForCreate: (claim) => {
      claim.status = { phase: 'Pending' };
      normalizeDataSources(claim);
    },
    prepareForUpdate: (claim, old) => {
      keepStatus(claim, old);
      normalizeDataSources(claim);
    },
  }),
  defineRow(persistentvolumes, {
    shortNames: ['pv'],
    defaults: defaultPersistentVolume,
    prepareForCreate: (volume, { now }) => {
      volume.status = { phase: 'Pending', lastPhaseTransitionTime: formatTime(now) };
    },
    prepareForUpdate: keepStatus,
    statusStrategy: {
      prepareForUpdate: (volume, old, context) => {
        keepSpec(volume, old);
        preparePersistentVolumeStatus(volume, old, context);
      },
    },
  }),
  defineRow(podtemplates, { hasGeneration: true, defaults: defaultPodTemplateObject }),
  defineRow(replicationcontrollers, {
    shortNames: ['rc'],
    categories: ['all'],
    storage: 'controllers',
    hasGeneration: true,
    defaults: defaultReplicationController,
    selectableFields: replicaFields,
    scale: controllerScale,
    ...separateStatus({ initialStatus: () => ({ replicas: 0 }) }),
  }),
  defineRow(resourcequotas, {
    shortNames: ['quota'],
    defaults: defaultResourceQuota,
    ...separateStatus({ initialStatus: () => ({}) }),
  }),
  defineRow(secrets, { defaults: defaultSecret, selectableFields: secretFields }),
  defineRow(serviceaccounts, { shortNames: ['sa'] }),
];
