import { labelKeyErrors, labelValueErrors } from '../../apimachinery/label-syntax.ts';
import type { Event, Namespace, Node } from '../../apimachinery/types/core-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import { duplicate, type Errors, forbidden, invalid, invalidAll } from './field-error.ts';
import { cidrMessage, isCidr } from './names.ts';
import { validateTaintEffect } from './scheduling.ts';

export function validateNode({ spec }: Node, errors: Errors): void {
  const taints = new Set<string>();
  for (const [index, { key, value = '', effect }] of (spec.taints ?? []).entries()) {
    const at = `spec.taints[${index}]`;
    invalidAll(errors, `${at}.key`, key, labelKeyErrors(key));
    invalidAll(errors, `${at}.value`, value, labelValueErrors(value));
    validateTaintEffect(effect, false, `${at}.effect`, errors);
    const unique = `${key}:${effect}`;
    if (taints.has(unique)) duplicate(errors, at, spec.taints![index]);
    taints.add(unique);
  }
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
