import type { CustomResourceDefinition } from '../../../apimachinery/types/apiextensions-v1.ts';
import type { APIService } from '../../../apimachinery/types/apiregistration-v1.ts';
import type { CertificateSigningRequest } from '../../../apimachinery/types/certificates-v1.ts';
import type { Lease } from '../../../apimachinery/types/coordination-v1.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../../apimachinery/types/flowcontrol-v1.ts';
import type { PodDisruptionBudget } from '../../../apimachinery/types/policy-v1.ts';
import type { DeviceRequest, ResourceClaim, ResourceClaimTemplate } from '../../../apimachinery/types/resource-v1.ts';
import type { PriorityClass } from '../../../apimachinery/types/scheduling-v1.ts';

export function defaultPriorityClass(priorityClass: PriorityClass): void {
  priorityClass.preemptionPolicy ??= 'PreemptLowerPriority';
  priorityClass.value ??= 0;
}

export function defaultLease(lease: Lease): void {
  lease.spec ??= {};
}

export function defaultDisruptionBudget(budget: PodDisruptionBudget): void {
  budget.spec ??= {};
  budget.status ??= { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
}

export function defaultCertificateSigningRequest(request: CertificateSigningRequest): void {
  request.status ??= {};
}

export function defaultApiService(service: APIService): void {
  service.status ??= {};
  if (service.spec?.service !== undefined) service.spec.service.port ??= 443;
}

export function defaultCustomResourceDefinition(crd: CustomResourceDefinition): void {
  const { spec } = crd;
  if (spec?.names === undefined) return;
  spec.names.singular ||= (spec.names.kind ?? '').toLowerCase();
  spec.names.listKind ||= spec.names.kind ? `${spec.names.kind}List` : undefined;
  spec.conversion ??= { strategy: 'None' };
  spec.conversion.strategy ||= 'None';
  const { service } = spec.conversion.webhook?.clientConfig ?? {};
  if (service !== undefined) service.port ??= 443;
}

export function defaultFlowSchema(schema: FlowSchema): void {
  schema.spec ??= { priorityLevelConfiguration: { name: '' } };
  schema.spec.matchingPrecedence ||= 1000;
  schema.status ??= {};
}

export function defaultPriorityLevel(level: PriorityLevelConfiguration): void {
  level.spec ??= { type: '' };
  level.status ??= {};
  const { exempt, limited } = level.spec;
  if (level.spec.type === 'Exempt' || exempt !== undefined) {
    level.spec.exempt ??= {};
    level.spec.exempt.nominalConcurrencyShares ??= 0;
    level.spec.exempt.lendablePercent ??= 0;
  }
  if (limited !== undefined) {
    limited.nominalConcurrencyShares ??= 30;
    limited.lendablePercent ??= 0;
    const { queuing } = limited.limitResponse ?? {};
    if (queuing !== undefined) {
      queuing.handSize ||= 8;
      queuing.queues ||= 64;
      queuing.queueLengthLimit ||= 50;
    }
  }
}

function defaultDeviceRequests(requests: readonly DeviceRequest[] | undefined): void {
  for (const request of requests ?? []) {
    const exactly = request.exactly;
    if (exactly !== undefined) {
      exactly.allocationMode ||= 'ExactCount';
      if (exactly.allocationMode === 'ExactCount') exactly.count ||= 1;
    }
    for (const alternative of request.firstAvailable ?? []) {
      alternative.allocationMode ||= 'ExactCount';
      if (alternative.allocationMode === 'ExactCount') alternative.count ||= 1;
    }
  }
}

export function defaultResourceClaim(claim: ResourceClaim): void {
  claim.spec ??= {};
  claim.spec.devices ??= {};
  claim.status ??= {};
  defaultDeviceRequests(claim.spec.devices.requests);
}

export function defaultResourceClaimTemplate(template: ResourceClaimTemplate): void {
  template.spec ??= { spec: {} };
  template.spec.spec ??= {};
  template.spec.spec.devices ??= {};
  defaultDeviceRequests(template.spec.spec.devices.requests);
}
