import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import type {
  ControllerRevision,
  DaemonSet,
  Deployment,
  ReplicaSet,
  StatefulSet,
} from '../../apimachinery/types/apps-v1.ts';
import type { PodTemplate, PodTemplateSpec, ReplicationController } from '../../apimachinery/types/core-v1.ts';
import type { IntOrString } from '../../apimachinery/types/intstr.ts';
import type { LabelSelector } from '../../apimachinery/types/meta-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import { type Errors, forbidden, immutableMessage, invalid, notSupported, required } from './field-error.ts';
import { isEmptySelector, validateLabelSelector } from './label-selector.ts';
import { notNegative } from './names.ts';
import { validatePodTemplate } from './pod-spec.ts';

export function validateCount(value: number | undefined, field: string, errors: Errors): void {
  if (value !== undefined && value < 0) invalid(errors, field, value, notNegative);
}

export function validateImmutable(now: unknown, before: unknown, field: string, errors: Errors): void {
  if (!equalJson(now, before)) invalid(errors, field, now, immutableMessage);
}

function validateSelector(selector: LabelSelector | undefined, kind: string, errors: Errors): boolean {
  const before = errors.length;
  if (selector === undefined) {
    required(errors, 'spec.selector');
    return false;
  }
  validateLabelSelector(selector, 'spec.selector', errors);
  if (isEmptySelector(selector)) invalid(errors, 'spec.selector', selector, `empty selector is invalid for ${kind}`);
  return errors.length === before;
}

/** A template whose pods the selector would not find makes pods without end. */
function validateTemplate(
  template: PodTemplateSpec,
  selector: LabelSelector | undefined,
  selectorIsValid: boolean,
  errors: Errors,
): void {
  const labels = template.metadata?.labels ?? {};
  if (selectorIsValid && selector !== undefined && !labelSelectorMatcher(selector).matches(labels)) {
    invalid(errors, 'spec.template.metadata.labels', labels, '`selector` does not match template `labels`');
  }
  validatePodTemplate(template, 'spec.template', errors);
  const { restartPolicy } = template.spec;
  if (restartPolicy !== 'Always') notSupported(errors, 'spec.template.spec.restartPolicy', restartPolicy, ['Always']);
}

function forbidDeadline(template: PodTemplateSpec, kind: string, errors: Errors): void {
  if (template.spec.activeDeadlineSeconds !== undefined) {
    forbidden(errors, 'spec.template.spec.activeDeadlineSeconds', `activeDeadlineSeconds in ${kind} is not Supported`);
  }
}

const percentForm = /^[0-9]+%$/;

/** A whole number of pods, or a share of them. */
export function validatePodCount(value: IntOrString | undefined, field: string, errors: Errors, most100 = true): void {
  if (typeof value === 'string') {
    if (!percentForm.test(value)) {
      invalid(
        errors,
        field,
        value,
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
      );
    } else if (most100 && Number(value.slice(0, -1)) > 100)
      invalid(errors, field, value, 'must not be greater than 100%');
  } else if (value !== undefined && value < 0) invalid(errors, field, value, notNegative);
}

const isZero = (value: IntOrString | undefined) =>
  value === 0 || value === undefined || (typeof value === 'string' && /^0+%$/.test(value));

