import { isApiError } from '../apimachinery/api-error.ts';
import type { Ingress, IngressClass } from '../apimachinery/types/networking-v1.ts';
import { endpointslices, ingressclasses, ingresses, nodes } from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';
import { createSharedInformers } from '../client/shared-informers.ts';
import { createWorkQueue } from '../client/work-queue.ts';
import type { Logger } from '../log/logger.ts';
import { internalIpsOf } from '../network/routes.ts';
import { className, controllerName, isOurs } from './ingress-class.ts';

const balsaClass: IngressClass = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'IngressClass',
  metadata: { name: className, annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
  spec: { controller: controllerName },
};

/**
 * The cluster's part of ingress, run by the leader: makes the IngressClass and writes the addresses of the nodes that serve
 * Ingresses (servers that are ready) to the status of each.
 */
export async function startIngressStatus(options: {
  /** Acts as `system:serviceaccount:kube-system:balsa-ingress`. */
  readonly client: ApiClient;
  readonly logger: Logger;
}): Promise<{ stop(): Promise<void> }> {
  const { client, logger } = options;
  const informers = createSharedInformers(client, logger);
  const ingressInformer = informers.informer(ingresses);
  const classInformer = informers.informer(ingressclasses);
  const nodeInformer = informers.informer(nodes);
  // The addresses at which servers answer the API.
  const serverInformer = informers.informer(endpointslices, {
    namespace: 'default',
    labelSelector: 'kubernetes.io/service-name=kubernetes',
  });
  const addresses = (): string[] => {
    const servers = new Set(
      serverInformer.lister
        .list()
        .flatMap((slice) => (slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses)),
    );
    return nodeInformer.lister
      .list()
      .filter((node) => node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'))
      .flatMap((node) => internalIpsOf(node))
      .filter((ip) => servers.has(ip))
      .sort();
  };
  const reconcile = async (key: string): Promise<void> => {
    const ingress = ingressInformer.lister.get(key);
    if (ingress === undefined || ingress.metadata.deletionTimestamp !== undefined) return;
    const current = addressesOf(ingress);
    const wanted = isOurs(ingress, classInformer.lister.list()) ? addresses() : undefined;
    // Another controller's Ingress is none of our business.
    if (wanted === undefined || wanted.length === 0 || wanted.join() === current.join()) return;
    const { namespace, name } = ingress.metadata;
    await client.patch(
      ingresses,
      { namespace: namespace ?? '', name: name ?? '' },
      { status: { loadBalancer: { ingress: wanted.map((ip) => ({ ip })) } } },
      { type: 'merge', subresource: 'status' },
    );
  };
  const queue = createWorkQueue('ingress_status', { logger });
  const keyOf = (ingress: Ingress): string => `${ingress.metadata.namespace}/${ingress.metadata.name}`;
  const all = (): void => {
    for (const ingress of ingressInformer.lister.list()) queue.add(keyOf(ingress));
  };
  let last = '';
  const nodesChanged = (): void => {
    const now = addresses().join();
    if (now !== last) all();
    last = now;
  };
  const stops = [
    ingressInformer.addHandler({
      onAdd: (ingress) => queue.add(keyOf(ingress)),
      onUpdate: (ingress) => queue.add(keyOf(ingress)),
    }),
    classInformer.addHandler({ onAdd: all, onUpdate: all, onDelete: all }),
    nodeInformer.addHandler({ onAdd: nodesChanged, onUpdate: nodesChanged, onDelete: nodesChanged }),
    serverInformer.addHandler({ onAdd: nodesChanged, onUpdate: nodesChanged, onDelete: nodesChanged }),
  ];
  await informers.start();
  await createClass(client, classInformer.lister.list(), logger);
  queue.run(reconcile, 2);
  return {
    async stop() {
      for (const stop of stops) stop();
      await queue.shutDown();
      await informers.stop();
    },
  };
}

const addressesOf = (ingress: Ingress): string[] =>
  (ingress.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip === undefined ? [] : [ip]));

/** What users changed on it stays; another class that is the default already keeps that. */
async function createClass(client: ApiClient, existing: readonly IngressClass[], logger: Logger): Promise<void> {
  if (existing.some(({ metadata }) => metadata.name === className)) return;
  const isDefault = ({ metadata }: IngressClass): boolean =>
    metadata.annotations?.['ingressclass.kubernetes.io/is-default-class'] === 'true';
  const wanted = existing.some(isDefault) ? { ...balsaClass, metadata: { name: className } } : balsaClass;
  try {
    await client.create(ingressclasses, wanted);
  } catch (error) {
    // Made by another leader meanwhile; anything else must not keep the leader's other roles from starting.
    if (!isApiError(error, 'AlreadyExists')) logger.error({ err: error }, 'cannot create the IngressClass');
  }
}
