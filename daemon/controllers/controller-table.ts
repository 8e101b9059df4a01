import { startHorizontalPodAutoscaler } from './autoscaling/horizontal-pod-autoscaler.ts';
import { startCertificateApproving } from './certificates/csr-approving.ts';
import { startCertificateCleaner } from './certificates/csr-cleaner.ts';
import { startCertificateSigning } from './certificates/csr-signing.ts';
import type { ControllerRow } from './controller-context.ts';
import { startCronJobController } from './cronjob/cronjob-controller.ts';
import { startDaemonSetController } from './daemonset/daemonset-controller.ts';
import { startDeploymentController } from './deployment/deployment-controller.ts';
import { startDisruptionController } from './disruption/disruption-controller.ts';
import { startEndpointsController } from './endpoints/endpoints-controller.ts';
import { startEndpointSliceController } from './endpointslice/endpointslice-controller.ts';
import { startEndpointSliceMirroring } from './endpointslice/endpointslice-mirroring.ts';
import { startGarbageCollector } from './garbage-collector/garbage-collector.ts';
import { startJobController } from './job/job-controller.ts';
import { startTtlAfterFinishedController } from './job/ttl-after-finished.ts';
import { startNamespaceController } from './namespace/namespace-controller.ts';
import { startNodeIpamController } from './node/node-ipam.ts';
import { startNodeLifecycleController } from './node/node-lifecycle.ts';
import { startTtlController } from './node/node-ttl.ts';
import { startPodGarbageCollector } from './node/pod-garbage.ts';
import { startTaintEvictionController } from './node/taint-eviction.ts';
import { startResourceQuotaController } from './quota/resourcequota-controller.ts';
import { startClusterRoleAggregation } from './rbac/clusterrole-aggregation.ts';
import { startReplicaSetController, startReplicationController } from './replicaset/replica-controller.ts';
import { startRootCaPublisher } from './serviceaccount/root-ca-publisher.ts';
import { startServiceAccountController } from './serviceaccount/service-accounts.ts';
import { startStatefulSetController } from './statefulset/statefulset-controller.ts';
import { startEphemeralVolumeController } from './volume/ephemeral-volumes.ts';
import { startPersistentVolumeBinder } from './volume/persistent-volume-binder.ts';
import { startClaimProtection, startVolumeProtection } from './volume/volume-protection.ts';

const row = (
  name: string,
  identity: string,
  workers: number,
  start: ControllerRow['start'],
  eventSource: string = identity,
): ControllerRow => ({ name, identity, workers, start, eventSource });

/**
 * Every controller, under kube-controller-manager's name for it, and the service account of kube-system it acts as: the
 * default roles are bound to these accounts.
 */
export const controllerRows: readonly ControllerRow[] = [
  row('serviceaccount-controller', 'service-account-controller', 1, startServiceAccountController),
  row('root-ca-certificate-publisher-controller', 'root-ca-cert-publisher', 1, startRootCaPublisher),
  row('replicaset-controller', 'replicaset-controller', 5, startReplicaSetController),
  row('replicationcontroller-controller', 'replication-controller', 5, startReplicationController),
  row('deployment-controller', 'deployment-controller', 5, startDeploymentController),
  row('daemonset-controller', 'daemon-set-controller', 2, startDaemonSetController, 'daemonset-controller'),
  row('statefulset-controller', 'statefulset-controller', 5, startStatefulSetController),
  row('job-controller', 'job-controller', 5, startJobController),
  row('cronjob-controller', 'cronjob-controller', 5, startCronJobController),
  row('ttl-after-finished-controller', 'ttl-after-finished-controller', 5, startTtlAfterFinishedController),
  row('horizontal-pod-autoscaler-controller', 'horizontal-pod-autoscaler', 5, startHorizontalPodAutoscaler),
  row('disruption-controller', 'disruption-controller', 1, startDisruptionController, 'controllermanager'),
  row('clusterrole-aggregation-controller', 'clusterrole-aggregation-controller', 5, startClusterRoleAggregation),
  row(
    'endpointslice-controller',
    'endpointslice-controller',
    5,
    startEndpointSliceController,
    'endpoint-slice-controller',
  ),
  row(
    'endpointslice-mirroring-controller',
    'endpointslicemirroring-controller',
    5,
    startEndpointSliceMirroring,
    'endpoint-slice-mirroring-controller',
  ),
  row('endpoints-controller', 'endpoint-controller', 5, startEndpointsController),
  row('node-ipam-controller', 'node-controller', 1, startNodeIpamController, 'cidrAllocator'),
  row('node-lifecycle-controller', 'node-controller', 4, startNodeLifecycleController),
  row('taint-eviction-controller', 'node-controller', 4, startTaintEvictionController, 'taint-eviction-controller'),
  row('pod-garbage-collector-controller', 'pod-garbage-collector', 1, startPodGarbageCollector),
  row('ttl-controller', 'ttl-controller', 1, startTtlController),
  row(
    'persistentvolume-binder-controller',
    'persistent-volume-binder',
    1,
    startPersistentVolumeBinder,
    'persistentvolume-controller',
  ),
  row('persistentvolumeclaim-protection-controller', 'pvc-protection-controller', 1, startClaimProtection),
  row('persistentvolume-protection-controller', 'pv-protection-controller', 1, startVolumeProtection),
  row(
    'ephemeral-volume-controller',
    'ephemeral-volume-controller',
    1,
    startEphemeralVolumeController,
    'ephemeral_volume',
  ),
  row('certificatesigningrequest-approving-controller', 'certificate-controller', 5, startCertificateApproving),
  row('certificatesigningrequest-signing-controller', 'certificate-controller', 5, startCertificateSigning),
  row('certificatesigningrequest-cleaner-controller', 'certificate-controller', 1, startCertificateCleaner),
  row('resourcequota-controller', 'resourcequota-controller', 5, startResourceQuotaController),
  row('namespace-controller', 'namespace-controller', 5, startNamespaceController),
  row('garbage-collector-controller', 'generic-garbage-collector', 10, startGarbageCollector),
];
