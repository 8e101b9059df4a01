import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import * as batch from './batch.ts';
import * as core from './core.ts';
import * as data from './data.ts';
import type { Errors } from './field-error.ts';
import { dns1035Label, dns1123Label, dns1123Subdomain, ipMessage, isIp, pathSegment } from './names.ts';
import * as networking from './networking.ts';
import type { NameCheck } from './object-meta.ts';
import * as volumes from './persistent-volumes.ts';
import * as platform from './platform.ts';
import * as pod from './pod.ts';
import * as podSubresources from './pod-subresources.ts';
import * as quotas from './quotas.ts';
import * as rbac from './rbac.ts';
import * as service from './service.ts';
import * as webhooks from './webhooks.ts';
import * as workloads from './workloads.ts';

type Validate = (object: never, errors: Errors) => void;
type ValidateUpdate = (object: never, old: never, errors: Errors) => void;

/** The rules of a kind, beyond those of all metadata. */
export interface KindRules {
  /** Default: a DNS-1123 subdomain. */
  readonly name?: NameCheck;
  readonly validate?: Validate;
  /** Of the main path; default: `validate` of the new object. */
  readonly validateUpdate?: ValidateUpdate;
  readonly validateStatusUpdate?: ValidateUpdate;
  readonly subresources?: Readonly<Record<string, ValidateUpdate>>;
}

const ipName: NameCheck = (name) => (isIp(name) ? [] : [ipMessage]);

