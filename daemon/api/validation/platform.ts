import type { CustomResourceDefinition } from '../../apimachinery/types/apiextensions-v1.ts';
import type { APIService } from '../../apimachinery/types/apiregistration-v1.ts';
import type { HorizontalPodAutoscaler as AutoscalerV1 } from '../../apimachinery/types/autoscaling-v1.ts';
import type { HorizontalPodAutoscaler } from '../../apimachinery/types/autoscaling-v2.ts';
import type { CertificateSigningRequest } from '../../apimachinery/types/certificates-v1.ts';
import type { Lease } from '../../apimachinery/types/coordination-v1.ts';
import type { RuntimeClass } from '../../apimachinery/types/node-v1.ts';
import type { PodDisruptionBudget } from '../../apimachinery/types/policy-v1.ts';
import type { PriorityClass } from '../../apimachinery/types/scheduling-v1.ts';
import type { CSIDriver, StorageClass, VolumeAttachment } from '../../apimachinery/types/storage-v1.ts';
import { validateDefinitionUpdate, validateVersions } from '../customresources/definition-validation.ts';
import { equalJson } from '../patch/json-value.ts';
import {
  type Errors,
  forbidden,
  immutableMessage,
  invalid,
  invalidAll,
  notSupported,
  required,
} from './field-error.ts';
import { validateLabelSelector } from './label-selector.ts';
import { dns1035Label, dns1123Label, dns1123Subdomain, notNegative, positive, qualifiedName } from './names.ts';
import { validatePodCount } from './workloads.ts';

export function validateDisruptionBudget({ spec }: PodDisruptionBudget, errors: Errors): void {
  const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy } = spec;
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    invalid(errors, 'spec', spec, 'minAvailable and maxUnavailable cannot be both set');
  }
  validatePodCount(minAvailable, 'spec.minAvailable', errors);
  validatePodCount(maxUnavailable, 'spec.maxUnavailable', errors);
  validateLabelSelector(selector, 'spec.selector', errors);
  const policies = ['AlwaysAllow', 'IfHealthyBudget'];
  if (unhealthyPodEvictionPolicy !== undefined && !policies.includes(unhealthyPodEvictionPolicy)) {
    notSupported(errors, 'spec.unhealthyPodEvictionPolicy', unhealthyPodEvictionPolicy, policies);
  }
}

interface AutoscalerBounds {
  minReplicas?: number;
  maxReplicas: number;
  scaleTargetRef: { kind: string; name: string };
}

function validateBounds(spec: AutoscalerBounds, errors: Errors): void {
  const { minReplicas, maxReplicas = 0, scaleTargetRef } = spec;
  if (minReplicas !== undefined && minReplicas < 1) {
    invalid(errors, 'spec.minReplicas', minReplicas, 'must be greater than or equal to 1');
  }
  if (maxReplicas < 1) invalid(errors, 'spec.maxReplicas', maxReplicas, positive);
  if (minReplicas !== undefined && maxReplicas < minReplicas) {
    invalid(errors, 'spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`');
  }
  if (!scaleTargetRef?.kind) required(errors, 'spec.scaleTargetRef.kind');
  if (!scaleTargetRef?.name) required(errors, 'spec.scaleTargetRef.name');
}

const metricTypes = ['ContainerResource', 'External', 'Object', 'Pods', 'Resource'];

export function validateAutoscaler({ spec }: HorizontalPodAutoscaler, errors: Errors): void {
  validateBounds(spec, errors);
  for (const [index, metric] of (spec.metrics ?? []).entries()) {
    const at = `spec.metrics[${index}]`;
    if (!metric.type) required(errors, `${at}.type`, 'must specify a metric source type');
    else if (!metricTypes.includes(metric.type)) notSupported(errors, `${at}.type`, metric.type, metricTypes);
    else if (metric.type === 'Resource') {
      if (metric.resource === undefined)
        required(errors, `${at}.resource`, 'must populate information for the given metric source');
      else if (!metric.resource.name) required(errors, `${at}.resource.name`, 'must specify a resource name');
    }
  }
}

export function validateAutoscalerV1({ spec }: AutoscalerV1, errors: Errors): void {
  validateBounds(spec, errors);
  const target = spec.targetCPUUtilizationPercentage;
  if (target !== undefined && target < 1) invalid(errors, 'spec.targetCPUUtilizationPercentage', target, positive);
}

export function validateLease({ spec }: Lease, errors: Errors): void {
  const { leaseDurationSeconds, leaseTransitions } = spec ?? {};
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) {
    invalid(errors, 'spec.leaseDurationSeconds', leaseDurationSeconds, positive);
  }
  if (leaseTransitions !== undefined && leaseTransitions < 0) {
    invalid(errors, 'spec.leaseTransitions', leaseTransitions, notNegative);
  }
}

