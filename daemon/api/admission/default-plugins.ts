import type { AuthorizerChain } from '../authorization/authorizer.ts';
import type { RbacAuthorizer } from '../authorization/rbac.ts';
import { selfWrite } from '../bootstrap/bootstrap.ts';
import type { CustomResources } from '../customresources/custom-resources.ts';
import type { Registry } from '../registry/registry.ts';
import type { AdmissionPlugin } from './admission.ts';
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from './certificates.ts';
import { cleanUpInstances, refuseTerminating } from './custom-resource-definitions.ts';
import { defaultIngressClass, defaultStorageClass } from './default-classes.ts';
import { defaultTolerationSeconds } from './default-tolerations.ts';
import { limitRanger } from './limit-ranger.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import { nodeRestriction } from './node-restriction.ts';
import { podSecurity } from './pod-security/pod-security.ts';
import { priority } from './priority.ts';
import { rbacEscalation } from './rbac-escalation.ts';
import { resourceQuota } from './resource-quota.ts';
import { runtimeClass } from './runtime-class.ts';
import { serviceAccountAdmission } from './service-account.ts';
import { claimResize, storageObjectInUse } from './storage-protection.ts';
import { taintNodesByCondition } from './taint-nodes.ts';

/** What plug-ins look things up in; functions, for the chain is made before these are. */
export interface AdmissionContext {
  readonly registry: () => Registry;
  readonly customResources: () => CustomResources | undefined;
  readonly rbac: () => RbacAuthorizer;
  readonly authorizer: () => AuthorizerChain;
  /** Webhooks and policies, which come after the plug-ins that are built in. */
  readonly dynamic: readonly AdmissionPlugin[];
}

/** The plug-ins that are on by default, in kube-apiserver's order. */
export function defaultPlugins({
  registry,
  customResources,
  rbac,
  authorizer,
  dynamic,
}: AdmissionContext): AdmissionPlugin[] {
  return [
    namespaceLifecycle(registry),
    limitRanger(registry),
    serviceAccountAdmission(registry),
    nodeRestriction(registry),
    taintNodesByCondition,
    podSecurity(registry),
    priority(registry),
    defaultTolerationSeconds,
    defaultStorageClass(registry),
    storageObjectInUse,
    claimResize(registry),
    runtimeClass(registry),
    certificateApproval(authorizer),
    certificateSigning(authorizer),
    certificateSubjectRestriction,
    defaultIngressClass(registry),
    cleanUpInstances(registry),
    refuseTerminating(customResources),
    rbacEscalation(rbac, authorizer),
    ...dynamic,
    // The last: it charges for what every other step has let through.
    resourceQuota(registry, selfWrite),
  ];
}
