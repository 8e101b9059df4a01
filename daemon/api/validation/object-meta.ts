import { labelKeyErrors, labelValueErrors } from '../../apimachinery/label-syntax.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { ObjectMeta, OwnerReference } from '../../apimachinery/types/meta-v1.ts';
import { type Errors, forbidden, invalid, invalidAll, tooLong } from './field-error.ts';
import { asPrefix } from './names.ts';

/** All annotations of an object together, in bytes. */
const maxAnnotationSize = 256 * 1024;

export type NameCheck = (name: string) => readonly string[];

/** Label checks are the hottest of all: most labels are short and plain, and one match says so. */
const plainLabelKey = /^[a-z0-9](?:[-a-z0-9.]{0,61}[a-z0-9])?(?:\/[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const plainLabelValue = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

export function validateLabels(labels: Record<string, string> | undefined, field: string, errors: Errors): void {
  for (const key in labels) {
    // A dot run such as `a..b` is a bad prefix that the plain form does not see.
    if (!plainLabelKey.test(key) || key.includes('..')) invalidAll(errors, field, key, labelKeyErrors(key));
    const value = labels[key]!;
    if (!plainLabelValue.test(value)) invalidAll(errors, field, value, labelValueErrors(value));
  }
}

export function validateAnnotations(
  annotations: Record<string, string> | undefined,
  field: string,
  errors: Errors,
): void {
  if (annotations === undefined) return;
  let size = 0;
  for (const key in annotations) {
    const lower = key.toLowerCase();
    if (!plainLabelKey.test(lower) || lower.includes('..')) invalidAll(errors, field, key, labelKeyErrors(lower));
    size += key.length + annotations[key]!.length;
  }
  if (size > maxAnnotationSize) tooLong(errors, field, maxAnnotationSize);
}

function validateOwnerReferences(owners: readonly OwnerReference[], errors: Errors): void {
  const field = 'metadata.ownerReferences';
  let controller = '';
  for (const [index, owner] of owners.entries()) {
    const at = `${field}[${index}]`;
    if (!owner.apiVersion?.split('/').at(-1))
      invalid(errors, `${at}.apiVersion`, owner.apiVersion ?? '', 'version must not be empty');
    if (!owner.kind) invalid(errors, `${at}.kind`, owner.kind ?? '', 'must not be empty');
    if (!owner.name) invalid(errors, `${at}.name`, owner.name ?? '', 'must not be empty');
    if (!owner.uid) invalid(errors, `${at}.uid`, owner.uid ?? '', 'must not be empty');
    if (owner.apiVersion === 'v1' && owner.kind === 'Event') {
      invalid(errors, at, owner, 'v1, Kind=Event is disallowed from being an owner');
    }
    if (owner.controller === true) {
      const name = `${owner.kind}/${owner.name}`;
      if (controller !== '') {
        invalid(
          errors,
          field,
          owners,
          `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`,
        );
      } else controller = name;
    }
  }
}

/** What holds for the metadata of every object, new or changed (`ValidateObjectMeta`). */
export function validateObjectMeta(
  { metadata = {} }: KubernetesObject,
  namespaced: boolean,
  checkName: NameCheck,
  errors: Errors,
): void {
  if (metadata.generateName) {
    invalidAll(errors, 'metadata.generateName', metadata.generateName, asPrefix(checkName)(metadata.generateName));
  }
  if (metadata.name) invalidAll(errors, 'metadata.name', metadata.name, checkName(metadata.name));
  if (!namespaced && metadata.namespace) forbidden(errors, 'metadata.namespace', 'not allowed on this type');
  if ((metadata.generation ?? 0) < 0) {
    invalid(errors, 'metadata.generation', metadata.generation, 'must be greater than or equal to 0');
  }
  validateLabels(metadata.labels, 'metadata.labels', errors);
  validateAnnotations(metadata.annotations, 'metadata.annotations', errors);
  if (metadata.ownerReferences !== undefined) validateOwnerReferences(metadata.ownerReferences, errors);
  validateFinalizers(metadata, errors);
}

function validateFinalizers({ finalizers }: ObjectMeta, errors: Errors): void {
  const field = 'metadata.finalizers';
  if (finalizers === undefined) return;
  for (const finalizer of finalizers) invalidAll(errors, field, finalizer, labelKeyErrors(finalizer));
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    invalid(errors, field, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set');
  }
}