/** Above this, priorities are the system's own. */
const highestUserPriority = 1_000_000_000;

export function validatePriorityClass({ metadata, value, preemptionPolicy }: PriorityClass, errors: Errors): void {
  const { name = '' } = metadata;
  if (name.startsWith('system-')) {
    if (name !== 'system-node-critical' && name !== 'system-cluster-critical') {
      forbidden(
        errors,
        'metadata.name',
        "priority class names with 'system-' prefix are reserved for system use only. error: unknown system priority class",
      );
    }
  } else if ((value ?? 0) > highestUserPriority) {
    forbidden(errors, 'value', `maximum allowed value of a user defined priority is ${highestUserPriority}`);
  }
  if (preemptionPolicy !== undefined && !['PreemptLowerPriority', 'Never'].includes(preemptionPolicy)) {
    notSupported(errors, 'preemptionPolicy', preemptionPolicy, ['PreemptLowerPriority', 'Never']);
  }
}

export function validatePriorityClassUpdate(now: PriorityClass, old: PriorityClass, errors: Errors): void {
  validatePriorityClass(now, errors);
  if (now.value !== old.value) forbidden(errors, 'value', 'may not be changed in an update.');
  if (now.preemptionPolicy !== old.preemptionPolicy)
    invalid(errors, 'preemptionPolicy', now.preemptionPolicy, immutableMessage);
}