const rules: Readonly<Record<string, KindRules>> = {
  '/configmaps': { validate: data.validateConfigMap, validateUpdate: data.validateConfigMapUpdate },
  '/endpoints': { validate: service.validateEndpoints },
  '/events': { validate: core.validateEvent },
  '/limitranges': { validate: quotas.validateLimitRange },
  '/namespaces': {
    name: dns1123Label,
    validate: core.validateNamespace,
    validateStatusUpdate: core.validateNamespaceStatus,
    subresources: { finalize: core.validateNamespaceFinalize },
  },
  '/nodes': {
    validate: core.validateNode,
    validateUpdate: core.validateNodeUpdate,
    validateStatusUpdate: core.validateNodeStatusUpdate,
  },
  '/persistentvolumeclaims': {
    validate: volumes.validatePersistentVolumeClaim,
    validateUpdate: volumes.validatePersistentVolumeClaimUpdate,
  },
  '/persistentvolumes': {
    validate: volumes.validatePersistentVolume,
    validateUpdate: volumes.validatePersistentVolumeUpdate,
  },
  '/pods': {
    validate: pod.validatePod,
    validateUpdate: pod.validatePodUpdate,
    validateStatusUpdate: podSubresources.validatePodStatusUpdate,
    subresources: { ephemeralcontainers: pod.validateEphemeralUpdate, resize: podSubresources.validatePodResize },
  },
  '/podtemplates': { validate: workloads.validatePodTemplateObject },
  '/replicationcontrollers': { validate: workloads.validateReplicationController },
  '/resourcequotas': { validate: quotas.validateResourceQuota, validateUpdate: quotas.validateResourceQuotaUpdate },
  '/secrets': { validate: data.validateSecret, validateUpdate: data.validateSecretUpdate },
  '/services': {
    name: dns1035Label,
    validate: service.validateService,
    validateUpdate: service.validateServiceUpdate,
    validateStatusUpdate: service.validateServiceStatus,
  },
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': { validate: webhooks.validateWebhooks },
  'admissionregistration.k8s.io/validatingadmissionpolicies': { validate: webhooks.validateAdmissionPolicy },
  'admissionregistration.k8s.io/validatingadmissionpolicybindings': { validate: webhooks.validatePolicyBinding },
  'admissionregistration.k8s.io/validatingwebhookconfigurations': { validate: webhooks.validateWebhooks },
  'apiextensions.k8s.io/customresourcedefinitions': {
    validate: platform.validateCustomResourceDefinition,
    validateUpdate: platform.validateCustomResourceDefinitionUpdate,
  },
  'apiregistration.k8s.io/apiservices': { name: pathSegment, validate: platform.validateApiService },
  'apps/controllerrevisions': {
    validate: workloads.validateControllerRevision,
    validateUpdate: workloads.validateControllerRevisionUpdate,
  },
  'apps/daemonsets': { validate: workloads.validateDaemonSet, validateUpdate: workloads.validateDaemonSetUpdate },
  'apps/deployments': { validate: workloads.validateDeployment, validateUpdate: workloads.validateDeploymentUpdate },
  'apps/replicasets': { validate: workloads.validateReplicaSet, validateUpdate: workloads.validateReplicaSetUpdate },
  'apps/statefulsets': {
    validate: workloads.validateStatefulSet,
    validateUpdate: workloads.validateStatefulSetUpdate,
  },
  'autoscaling/horizontalpodautoscalers': { name: pathSegment, validate: platform.validateAutoscaler },
  'autoscaling/v1/horizontalpodautoscalers': { name: pathSegment, validate: platform.validateAutoscalerV1 },
  'batch/cronjobs': { validate: batch.validateCronJob },
  'batch/jobs': { validate: batch.validateJob, validateUpdate: batch.validateJobUpdate },
  'certificates.k8s.io/certificatesigningrequests': {
    name: pathSegment,
    validate: platform.validateCertificateRequest,
  },
  'coordination.k8s.io/leases': { validate: platform.validateLease },
  'discovery.k8s.io/endpointslices': {
    validate: service.validateEndpointSlice,
    validateUpdate: service.validateEndpointSliceUpdate,
  },
  'flowcontrol.apiserver.k8s.io/flowschemas': {},
  'networking.k8s.io/ingressclasses': {
    validate: networking.validateIngressClass,
    validateUpdate: networking.validateIngressClassUpdate,
  },
  'networking.k8s.io/ingresses': { validate: networking.validateIngress },
  'networking.k8s.io/ipaddresses': { name: ipName, validate: networking.validateIpAddress },
  'networking.k8s.io/networkpolicies': { validate: networking.validateNetworkPolicy },
  'networking.k8s.io/servicecidrs': {
    validate: networking.validateServiceCidr,
    validateUpdate: networking.validateServiceCidrUpdate,
  },
  'node.k8s.io/runtimeclasses': {
    validate: platform.validateRuntimeClass,
    validateUpdate: platform.validateRuntimeClassUpdate,
  },
  'policy/poddisruptionbudgets': { validate: platform.validateDisruptionBudget },
  'rbac.authorization.k8s.io/clusterrolebindings': {
    name: pathSegment,
    validate: rbac.validateClusterRoleBinding,
    validateUpdate: rbac.validateClusterRoleBindingUpdate,
  },
  'rbac.authorization.k8s.io/clusterroles': { name: pathSegment, validate: rbac.validateClusterRole },
  'rbac.authorization.k8s.io/rolebindings': {
    name: pathSegment,
    validate: rbac.validateRoleBinding,
    validateUpdate: rbac.validateRoleBindingUpdate,
  },
  'rbac.authorization.k8s.io/roles': { name: pathSegment, validate: rbac.validateRole },
  'scheduling.k8s.io/priorityclasses': {
    validate: platform.validatePriorityClass,
    validateUpdate: platform.validatePriorityClassUpdate,
  },
  'storage.k8s.io/csidrivers': { validate: platform.validateCsiDriver },
  'storage.k8s.io/storageclasses': {
    validate: platform.validateStorageClass,
    validateUpdate: platform.validateStorageClassUpdate,
  },
  'storage.k8s.io/volumeattachments': {
    validate: platform.validateVolumeAttachment,
    validateUpdate: platform.validateVolumeAttachmentUpdate,
  },
};

const noRules: KindRules = {};

export function rulesOf({ group, version, resource }: Resource): KindRules {
  return rules[`${group}/${version}/${resource}`] ?? rules[`${group}/${resource}`] ?? noRules;
}

/** The rules' functions see only objects of their own kind: the one cast is here. */
export function runValidate(rule: Validate | undefined, object: KubernetesObject, errors: Errors): void {
  (rule as ((object: KubernetesObject, errors: Errors) => void) | undefined)?.(object, errors);
}

export function runValidateUpdate(
  rule: ValidateUpdate | undefined,
  object: KubernetesObject,
  old: KubernetesObject,
  errors: Errors,
): void {
  (rule as ((object: KubernetesObject, old: KubernetesObject, errors: Errors) => void) | undefined)?.(
    object,
    old,
    errors,
  );
}

export { dns1123Subdomain as defaultNameCheck };
