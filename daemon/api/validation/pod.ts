import type { Container, Pod, PodSpec, Toleration } from '../../apimachinery/types/core-v1.ts';
import { copyJson, equalJson, isObject, type JsonObject } from '../patch/json-value.ts';
import { type Errors, forbidden, invalid } from './field-error.ts';
import { validatePodSpec } from './pod-spec.ts';
import { deadlineMessage } from './scheduling.ts';

/** The spec with the rules of pods that do not hold for templates. */
export function validateSpecOfPod({ spec }: Pod, errors: Errors): void {
  validatePodSpec(spec, 'spec', true, errors);
  if (!spec.serviceAccountName) forbidTokens(spec, errors);
  for (const list of ['containers', 'initContainers', 'ephemeralContainers'] as const) {
    for (const [index, { image = '' }] of (spec[list] ?? []).entries()) {
      if (image.trim() !== image) {
        invalid(errors, `spec.${list}[${index}].image`, image, 'must not have leading or trailing whitespace');
      }
    }
  }
}

function forbidTokens(spec: PodSpec, errors: Errors): void {
  for (const [index, { projected }] of (spec.volumes ?? []).entries()) {
    for (const [place, source] of (projected?.sources ?? []).entries()) {
      if (source.serviceAccountToken === undefined) continue;
      const field = `spec.volumes[${index}].projected.sources[${place}].serviceAccountToken`;
      forbidden(errors, field, 'must not be specified when serviceAccountName is not set');
    }
  }
}

export function validatePod(pod: Pod, errors: Errors): void {
  validateSpecOfPod(pod, errors);
  const { ephemeralContainers = [], nodeName, schedulingGates = [] } = pod.spec;
  if (ephemeralContainers.length > 0) forbidden(errors, 'spec.ephemeralContainers', 'cannot be set on create');
  if (nodeName && schedulingGates.length > 0) {
    forbidden(errors, 'spec.nodeName', 'cannot be set until all schedulingGates have been cleared');
  }
}

/** Fields an update of a pod may change, as the refusal names them. */
const updatable = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(',');

function validateImages(
  now: readonly Container[],
  before: readonly Container[],
  field: string,
  errors: Errors,
): boolean {
  if (now.length === before.length) return true;
  forbidden(errors, field, 'pod updates may not add or remove containers');
  return false;
}

function onlyAdded(now: readonly Toleration[], before: readonly Toleration[]): boolean {
  return before.every((old) =>
    now.some((toleration) => {
      const { tolerationSeconds: _now, ...rest } = toleration;
      const { tolerationSeconds: _old, ...oldRest } = old;
      return equalJson(rest, oldRest);
    }),
  );
}

function validateDeadline(now: number | undefined, before: number | undefined, errors: Errors): void {
  const field = 'spec.activeDeadlineSeconds';
  if (before === undefined) return;
  if (now === undefined) invalid(errors, field, null, 'must not update from a positive integer to nil value');
  else if (now < 0 || now > 0x7fffffff) invalid(errors, field, now, deadlineMessage);
  else if (now > before) invalid(errors, field, now, 'must be less than or equal to previous value');
}

/** Of a running pod hardly anything may change; what else did is listed after the refusal. */
export function validatePodUpdate(pod: Pod, old: Pod, errors: Errors): void {
  validateSpecOfPod(pod, errors);
  if (equalJson(pod.spec, old.spec)) return;
  const { spec } = pod;
  const before = old.spec;
  if (!validateImages(spec.containers, before.containers, 'spec.containers', errors)) return;
  if (!validateImages(spec.initContainers ?? [], before.initContainers ?? [], 'spec.initContainers', errors)) return;
  validateDeadline(spec.activeDeadlineSeconds, before.activeDeadlineSeconds, errors);
  if (!onlyAdded(spec.tolerations ?? [], before.tolerations ?? [])) {
    forbidden(errors, 'spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds');
  }
  const munged = copyJson(spec);
  withImagesOf(munged.containers, before.containers);
  withImagesOf(munged.initContainers ?? [], before.initContainers ?? []);
  for (const name of ['activeDeadlineSeconds', 'tolerations'] as const) copyField(munged, before, name);
  if (spec.terminationGracePeriodSeconds === 1 && (before.terminationGracePeriodSeconds ?? 0) < 0) {
    copyField(munged, before, 'terminationGracePeriodSeconds');
  }
  const beforeGates = before.schedulingGates;
  if (beforeGates !== undefined && beforeGates.length > 0) allowGatedChanges(munged, before, errors);
  if (!equalJson(munged, before)) {
    forbidden(
      errors,
      'spec',
      `pod updates may not change fields other than ${updatable}\n${difference(before, munged)}`,
    );
  }
}

/** A gated pod may lose gates and narrow where it can run. */
function allowGatedChanges(munged: PodSpec, before: PodSpec, errors: Errors): void {
  const old = new Set(before.schedulingGates?.map(({ name }) => name));
  for (const [index, { name }] of (munged.schedulingGates ?? []).entries()) {
    if (!old.has(name)) {
      forbidden(
        errors,
        `spec.schedulingGates[${index}].name`,
        `only deletion is allowed, but found new scheduling gate '${name}'`,
      );
    }
  }
  copyField(munged, before, 'schedulingGates');
  const wider = Object.entries(before.nodeSelector ?? {}).some(([key, value]) => munged.nodeSelector?.[key] !== value);
  if (wider) {
    invalid(
      errors,
      'spec.nodeSelector',
      munged.nodeSelector,
      'only additions to spec.nodeSelector are allowed (no mutations or deletions)',
    );
  }
  copyField(munged, before, 'nodeSelector');
  copyField(munged, before, 'affinity');
}

function withImagesOf(containers: Container[], before: readonly Container[]): void {
  for (const [index, container] of containers.entries()) copyField(container, before[index]!, 'image');
}

function copyField<T extends object, K extends keyof T>(target: T, source: T, name: K): void {
  if (source[name] === undefined) delete target[name];
  else target[name] = source[name];
}

/** The leaves in which two values differ, a line for each side. */
function difference(before: unknown, now: unknown, path = 'spec'): string {
  if (equalJson(before, now)) return '';
  if (isObject(before) && isObject(now)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
    return names
      .map((name) => difference((before as JsonObject)[name], (now as JsonObject)[name], `${path}.${name}`))
      .join('');
  }
  if (Array.isArray(before) && Array.isArray(now) && before.length === now.length) {
    return before.map((item, index) => difference(item, now[index], `${path}[${index}]`)).join('');
  }
  const line = (sign: string, value: unknown) =>
    value === undefined ? '' : `${sign} ${path}: ${JSON.stringify(value)}\n`;
  return line('-', before) + line('+', now);
}

/** `ephemeralcontainers`: containers are added, never changed or taken away. */
export function validateEphemeralUpdate(pod: Pod, old: Pod, errors: Errors): void {
  validateSpecOfPod(pod, errors);
  const now = new Map((pod.spec.ephemeralContainers ?? []).map((container) => [container.name, container]));
  for (const container of old.spec.ephemeralContainers ?? []) {
    const same = now.get(container.name);
    if (same === undefined) {
      forbidden(
        errors,
        'spec.ephemeralContainers',
        `existing ephemeral containers "${container.name}" may not be removed\n`,
      );
    } else if (!equalJson(same, container)) {
      forbidden(
        errors,
        'spec.ephemeralContainers',
        `existing ephemeral containers "${container.name}" may not be changed\n`,
      );
    }
  }
}
