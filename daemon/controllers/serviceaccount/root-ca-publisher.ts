import { isApiError } from '../../apimachinery/api-error.ts';
import type { ConfigMap, Namespace } from '../../apimachinery/types/core-v1.ts';
import { configmaps, namespaces } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { isNamespaceTerminating } from '../workload/pod-control.ts';
import { isActive } from './service-accounts.ts';

/** Mounted into every pod beside its token. */
export const rootCaName = 'kube-root-ca.crt';

const descriptionAnnotation = 'kubernetes.io/description';
const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal ' +
  'service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

/** Keeps the bundle that pods verify the API with in a ConfigMap of every namespace. */
export function startRootCaPublisher(context: ControllerContext, workers: number): void {
  const data = { 'ca.crt': context.settings.rootCa };
  const queue = context.reconciler('root_ca_cert_publisher', workers, async (name) => {
    const namespace = namespaceInformer.lister.get(name);
    if (namespace === undefined || !isActive(namespace)) return;
    const existing = maps.lister.get(`${name}/${rootCaName}`);
    try {
      if (existing === undefined) {
        await context.client.create(configmaps, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: rootCaName, namespace: name, annotations: { [descriptionAnnotation]: description } },
          data,
        });
      } else if (!isCurrent(existing)) {
        const annotations = { ...existing.metadata.annotations, [descriptionAnnotation]: description };
        await context.client.update(configmaps, { ...existing, metadata: { ...existing.metadata, annotations }, data });
      }
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
    }
  });
  const isCurrent = (map: ConfigMap): boolean =>
    Object.keys(map.data ?? {}).length === 1 &&
    map.data?.['ca.crt'] === data['ca.crt'] &&
    (map.metadata.annotations?.[descriptionAnnotation] ?? '') !== '';
  const enqueue = (namespace: Namespace): void => queue.add(namespace.metadata.name ?? '');
  const namespaceInformer = context.watch(namespaces, { onAdd: enqueue, onUpdate: enqueue });
  const mapChanged = (map: ConfigMap): void => {
    if (map.metadata.name === rootCaName) queue.add(map.metadata.namespace ?? '');
  };
  const maps = context.watch(configmaps, { onUpdate: mapChanged, onDelete: mapChanged });
}
