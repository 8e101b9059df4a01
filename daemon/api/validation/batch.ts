import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import type { CronJob, Job, JobSpec } from '../../apimachinery/types/batch-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import { cronScheduleError } from './cron-schedule.ts';
import { type Errors, invalid, notSupported, required } from './field-error.ts';
import { validateLabelSelector } from './label-selector.ts';
import { validatePodTemplate } from './pod-spec.ts';
import { validateCount, validateImmutable } from './workloads.ts';

/** An Indexed job's pods are named after it: room for the largest index and a dash. */
const mostIndexedPods = 100_000;
const mostCronJobName = 52;

function validateJobSpec(spec: JobSpec, field: string, errors: Errors): void {
  for (const name of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  ] as const) {
    validateCount(spec[name], `${field}.${name}`, errors);
  }
  if (spec.completionMode === 'Indexed') {
    if (spec.completions === undefined) {
      required(errors, `${field}.completions`, 'when completion mode is Indexed');
    } else if ((spec.parallelism ?? 0) > mostIndexedPods) {
      invalid(
        errors,
        `${field}.parallelism`,
        spec.parallelism,
        `must be less than or equal to ${mostIndexedPods} when completion mode is Indexed`,
      );
    }
  } else if (spec.completionMode !== 'NonIndexed') {
    notSupported(errors, `${field}.completionMode`, spec.completionMode, ['Indexed', 'NonIndexed']);
  } else if (spec.backoffLimitPerIndex !== undefined) {
    invalid(errors, `${field}.backoffLimitPerIndex`, spec.backoffLimitPerIndex, 'requires indexed completion mode');
  }
  validatePodTemplate(spec.template, `${field}.template`, errors);
  const { restartPolicy } = spec.template.spec;
  const at = `${field}.template.spec.restartPolicy`;
  if (!restartPolicy || restartPolicy === 'Always') {
    required(errors, at, 'valid values: "OnFailure", "Never"');
  } else if (restartPolicy !== 'OnFailure' && restartPolicy !== 'Never') {
    notSupported(errors, at, restartPolicy, ['OnFailure', 'Never']);
  } else if (spec.podFailurePolicy !== undefined && restartPolicy !== 'Never') {
    invalid(errors, at, restartPolicy, 'only "Never" is supported when podFailurePolicy is specified');
  }
}

/** Labels and selector that the server made must be as it made them. */
function validateGenerated({ metadata, spec }: Job, labels: Record<string, string>, errors: Errors): void {
  const { uid = '', name = '' } = metadata;
  for (const [key, value] of [
    ['batch.kubernetes.io/controller-uid', uid],
    ['controller-uid', uid],
    ['batch.kubernetes.io/job-name', name],
    ['job-name', name],
  ] as const) {
    const field = `spec.template.metadata.labels[${key}]`;
    if (labels[key] === undefined) required(errors, field, `must be '${value}'`);
    else if (labels[key] !== value) invalid(errors, field, labels, `must be '${value}'`);
  }
  const generated = {
    'batch.kubernetes.io/controller-uid': uid,
    'controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'job-name': name,
  };
  if (spec.selector !== undefined && !labelSelectorMatcher(spec.selector).matches(generated)) {
    invalid(errors, 'spec.selector', spec.selector, '`selector` not auto-generated');
  }
}

export function validateJob(job: Job, errors: Errors): void {
  const { spec } = job;
  const labels = spec.template.metadata?.labels ?? {};
  if (spec.manualSelector !== true) validateGenerated(job, labels, errors);
  const before = errors.length;
  validateLabelSelector(spec.selector, 'spec.selector', errors);
  if (spec.selector === undefined) required(errors, 'spec.selector');
  else if (errors.length === before && !labelSelectorMatcher(spec.selector).matches(labels)) {
    invalid(errors, 'spec.template.metadata.labels', labels, '`selector` does not match template `labels`');
  }
  validateJobSpec(spec, 'spec', errors);
}

