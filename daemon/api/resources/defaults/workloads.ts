import type {
  ControllerRevision,
  DaemonSet,
  Deployment,
  ReplicaSet,
  StatefulSet,
} from '../../../apimachinery/types/apps-v1.ts';
import type { CronJob, Job } from '../../../apimachinery/types/batch-v1.ts';
import type { PodTemplate, ReplicationController } from '../../../apimachinery/types/core-v1.ts';
import { defaultPodTemplate } from './pod-spec.ts';
import { defaultClaimSpec } from './volumes.ts';

const emptyTemplate = () => ({ metadata: {}, spec: { containers: [] } });

export function defaultDeployment(deployment: Deployment): void {
  deployment.spec ??= { selector: {}, template: emptyTemplate() };
  deployment.status ??= {};
  const { spec } = deployment;
  spec.template ??= emptyTemplate();
  defaultPodTemplate(spec.template);
  spec.replicas ??= 1;
  spec.strategy ??= {};
  spec.strategy.type ||= 'RollingUpdate';
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate ??= {};
    spec.strategy.rollingUpdate.maxUnavailable ??= '25%';
    spec.strategy.rollingUpdate.maxSurge ??= '25%';
  }
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
}

export function defaultReplicaSet(replicaSet: ReplicaSet): void {
  replicaSet.spec ??= { selector: {} };
  replicaSet.status ??= { replicas: 0 };
  replicaSet.spec.template ??= emptyTemplate();
  defaultPodTemplate(replicaSet.spec.template);
  replicaSet.spec.replicas ??= 1;
}

export function defaultDaemonSet(daemonSet: DaemonSet): void {
  daemonSet.spec ??= { selector: {}, template: emptyTemplate() };
  daemonSet.status ??= { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };
  const { spec } = daemonSet;
  spec.template ??= emptyTemplate();
  defaultPodTemplate(spec.template);
  spec.updateStrategy ??= {};
  spec.updateStrategy.type ||= 'RollingUpdate';
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate ??= {};
    spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
    spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
  }
  spec.revisionHistoryLimit ??= 10;
}

export function defaultStatefulSet(statefulSet: StatefulSet): void {
  statefulSet.spec ??= { selector: {}, template: emptyTemplate() };
  statefulSet.status ??= { replicas: 0, availableReplicas: 0 };
  const { spec } = statefulSet;
  spec.template ??= emptyTemplate();
  defaultPodTemplate(spec.template);
  spec.podManagementPolicy ||= 'OrderedReady';
  spec.updateStrategy ??= {};
  spec.updateStrategy.type ||= 'RollingUpdate';
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate ??= {};
    spec.updateStrategy.rollingUpdate.partition ??= 0;
  }
  spec.persistentVolumeClaimRetentionPolicy ??= {};
  spec.persistentVolumeClaimRetentionPolicy.whenDeleted ||= 'Retain';
  spec.persistentVolumeClaimRetentionPolicy.whenScaled ||= 'Retain';
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.apiVersion ||= 'v1';
    claim.kind ||= 'PersistentVolumeClaim';
    claim.metadata ??= {};
    claim.spec ??= {};
    defaultClaimSpec(claim.spec);
    claim.status ??= {};
    claim.status.phase ||= 'Pending';
  }
}

/** Selector and labels come from the template when none are given. */
export function defaultReplicationController(controller: ReplicationController): void {
  controller.spec ??= {};
  controller.status ??= { replicas: 0 };
  const { spec } = controller;
  if (spec.template !== undefined) defaultPodTemplate(spec.template);
  const labels = spec.template?.metadata?.labels;
  if (labels !== undefined) {
    if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels };
    if (Object.keys(controller.metadata.labels ?? {}).length === 0) controller.metadata.labels = { ...labels };
  }
  spec.replicas ??= 1;
}

export function defaultJob(job: Job): void {
  job.spec ??= { template: emptyTemplate() };
  job.status ??= {};
  const { spec } = job;
  spec.template ??= emptyTemplate();
  defaultPodTemplate(spec.template);
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : 0x7fffffff;
  const labels = spec.template.metadata?.labels;
  if (labels !== undefined && Object.keys(job.metadata.labels ?? {}).length === 0) job.metadata.labels = { ...labels };
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  for (const rule of spec.podFailurePolicy?.rules ?? []) {
    for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
  }
  spec.podReplacementPolicy ??= spec.podFailurePolicy === undefined ? 'TerminatingOrFailed' : 'Failed';
}

export function defaultCronJob(cronJob: CronJob): void {
  cronJob.spec ??= { schedule: '', jobTemplate: { spec: { template: emptyTemplate() } } };
  cronJob.status ??= {};
  const { spec } = cronJob;
  spec.jobTemplate ??= { spec: { template: emptyTemplate() } };
  spec.jobTemplate.metadata ??= {};
  spec.jobTemplate.spec ??= { template: emptyTemplate() };
  spec.jobTemplate.spec.template ??= emptyTemplate();
  defaultPodTemplate(spec.jobTemplate.spec.template);
  spec.concurrencyPolicy ||= 'Allow';
  spec.suspend ??= false;
  spec.successfulJobsHistoryLimit ??= 3;
  spec.failedJobsHistoryLimit ??= 1;
}

export function defaultPodTemplateObject(object: PodTemplate): void {
  object.template ??= emptyTemplate();
  defaultPodTemplate(object.template);
}

export function defaultControllerRevision(revision: ControllerRevision): void {
  revision.revision ??= 0;
}