export function validateStorageClass(storageClass: StorageClass, errors: Errors): void {
  const { provisioner, reclaimPolicy, volumeBindingMode } = storageClass;
  if (!provisioner) required(errors, 'provisioner');
  else invalidAll(errors, 'provisioner', provisioner, qualifiedName(provisioner.toLowerCase()));
  if (reclaimPolicy !== undefined && !['Delete', 'Retain'].includes(reclaimPolicy)) {
    notSupported(errors, 'reclaimPolicy', reclaimPolicy, ['Delete', 'Retain']);
  }
  if (!['Immediate', 'WaitForFirstConsumer'].includes(volumeBindingMode ?? '')) {
    notSupported(errors, 'volumeBindingMode', volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']);
  }
}

export function validateStorageClassUpdate(now: StorageClass, old: StorageClass, errors: Errors): void {
  validateStorageClass(now, errors);
  if (!equalJson(now.parameters ?? {}, old.parameters ?? {})) {
    forbidden(errors, 'parameters', 'updates to parameters are forbidden.');
  }
  if (now.provisioner !== old.provisioner) forbidden(errors, 'provisioner', 'updates to provisioner are forbidden.');
  if (now.reclaimPolicy !== old.reclaimPolicy)
    forbidden(errors, 'reclaimPolicy', 'updates to reclaimPolicy are forbidden.');
  if (now.volumeBindingMode !== old.volumeBindingMode)
    invalid(errors, 'volumeBindingMode', now.volumeBindingMode, immutableMessage);
}

export function validateCsiDriver({ spec }: CSIDriver, errors: Errors): void {
  const policies = ['File', 'None', 'ReadWriteOnceWithFSType'];
  if (!policies.includes(spec.fsGroupPolicy ?? ''))
    notSupported(errors, 'spec.fsGroupPolicy', spec.fsGroupPolicy, policies);
  for (const mode of spec.volumeLifecycleModes ?? []) {
    if (!['Ephemeral', 'Persistent'].includes(mode)) {
      notSupported(errors, 'spec.volumeLifecycleModes', mode, ['Ephemeral', 'Persistent']);
    }
  }
}

export function validateVolumeAttachment({ spec }: VolumeAttachment, errors: Errors): void {
  if (!spec.attacher) required(errors, 'spec.attacher');
  if (!spec.source?.persistentVolumeName && spec.source?.inlineVolumeSpec === undefined) {
    required(errors, 'spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName');
  }
  if (!spec.nodeName) required(errors, 'spec.nodeName');
}

export function validateVolumeAttachmentUpdate(now: VolumeAttachment, old: VolumeAttachment, errors: Errors): void {
  validateVolumeAttachment(now, errors);
  if (!equalJson(now.spec, old.spec)) invalid(errors, 'spec', now.spec, immutableMessage);
}

export function validateRuntimeClass({ handler }: RuntimeClass, errors: Errors): void {
  invalidAll(errors, 'handler', handler ?? '', dns1123Label(handler ?? ''));
}

export function validateRuntimeClassUpdate(now: RuntimeClass, old: RuntimeClass, errors: Errors): void {
  validateRuntimeClass(now, errors);
  if (now.handler !== old.handler) invalid(errors, 'handler', now.handler, immutableMessage);
}

const leastExpirationSeconds = 600;

export function validateCertificateRequest({ spec }: CertificateSigningRequest, errors: Errors): void {
  if (!spec.request) invalid(errors, 'spec.request', '', 'PEM block type must be CERTIFICATE REQUEST');
  else if (!/-----BEGIN CERTIFICATE REQUEST-----/.test(Buffer.from(spec.request, 'base64').toString('latin1'))) {
    invalid(errors, 'spec.request', spec.request, 'PEM block type must be CERTIFICATE REQUEST');
  }
  if ((spec.usages?.length ?? 0) === 0) required(errors, 'spec.usages', 'usages is required');
  if (!spec.signerName) required(errors, 'spec.signerName');
  else if (!/^[^/]+\.[^/]+\/.+$/.test(spec.signerName)) {
    invalid(
      errors,
      'spec.signerName',
      spec.signerName,
      'must be a fully qualified domain and path of the form "example.com/signer-name"',
    );
  }
  if (spec.expirationSeconds !== undefined && spec.expirationSeconds < leastExpirationSeconds) {
    invalid(
      errors,
      'spec.expirationSeconds',
      spec.expirationSeconds,
      'may not specify a duration less than 600 seconds (10 minutes)',
    );
  }
}

export function validateApiService({ metadata, spec }: APIService, errors: Errors): void {
  const group = spec?.group ?? '';
  const version = spec?.version ?? '';
  const expected = `${version}.${group}`;
  if (metadata.name !== expected && metadata.name !== undefined) {
    invalid(errors, 'metadata.name', metadata.name, `must be \`spec.version+"."+spec.group\`: "${expected}"`);
  }
  if (group !== '') invalidAll(errors, 'spec.group', group, dns1123Subdomain(group));
  invalidAll(errors, 'spec.version', version, dns1035Label(version));
  if (!((spec?.groupPriorityMinimum ?? 0) > 0) || (spec?.groupPriorityMinimum ?? 0) > 20_000) {
    invalid(
      errors,
      'spec.groupPriorityMinimum',
      spec?.groupPriorityMinimum ?? 0,
      'must be positive and less than 20000',
    );
  }
  if (!((spec?.versionPriority ?? 0) > 0) || (spec?.versionPriority ?? 0) > 1000) {
    invalid(errors, 'spec.versionPriority', spec?.versionPriority ?? 0, 'must be positive and less than 1000');
  }
  if (spec?.service !== undefined) {
    if (!spec.service.namespace) required(errors, 'spec.service.namespace');
    if (!spec.service.name) required(errors, 'spec.service.name');
    if (spec.caBundle && spec.insecureSkipTLSVerify === true) {
      invalid(errors, 'spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present');
    }
  }
}

export function validateCustomResourceDefinitionUpdate(
  next: CustomResourceDefinition,
  old: CustomResourceDefinition,
  errors: Errors,
): void {
  validateCustomResourceDefinition(next, errors);
  if (next.spec !== undefined && old.spec !== undefined) validateDefinitionUpdate(next, old, errors);
}

/** The frame of a definition; what its schemas may say is the business of the part that serves custom resources. */
export function validateCustomResourceDefinition({ metadata, spec }: CustomResourceDefinition, errors: Errors): void {
  if (spec === undefined) {
    required(errors, 'spec');
    return;
  }
  const { group, names, scope, versions = [] } = spec;
  const expected = `${names?.plural ?? ''}.${group ?? ''}`;
  if (metadata.name !== expected)
    invalid(errors, 'metadata.name', metadata.name ?? '', 'must be spec.names.plural+"."+spec.group');
  if (!group) required(errors, 'spec.group');
  else {
    invalidAll(errors, 'spec.group', group, dns1123Subdomain(group));
    if (group.split('.').length < 2) invalid(errors, 'spec.group', group, 'should be a domain with at least one dot');
  }
  if (!['Cluster', 'Namespaced'].includes(scope))
    notSupported(errors, 'spec.scope', scope ?? '', ['Cluster', 'Namespaced']);
  if (versions.length === 0)
    required(errors, 'spec.versions', 'must have exactly one version marked as storage version');
  else if (versions.filter((version) => version.storage).length !== 1) {
    invalid(
      errors,
      'spec.versions',
      versions.map(({ name }) => name),
      'must have exactly one version marked as storage version',
    );
  }
  for (const [index, version] of versions.entries()) {
    invalidAll(errors, `spec.versions[${index}].name`, version.name, dns1035Label(version.name));
    if (version.schema?.openAPIV3Schema === undefined) {
      required(errors, `spec.versions[${index}].schema.openAPIV3Schema`, 'schemas are required');
    }
  }
  validateVersions({ metadata, spec }, errors);
  for (const name of ['plural', 'singular', 'kind', 'listKind'] as const) {
    const value = names?.[name];
    if (!value) required(errors, `spec.names.${name}`);
    else invalidAll(errors, `spec.names.${name}`, value, dns1035Label(value.toLowerCase()));
  }
}
