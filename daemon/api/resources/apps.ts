import {
  controllerrevisions,
  daemonsets,
  deployments,
  replicasets,
  statefulsets,
} from '../../apimachinery/types/resources.ts';
import { countTemplateGeneration, startTemplateGeneration } from './daemonset-strategy.ts';
import {
  defaultControllerRevision,
  defaultDaemonSet,
  defaultDeployment,
  defaultReplicaSet,
  defaultStatefulSet,
} from './defaults/workloads.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';
import { workloadScale } from './scale-paths.ts';
import { replicaFields } from './selectable-fields.ts';
import { keepSpec, keepStatus, separateStatus } from './status-separation.ts';

const workload = { categories: ['all'], hasGeneration: true };

/** The group apps, v1. */
export const appsRows: readonly ResourceRow[] = [
  defineRow(controllerrevisions, { defaults: defaultControllerRevision }),
  defineRow(daemonsets, {
    ...workload,
    shortNames: ['ds'],
    defaults: defaultDaemonSet,
    prepareForCreate: (daemonSet) => {
      daemonSet.status = {
        currentNumberScheduled: 0,
        numberMisscheduled: 0,
        desiredNumberScheduled: 0,
        numberReady: 0,
      };
      startTemplateGeneration(daemonSet);
    },
    prepareForUpdate: (daemonSet, old) => {
      keepStatus(daemonSet, old);
      countTemplateGeneration(daemonSet, old);
    },
    statusStrategy: { prepareForUpdate: keepSpec },
  }),
  defineRow(deployments, {
    ...workload,
    shortNames: ['deploy'],
    generationCountsAnnotations: true,
    defaults: defaultDeployment,
    scale: workloadScale,
    ...separateStatus({ initialStatus: () => ({}), statusKeepsOldLabels: true }),
  }),
  defineRow(replicasets, {
    ...workload,
    shortNames: ['rs'],
    defaults: defaultReplicaSet,
    selectableFields: replicaFields,
    scale: workloadScale,
    ...separateStatus({ initialStatus: () => ({ replicas: 0 }) }),
  }),
  defineRow(statefulsets, {
    ...workload,
    shortNames: ['sts'],
    defaults: defaultStatefulSet,
    scale: workloadScale,
    ...separateStatus({ initialStatus: () => ({ replicas: 0, availableReplicas: 0 }) }),
  }),
];
