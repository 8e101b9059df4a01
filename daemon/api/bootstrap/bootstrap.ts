import { isApiError } from '../../apimachinery/api-error.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Identity } from '../../client/api-client.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { Registry } from '../registry/registry.ts';
import type { WriteRequest } from '../registry/writes.ts';

/** The API server's own identity: what it writes for itself passes admission as everything does. */
export const selfIdentity: Identity = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] };

export const selfWrite: WriteRequest = {
  identity: selfIdentity,
  dryRun: false,
  fieldManager: 'kube-apiserver',
  fieldValidation: 'Ignore',
  warn: () => undefined,
};

/** Creates an object unless it is there. Several servers may do so at once. */
export async function ensure(
  registry: Registry,
  group: string,
  version: string,
  resource: string,
  object: KubernetesObject,
): Promise<void> {
  const row = registry.require(group, version, resource);
  const { namespace = '', name = '' } = object.metadata ?? {};
  if (registry.objects.cached(row, namespace === '' ? name : `${namespace}/${name}`) !== undefined) return;
  try {
    await registry.writes.createObject(row, namespace, cloneObject(object), selfWrite);
  } catch (error) {
    if (!isApiError(error, 'AlreadyExists')) throw error;
  }
}

/** Creates the object, or brings what `change` says to the one that is there. */
export async function reconcile(
  registry: Registry,
  group: string,
  version: string,
  resource: string,
  object: KubernetesObject,
  change: (current: KubernetesObject) => KubernetesObject,
): Promise<void> {
  await ensure(registry, group, version, resource, object);
  const row = registry.require(group, version, resource);
  const { namespace = '', name = '' } = object.metadata ?? {};
  await registry.writes.update({ row, namespace, name, subresource: '' }, change, selfWrite);
}

const systemNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

const priorityClasses = [
  {
    name: 'system-node-critical',
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
  {
    name: 'system-cluster-critical',
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
];

/** Directories on the nodes: what a claim gets that names no class. Whoever wants another default takes the mark off. */
const localPathClass = {
  metadata: {
    name: 'local-path',
    annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
  },
  provisioner: 'balsa.io/local-path',
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
};

/** Namespaces, priority classes and the storage class that every cluster has. */
export async function ensureSystemObjects(registry: Registry): Promise<void> {
  await Promise.all(systemNamespaces.map((name) => ensure(registry, '', 'v1', 'namespaces', { metadata: { name } })));
  for (const { name, value, description } of priorityClasses) {
    const object = { metadata: { name }, value, description, preemptionPolicy: 'PreemptLowerPriority' };
    await ensure(registry, 'scheduling.k8s.io', 'v1', 'priorityclasses', object);
  }
  await ensure(registry, 'storage.k8s.io', 'v1', 'storageclasses', localPathClass);
}

/** `kube-system/extension-apiserver-authentication`: how an extension API server knows requests from this one. */
export async function publishAuthentication(
  registry: Registry,
  options: { readonly clientCa: string; readonly requestHeaderCa?: string },
): Promise<void> {
  const data: Record<string, string> = { 'client-ca-file': options.clientCa };
  if (options.requestHeaderCa !== undefined) {
    data['requestheader-client-ca-file'] = options.requestHeaderCa;
    data['requestheader-allowed-names'] = JSON.stringify(['front-proxy-client']);
    data['requestheader-extra-headers-prefix'] = JSON.stringify(['X-Remote-Extra-']);
    data['requestheader-group-headers'] = JSON.stringify(['X-Remote-Group']);
    data['requestheader-username-headers'] = JSON.stringify(['X-Remote-User']);
    data['requestheader-uid-headers'] = JSON.stringify(['X-Remote-Uid']);
  }
  const object = { metadata: { name: 'extension-apiserver-authentication', namespace: 'kube-system' }, data };
  await reconcile(
    registry,
    '',
    'v1',
    'configmaps',
    object,
    (current) => ({ ...cloneObject(current), data }) as KubernetesObject,
  );
}
