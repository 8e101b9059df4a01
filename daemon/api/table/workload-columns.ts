import { humanDuration } from '../../apimachinery/duration.ts';
import { formatLabelSelector } from '../../apimachinery/label-selector.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type {
  ControllerRevision,
  DaemonSet,
  Deployment,
  ReplicaSet,
  StatefulSet,
} from '../../apimachinery/types/apps-v1.ts';
import type { CronJob, Job } from '../../apimachinery/types/batch-v1.ts';
import type { PodTemplate, PodTemplateSpec, ReplicationController } from '../../apimachinery/types/core-v1.ts';
import type { PodDisruptionBudget } from '../../apimachinery/types/policy-v1.ts';
import type { Column } from '../resources/resource-row.ts';
import { ageColumn, integer, labelText, nameColumn, orNone, since, text } from './column.ts';

const names = (template: PodTemplateSpec | undefined) =>
  (template?.spec.containers ?? []).map(({ name }) => name).join(',');
const images = (template: PodTemplateSpec | undefined) =>
  (template?.spec.containers ?? []).map(({ image }) => image ?? '').join(',');

/** Containers and Images, for `-o wide`. */
function templateColumns<T>(templateOf: (object: T) => PodTemplateSpec | undefined, wide = true): Column<T>[] {
  return [
    text('Containers', (object) => names(templateOf(object)), wide),
    text('Images', (object) => images(templateOf(object)), wide),
  ];
}

export const deploymentColumns: readonly Column<Deployment>[] = [
  nameColumn,
  text('Ready', ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
  integer('Up-to-date', ({ status }) => status?.updatedReplicas ?? 0),
  integer('Available', ({ status }) => status?.availableReplicas ?? 0),
  ageColumn,
  ...templateColumns<Deployment>(({ spec }) => spec.template),
  text('Selector', ({ spec }) => formatLabelSelector(spec.selector), true),
];

export const replicaSetColumns: readonly Column<ReplicaSet>[] = [
  nameColumn,
  integer('Desired', ({ spec }) => spec.replicas ?? 0),
  integer('Current', ({ status }) => status?.replicas ?? 0),
  integer('Ready', ({ status }) => status?.readyReplicas ?? 0),
  ageColumn,
  ...templateColumns<ReplicaSet>(({ spec }) => spec.template),
  text('Selector', ({ spec }) => formatLabelSelector(spec.selector), true),
];

export const replicationControllerColumns: readonly Column<ReplicationController>[] = [
  nameColumn,
  integer('Desired', ({ spec }) => spec.replicas ?? 0),
  integer('Current', ({ status }) => status?.replicas ?? 0),
  integer('Ready', ({ status }) => status?.readyReplicas ?? 0),
  ageColumn,
  ...templateColumns<ReplicationController>(({ spec }) => spec.template),
  text('Selector', ({ spec }) => labelText(spec.selector), true),
];

export const statefulSetColumns: readonly Column<StatefulSet>[] = [
  nameColumn,
  text('Ready', ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
  ageColumn,
  ...templateColumns<StatefulSet>(({ spec }) => spec.template),
];

export const daemonSetColumns: readonly Column<DaemonSet>[] = [
  nameColumn,
  integer('Desired', ({ status }) => status?.desiredNumberScheduled ?? 0),
  integer('Current', ({ status }) => status?.currentNumberScheduled ?? 0),
  integer('Ready', ({ status }) => status?.numberReady ?? 0),
  integer('Up-to-date', ({ status }) => status?.updatedNumberScheduled ?? 0),
  integer('Available', ({ status }) => status?.numberAvailable ?? 0),
  text('Node Selector', ({ spec }) => labelText(spec.template.spec.nodeSelector)),
  ageColumn,
  ...templateColumns<DaemonSet>(({ spec }) => spec.template),
  text('Selector', ({ spec }) => formatLabelSelector(spec.selector), true),
];

export const controllerRevisionColumns: readonly Column<ControllerRevision>[] = [
  nameColumn,
  text('Controller', ({ metadata }) => {
    const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
    if (owner === undefined) return '<none>';
    const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : '';
    return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
  }),
  integer('Revision', ({ revision }) => revision),
  ageColumn,
];

export const podTemplateColumns: readonly Column<PodTemplate>[] = [
  nameColumn,
  ...templateColumns<PodTemplate>(({ template }) => template, false),
  text('Pod Labels', ({ template }) => labelText(template?.metadata?.labels)),
];

/** Conditions that say how a job stands, the most telling first; deletion comes after the first two. */
function jobStatus({ metadata, status }: Job): string {
  const has = (type: string) =>
    status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') === true;
  if (has('Complete')) return 'Complete';
  if (has('Failed')) return 'Failed';
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  return ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find(has) ?? 'Running';
}

function jobCompletions({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function jobDuration({ status }: Job, now: Date): string {
  const start = parseTime(status?.startTime);
  if (start === undefined) return '';
  return humanDuration((parseTime(status?.completionTime) ?? now.getTime()) - start);
}

export const jobColumns: readonly Column<Job>[] = [
  nameColumn,
  text('Status', jobStatus),
  text('Completions', jobCompletions),
  text('Duration', jobDuration),
  ageColumn,
  ...templateColumns<Job>(({ spec }) => spec.template),
  text('Selector', ({ spec }) => formatLabelSelector(spec.selector), true),
];

export const cronJobColumns: readonly Column<CronJob>[] = [
  nameColumn,
  text('Schedule', ({ spec }) => spec.schedule),
  text('Timezone', ({ spec }) => orNone(spec.timeZone)),
  text('Suspend', ({ spec }) => (spec.suspend === undefined ? '<unset>' : spec.suspend ? 'True' : 'False')),
  integer('Active', ({ status }) => status?.active?.length ?? 0),
  text('Last Schedule', ({ status }, now) =>
    status?.lastScheduleTime === undefined ? '<none>' : since(status.lastScheduleTime, now),
  ),
  ageColumn,
  ...templateColumns<CronJob>(({ spec }) => spec.jobTemplate.spec?.template),
  text('Selector', ({ spec }) => formatLabelSelector(spec.jobTemplate.spec?.selector), true),
];

export const disruptionBudgetColumns: readonly Column<PodDisruptionBudget>[] = [
  nameColumn,
  text('Min Available', ({ spec }) => String(spec.minAvailable ?? 'N/A')),
  text('Max Unavailable', ({ spec }) => String(spec.maxUnavailable ?? 'N/A')),
  integer('Allowed Disruptions', ({ status }) => status?.disruptionsAllowed ?? 0),
  ageColumn,
];
