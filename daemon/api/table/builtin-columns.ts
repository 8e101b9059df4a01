import type { Resource } from '../../apimachinery/resource.ts';
import type { Column } from '../resources/resource-row.ts';
import * as autoscaler from './autoscaler-columns.ts';
import { ageColumn, nameColumn } from './column.ts';
import * as core from './core-columns.ts';
import * as network from './network-columns.ts';
import * as platform from './platform-columns.ts';
import { podColumns } from './pod-columns.ts';
import * as storage from './storage-columns.ts';
import * as workload from './workload-columns.ts';

/** What kubectl shows of a kind that says nothing of its own. */
export const defaultColumns = [nameColumn, ageColumn];

/** kubectl's columns by group and resource; a version of its own where versions differ. */
const columns: Readonly<Record<string, readonly Column<never>[]>> = {
  '/componentstatuses': core.componentStatusColumns,
  '/configmaps': core.configMapColumns,
  '/endpoints': network.endpointsColumns,
  '/events': core.coreEventColumns,
  '/limitranges': core.limitRangeColumns,
  '/namespaces': core.namespaceColumns,
  '/nodes': core.nodeColumns,
  '/persistentvolumeclaims': core.persistentVolumeClaimColumns,
  '/persistentvolumes': core.persistentVolumeColumns,
  '/pods': podColumns,
  '/podtemplates': workload.podTemplateColumns,
  '/replicationcontrollers': workload.replicationControllerColumns,
  '/resourcequotas': core.resourceQuotaColumns,
  '/secrets': core.secretColumns,
  '/serviceaccounts': core.serviceAccountColumns,
  '/services': network.serviceColumns,
  'admissionregistration.k8s.io/mutatingadmissionpolicies': platform.mutatingPolicyColumns,
  'admissionregistration.k8s.io/mutatingadmissionpolicybindings': platform.policyBindingColumns,
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': platform.webhookColumns,
  'admissionregistration.k8s.io/validatingadmissionpolicies': platform.validatingPolicyColumns,
  'admissionregistration.k8s.io/validatingadmissionpolicybindings': platform.policyBindingColumns,
  'admissionregistration.k8s.io/validatingwebhookconfigurations': platform.webhookColumns,
  'apiextensions.k8s.io/customresourcedefinitions': platform.customResourceDefinitionColumns,
  'apiregistration.k8s.io/apiservices': platform.apiServiceColumns,
  'apps/controllerrevisions': workload.controllerRevisionColumns,
  'apps/daemonsets': workload.daemonSetColumns,
  'apps/deployments': workload.deploymentColumns,
  'apps/replicasets': workload.replicaSetColumns,
  'apps/statefulsets': workload.statefulSetColumns,
  'autoscaling/horizontalpodautoscalers': autoscaler.autoscalerColumns,
  'autoscaling/v1/horizontalpodautoscalers': autoscaler.autoscalerV1Columns,
  'batch/cronjobs': workload.cronJobColumns,
  'batch/jobs': workload.jobColumns,
  'certificates.k8s.io/certificatesigningrequests': platform.certificateRequestColumns,
  'coordination.k8s.io/leases': platform.leaseColumns,
  'discovery.k8s.io/endpointslices': network.endpointSliceColumns,
  'events.k8s.io/events': core.groupEventColumns,
  'flowcontrol.apiserver.k8s.io/flowschemas': platform.flowSchemaColumns,
  'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations': platform.priorityLevelColumns,
  'networking.k8s.io/ingressclasses': network.ingressClassColumns,
  'networking.k8s.io/ingresses': network.ingressColumns,
  'networking.k8s.io/ipaddresses': network.ipAddressColumns,
  'networking.k8s.io/networkpolicies': network.networkPolicyColumns,
  'networking.k8s.io/servicecidrs': network.serviceCidrColumns,
  'node.k8s.io/runtimeclasses': platform.runtimeClassColumns,
  'policy/poddisruptionbudgets': workload.disruptionBudgetColumns,
  'rbac.authorization.k8s.io/clusterrolebindings': platform.roleBindingColumns,
  'rbac.authorization.k8s.io/clusterroles': platform.roleColumns,
  'rbac.authorization.k8s.io/rolebindings': platform.roleBindingColumns,
  'rbac.authorization.k8s.io/roles': platform.roleColumns,
  'resource.k8s.io/resourceclaims': platform.resourceClaimColumns,
  'resource.k8s.io/resourceslices': platform.resourceSliceColumns,
  'scheduling.k8s.io/priorityclasses': platform.priorityClassColumns,
  'storage.k8s.io/csidrivers': storage.csiDriverColumns,
  'storage.k8s.io/csinodes': storage.csiNodeColumns,
  'storage.k8s.io/csistoragecapacities': storage.csiStorageCapacityColumns,
  'storage.k8s.io/storageclasses': storage.storageClassColumns,
  'storage.k8s.io/volumeattachments': storage.volumeAttachmentColumns,
  'storage.k8s.io/volumeattributesclasses': storage.volumeAttributesClassColumns,
};

export function builtinColumns(handle: Resource<never>): readonly Column<never>[] {
  return (
    columns[`${handle.group}/${handle.version}/${handle.resource}`] ??
    columns[`${handle.group}/${handle.resource}`] ??
    defaultColumns
  );
}
