import { isApiError } from '../../apimachinery/api-error.ts';
import type { Namespace } from '../../apimachinery/types/core-v1.ts';
import { namespaces, serviceaccounts } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { isNamespaceTerminating } from '../workload/pod-control.ts';

const accountName = 'default';

/** Every namespace has the service account that pods run as unless told otherwise. */
export function startServiceAccountController(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('serviceaccount', workers, async (name) => {
    const namespace = namespaceInformer.lister.get(name);
    if (namespace === undefined || !isActive(namespace)) return;
    if (accounts.lister.get(`${name}/${accountName}`) !== undefined) return;
    try {
      await context.client.create(serviceaccounts, {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: accountName, namespace: name },
      });
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
    }
  });
  const enqueue = (namespace: Namespace): void => queue.add(namespace.metadata.name ?? '');
  const namespaceInformer = context.watch(namespaces, { onAdd: enqueue, onUpdate: enqueue });
  const accounts = context.watch(serviceaccounts, {
    onDelete: (account) => {
      if (account.metadata.name === accountName) queue.add(account.metadata.namespace ?? '');
    },
  });
}

/** Not on its way out: things may still be created in it. */
export function isActive(namespace: Namespace): boolean {
  return namespace.metadata.deletionTimestamp === undefined && namespace.status?.phase !== 'Terminating';
}
