import { labelKeyErrors, labelValueErrors } from '../../apimachinery/label-syntax.ts';
import type { Event, Namespace, Node } from '../../apimachinery/types/core-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import { duplicate, type Errors, forbidden, invalid, invalidAll } from './field-error.ts';
import { cidrMessage, isCidr } from './names.ts';
import { validateQuantityOf } from './resources.ts';
import { validateTaintEffect } from './scheduling.ts';

/** The path is that of the original, which reports taints below metadata. */
function validateTaints(taints: NonNullable<Node['spec']['taints']>, errors: Errors): void {
  const seen = new Set<string>();
  for (const [index, taint] of taints.entries()) {
    const at = `metadata.taints[${index}]`;
    const { key, value = '', effect } = taint;
    invalidAll(errors, `${at}.key`, key, labelKeyErrors(key));
    const messages = labelValueErrors(value);
    if (messages.length > 0) invalid(errors, `${at}.value`, value, messages.join(';'));
    validateTaintEffect(effect, false, `${at}.effect`, errors);
    const unique = `${key}:${effect}`;
    if (seen.has(unique)) {
      const detail = `Duplicate value: ${JSON.stringify(taint)}: taints must be unique by key and effect pair`;
      errors.push({ type: 'FieldValueDuplicate', field: at, detail });
    }
    seen.add(unique);
  }
}

function validateNodeStatus({ status }: Node, errors: Errors): void {
  for (const list of ['capacity', 'allocatable'] as const) {
    for (const [name, text] of Object.entries(status?.[list] ?? {})) {
      validateQuantityOf(name, text, `status.${list}.${name}`, errors);
    }
  }
}

export function validateNode(node: Node, errors: Errors): void {
  const { spec } = node;
  if (spec.taints !== undefined) validateTaints(spec.taints, errors);
  validateNodeStatus(node, errors);
  for (const [index, cidr] of (spec.podCIDRs ?? []).entries()) {
    if (!isCidr(cidr)) invalid(errors, `spec.podCIDRs[${index}]`, cidr, cidrMessage);
  }
}

export function validateNodeUpdate(node: Node, old: Node, errors: Errors): void {
  const before = old.spec.podCIDRs ?? [];
  if (before.length > 0 && !equalJson(node.spec.podCIDRs ?? [], before)) {
    forbidden(errors, 'spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid');
  }
  if (old.spec.providerID && node.spec.providerID !== old.spec.providerID) {
    forbidden(errors, 'spec.providerID', 'node updates may not change providerID except from "" to valid');
  }
  validateNode(node, errors);
}

export function validateNodeStatusUpdate(node: Node, _old: Node, errors: Errors): void {
  validateNodeStatus(node, errors);
  const seen = new Set<string>();
  for (const [index, address] of (node.status?.addresses ?? []).entries()) {
    const key = `${address.type}/${address.address}`;
    if (seen.has(key)) duplicate(errors, `status.addresses[${index}]`, address);
    seen.add(key);
  }
}

/** Finalizers of namespaces that go by a short name. */
const shortFinalizers = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

function validateSpecFinalizers({ spec }: Namespace, withIndex: boolean, errors: Errors): void {
  for (const [index, finalizer] of (spec.finalizers ?? []).entries()) {
    const field = withIndex ? `spec.finalizers[${index}]` : 'spec.finalizers';
    invalidAll(errors, field, finalizer, labelKeyErrors(finalizer));
    if (!finalizer.includes('/') && !shortFinalizers.has(finalizer)) {
      invalid(errors, field, finalizer, 'name is neither a standard finalizer name nor is it fully qualified');
    }
  }
}

export function validateNamespace(namespace: Namespace, errors: Errors): void {
  validateSpecFinalizers(namespace, false, errors);
}

export function validateNamespaceFinalize(namespace: Namespace, _old: Namespace, errors: Errors): void {
  validateSpecFinalizers(namespace, true, errors);
}

/** Its phase says whether it is being deleted, and nothing else. */
export function validateNamespaceStatus(namespace: Namespace, _old: Namespace, errors: Errors): void {
  const phase = namespace.status?.phase;
  if (namespace.metadata.deletionTimestamp === undefined) {
    if (phase !== 'Active') {
      invalid(errors, 'status.Phase', phase, "may only be 'Active' if `deletionTimestamp` is empty");
    }
  } else if (phase !== 'Terminating') {
    invalid(errors, 'status.Phase', phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
  }
}

export function validateEvent(event: Event, errors: Errors): void {
  const { involvedObject, metadata } = event;
  const namespace = involvedObject.namespace ?? '';
  const expected = namespace === '' ? 'default' : namespace;
  if (
    metadata.namespace !== undefined &&
    metadata.namespace !== expected &&
    !(namespace === '' && metadata.namespace === 'kube-system')
  ) {
    invalid(errors, 'involvedObject.namespace', namespace, 'does not match event.namespace');
  }
}