export function validateJobUpdate(job: Job, old: Job, errors: Errors): void {
  validateJobSpec(job.spec, 'spec', errors);
  const elastic = job.spec.completionMode === 'Indexed' && job.spec.completions === job.spec.parallelism;
  if (!elastic) validateImmutable(job.spec.completions, old.spec.completions, 'spec.completions', errors);
  validateImmutable(job.spec.selector, old.spec.selector, 'spec.selector', errors);
  if (!mayReschedule(job, old)) validateImmutable(job.spec.template, old.spec.template, 'spec.template', errors);
  for (const name of [
    'completionMode',
    'podFailurePolicy',
    'backoffLimitPerIndex',
    'managedBy',
    'successPolicy',
  ] as const) {
    validateImmutable(job.spec[name], old.spec[name], `spec.${name}`, errors);
  }
}

/** A suspended job that never started may still change where its pods go. */
function mayReschedule(job: Job, old: Job): boolean {
  if (old.spec.suspend !== true || old.status?.startTime !== undefined) return false;
  const fixed = ({ spec }: Job) => {
    const {
      nodeSelector: _selector,
      affinity: _affinity,
      tolerations: _tolerations,
      schedulingGates: _gates,
      ...rest
    } = spec.template.spec;
    const { annotations: _annotations, labels: _labels, ...metadata } = spec.template.metadata ?? {};
    return { ...spec.template, metadata, spec: rest };
  };
  return equalJson(fixed(job), fixed(old));
}

export function validateCronJob(cronJob: CronJob, errors: Errors): void {
  const { spec } = cronJob;
  if (!spec.schedule) required(errors, 'spec.schedule');
  else {
    const error = cronScheduleError(spec.schedule);
    if (error !== undefined) invalid(errors, 'spec.schedule', spec.schedule, error);
    if (/^(?:CRON_)?TZ=/.test(spec.schedule)) {
      invalid(
        errors,
        'spec.schedule',
        spec.schedule,
        'cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
      );
    }
  }
  if (spec.timeZone !== undefined) validateTimeZone(spec.timeZone, errors);
  validateCount(spec.startingDeadlineSeconds, 'spec.startingDeadlineSeconds', errors);
  if (!['Allow', 'Forbid', 'Replace'].includes(spec.concurrencyPolicy ?? '')) {
    notSupported(errors, 'spec.concurrencyPolicy', spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace']);
  }
  validateCount(spec.successfulJobsHistoryLimit, 'spec.successfulJobsHistoryLimit', errors);
  validateCount(spec.failedJobsHistoryLimit, 'spec.failedJobsHistoryLimit', errors);
  const template = spec.jobTemplate.spec;
  if (template !== undefined) {
    validateJobSpec({ completionMode: 'NonIndexed', ...template }, 'spec.jobTemplate.spec', errors);
    if (template.manualSelector === true) {
      notSupported(errors, 'spec.jobTemplate.spec.manualSelector', true, ['nil', 'false']);
    }
  }
  const { name = '' } = cronJob.metadata;
  if (name.length > mostCronJobName) {
    invalid(errors, 'metadata.name', name, `must be no more than ${mostCronJobName} characters`);
  }
}

function validateTimeZone(zone: string, errors: Errors): void {
  if (zone === '') {
    invalid(errors, 'spec.timeZone', zone, 'timeZone must be nil or non-empty string');
  } else if (zone.toLowerCase() === 'local') {
    invalid(
      errors,
      'spec.timeZone',
      zone,
      'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
    );
  } else if (!knownTimeZone(zone)) invalid(errors, 'spec.timeZone', zone, `unknown time zone ${zone}`);
}

function knownTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

export function validateCronJobUpdate(cronJob: CronJob, _old: CronJob, errors: Errors): void {
  validateCronJob(cronJob, errors);
}
