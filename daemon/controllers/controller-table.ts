import type { ControllerRow } from './controller-context.ts';
import { startDeploymentController } from './deployment/deployment-controller.ts';
import { startEndpointSliceController } from './endpointslice/endpointslice-controller.ts';
import { startNodeLifecycleController } from './node/node-lifecycle.ts';
import { startReplicaSetController, startReplicationController } from './replicaset/replica-controller.ts';
import { startRootCaPublisher } from './serviceaccount/root-ca-publisher.ts';
import { startServiceAccountController } from './serviceaccount/service-accounts.ts';

const row = (
  name: string,
  identity: string,
  workers: number,
  start: ControllerRow['start'],
  eventSource: string = identity,
): ControllerRow => ({ name, identity, workers, start, eventSource });

/** Every controller, and the service account of kube-system it acts as: the roles Kubernetes ships are bound to these. */
export const controllerRows: readonly ControllerRow[] = [
  row('replicaset-controller', 'replicaset-controller', 5, startReplicaSetController),
  row('replicationcontroller-controller', 'replication-controller', 5, startReplicationController),
  row('deployment-controller', 'deployment-controller', 5, startDeploymentController),
  row(
    'endpointslice-controller',
    'endpointslice-controller',
    5,
    startEndpointSliceController,
    'endpoint-slice-controller',
  ),
  row('serviceaccount-controller', 'service-account-controller', 1, startServiceAccountController),
  row('root-ca-certificate-publisher-controller', 'root-ca-cert-publisher', 1, startRootCaPublisher),
  row('node-lifecycle-controller', 'node-controller', 4, startNodeLifecycleController),
];