export function validateDeployment({ spec }: Deployment, errors: Errors): void {
  validateCount(spec.replicas, 'spec.replicas', errors);
  const valid = validateSelector(spec.selector, 'deployment', errors);
  validateTemplate(spec.template, spec.selector, valid, errors);
  forbidDeadline(spec.template, 'ReplicaSet', errors);
  const { type, rollingUpdate } = spec.strategy ?? {};
  const at = 'spec.strategy.rollingUpdate';
  if (type === 'Recreate') {
    if (rollingUpdate !== undefined) forbidden(errors, at, "may not be specified when strategy `type` is 'Recreate'");
  } else if (type === 'RollingUpdate') {
    if (rollingUpdate === undefined) required(errors, at, 'this should be defaulted and never be nil');
    else {
      validatePodCount(rollingUpdate.maxUnavailable, `${at}.maxUnavailable`, errors);
      validatePodCount(rollingUpdate.maxSurge, `${at}.maxSurge`, errors, false);
      if (isZero(rollingUpdate.maxUnavailable) && isZero(rollingUpdate.maxSurge)) {
        invalid(errors, `${at}.maxUnavailable`, rollingUpdate.maxUnavailable, 'may not be 0 when `maxSurge` is 0');
      }
    }
  } else notSupported(errors, 'spec.strategy.type', type, ['Recreate', 'RollingUpdate']);
  validateCount(spec.minReadySeconds, 'spec.minReadySeconds', errors);
  validateCount(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit', errors);
  validateCount(spec.progressDeadlineSeconds, 'spec.progressDeadlineSeconds', errors);
  if (spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds <= (spec.minReadySeconds ?? 0)) {
    invalid(
      errors,
      'spec.progressDeadlineSeconds',
      spec.progressDeadlineSeconds,
      'must be greater than minReadySeconds',
    );
  }
}

export function validateDeploymentUpdate(deployment: Deployment, old: Deployment, errors: Errors): void {
  validateDeployment(deployment, errors);
  validateImmutable(deployment.spec.selector, old.spec.selector, 'spec.selector', errors);
}

export function validateReplicaSet({ spec }: ReplicaSet, errors: Errors): void {
  validateCount(spec.replicas, 'spec.replicas', errors);
  validateCount(spec.minReadySeconds, 'spec.minReadySeconds', errors);
  const valid = validateSelector(spec.selector, 'deployment', errors);
  validateTemplate(spec.template!, spec.selector, valid, errors);
  forbidDeadline(spec.template!, 'ReplicaSet', errors);
}

export function validateReplicaSetUpdate(replicaSet: ReplicaSet, old: ReplicaSet, errors: Errors): void {
  validateReplicaSet(replicaSet, errors);
  validateImmutable(replicaSet.spec.selector, old.spec.selector, 'spec.selector', errors);
}

export function validateReplicationController({ spec }: ReplicationController, errors: Errors): void {
  validateCount(spec.minReadySeconds, 'spec.minReadySeconds', errors);
  if (Object.keys(spec.selector ?? {}).length === 0) required(errors, 'spec.selector');
  validateCount(spec.replicas, 'spec.replicas', errors);
  if (spec.template === undefined) required(errors, 'spec.template');
  else {
    validateTemplate(spec.template, { matchLabels: spec.selector }, spec.selector !== undefined, errors);
    forbidDeadline(spec.template, 'ReplicationController', errors);
  }
}

export function validateDaemonSet({ spec }: DaemonSet, errors: Errors): void {
  const valid = validateSelector(spec.selector, 'daemonset', errors);
  validateTemplate(spec.template, spec.selector, valid, errors);
  forbidDeadline(spec.template, 'DaemonSet', errors);
  validateCount(spec.minReadySeconds, 'spec.minReadySeconds', errors);
  validateCount(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit', errors);
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  const at = 'spec.updateStrategy.rollingUpdate';
  if (type === 'RollingUpdate') {
    if (rollingUpdate === undefined) required(errors, at);
    else {
      validatePodCount(rollingUpdate.maxUnavailable, `${at}.maxUnavailable`, errors);
      validatePodCount(rollingUpdate.maxSurge, `${at}.maxSurge`, errors);
      const [unavailable, surge] = [!isZero(rollingUpdate.maxUnavailable), !isZero(rollingUpdate.maxSurge)];
      if (unavailable && surge) {
        invalid(errors, `${at}.maxSurge`, rollingUpdate.maxSurge, 'may not be set when maxUnavailable is non-zero');
      }
      if (!unavailable && !surge) {
        required(errors, `${at}.maxUnavailable`, 'cannot be 0 when maxSurge is 0');
      }
    }
  } else if (type !== 'OnDelete') notSupported(errors, 'spec.updateStrategy.type', type, ['OnDelete', 'RollingUpdate']);
}

export function validateDaemonSetUpdate(daemonSet: DaemonSet, old: DaemonSet, errors: Errors): void {
  validateDaemonSet(daemonSet, errors);
  validateImmutable(daemonSet.spec.selector, old.spec.selector, 'spec.selector', errors);
}

const managementPolicies = ['OrderedReady', 'Parallel'];

export function validateStatefulSet({ spec }: StatefulSet, errors: Errors): void {
  if (!managementPolicies.includes(spec.podManagementPolicy ?? '')) {
    invalid(
      errors,
      'spec.podManagementPolicy',
      spec.podManagementPolicy,
      `must be '${managementPolicies[0]}' or '${managementPolicies[1]}'`,
    );
  }
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  const at = 'spec.updateStrategy';
  if (type === 'OnDelete') {
    if (rollingUpdate !== undefined) {
      invalid(errors, `${at}.rollingUpdate`, rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'");
    }
  } else if (type === 'RollingUpdate') {
    validateCount(rollingUpdate?.partition, `${at}.rollingUpdate.partition`, errors);
    validatePodCount(rollingUpdate?.maxUnavailable, `${at}.rollingUpdate.maxUnavailable`, errors);
  } else invalid(errors, at, spec.updateStrategy, "must be 'RollingUpdate' or 'OnDelete'");
  validateCount(spec.replicas, 'spec.replicas', errors);
  validateCount(spec.minReadySeconds, 'spec.minReadySeconds', errors);
  validateCount(spec.ordinals?.start, 'spec.ordinals.start', errors);
  const valid = validateSelector(spec.selector, 'statefulset', errors);
  validateTemplate(withClaims(spec), spec.selector, valid, errors);
  forbidDeadline(spec.template, 'StatefulSet', errors);
}

/** The template as its pods get it: the claims that are made for each are volumes that containers may mount. */
function withClaims({ template, volumeClaimTemplates = [] }: StatefulSet['spec']): PodTemplateSpec {
  if (volumeClaimTemplates.length === 0) return template;
  const names = volumeClaimTemplates.map(({ metadata }) => metadata.name ?? '');
  const own = (template.spec.volumes ?? []).filter(({ name }) => !names.includes(name));
  const claims = names.map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...template, spec: { ...template.spec, volumes: [...own, ...claims] } };
}

const statefulSetChanges = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

export function validateStatefulSetUpdate(statefulSet: StatefulSet, old: StatefulSet, errors: Errors): void {
  validateStatefulSet(statefulSet, errors);
  const rest = (spec: StatefulSet['spec']) =>
    Object.fromEntries(
      Object.entries(spec).filter(([name]) => !(statefulSetChanges as readonly string[]).includes(name)),
    );
  if (!equalJson(rest(statefulSet.spec), rest(old.spec))) {
    const names = statefulSetChanges.map((name) => `'${name}'`);
    forbidden(
      errors,
      'spec',
      `updates to statefulset spec for fields other than ${names.slice(0, -1).join(', ')} and ${names.at(-1)} are forbidden`,
    );
  }
}

export function validateControllerRevision(revision: ControllerRevision, errors: Errors): void {
  if (revision.data === undefined) required(errors, 'data', 'data is mandatory');
  validateCount(revision.revision, 'revision', errors);
}

export function validateControllerRevisionUpdate(
  revision: ControllerRevision,
  old: ControllerRevision,
  errors: Errors,
): void {
  validateControllerRevision(revision, errors);
  validateImmutable(revision.data, old.data, 'data', errors);
}

export function validatePodTemplateObject({ template }: PodTemplate, errors: Errors): void {
  validatePodTemplate(template!, 'template', errors);
}
