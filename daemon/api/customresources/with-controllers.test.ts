import t from 'tap';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import { customresourcedefinitions, namespaces } from '../../apimachinery/types/resources.ts';
import type { ApiClient } from '../../client/api-client.ts';
import { createSharedInformers } from '../../client/shared-informers.ts';
import { controllerRows } from '../../controllers/controller-table.ts';
import { startControllers } from '../../controllers/controllers.ts';
import { builtInResources } from '../../controllers/served-resources.ts';
import { createLogger } from '../../log/logger.ts';
import { startTestingServer } from '../testing-server.ts';

const boxes: Resource = {
  group: 'example.com',
  version: 'v1',
  resource: 'boxes',
  kind: 'Box',
  namespaced: true,
  verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update'],
  subresources: [],
  definition: '',
};

/** Resolves when an event of the watch is the one that is waited for. */
async function seen<T extends KubernetesObject>(
  client: ApiClient,
  resource: Resource<T>,
  wanted: (type: string, object: T) => boolean,
): Promise<void> {
  for await (const event of client.watch(resource, {})) {
    if (event.type !== 'ERROR' && wanted(event.type, event.object)) return;
  }
  throw new Error('the watch ended');
}

t.test('the garbage collector and the namespace controller see custom resources', async (t) => {
  const server = await startTestingServer();
  const { api } = server;
  const logger = createLogger('test', 'error');
  const admin = api.clientFor({ name: 'admin', groups: ['system:masters'] });
  await admin.create(customresourcedefinitions, {
    metadata: { name: 'boxes.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'boxes', kind: 'Box' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  });
  await seen(admin, customresourcedefinitions, (_, { status }) =>
    (status?.conditions ?? []).some(({ type, status: value }) => type === 'Established' && value === 'True'),
  );
  const manager = { name: 'system:kube-controller-manager', groups: ['system:authenticated'] };
  const informers = createSharedInformers(api.clientFor(manager), logger);
  const controllers = await startControllers({
    clientFor: (name) =>
      api.clientFor({
        name: `system:serviceaccount:kube-system:${name}`,
        groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
      }),
    informers,
    logger,
    rootCa: server.ca,
    clusterPodCidr: '10.244.0.0/16',
    resources: () => [...builtInResources, ...api.customResources()],
    rows: controllerRows.filter(({ identity }) =>
      ['generic-garbage-collector', 'namespace-controller'].includes(identity),
    ),
  });
  t.teardown(async () => {
    await controllers.stop();
    await informers.stop();
    await server.stop();
  });

  await admin.create(namespaces, { metadata: { name: 'doomed' }, spec: {} });
  const owner = await admin.create(boxes, { metadata: { name: 'owner', namespace: 'doomed' } });
  const ownerReferences = [{ apiVersion: 'example.com/v1', kind: 'Box', name: 'owner', uid: owner.metadata!.uid! }];
  await admin.create(boxes, { metadata: { name: 'owned', namespace: 'doomed', ownerReferences } });
  await admin.create(boxes, { metadata: { name: 'free', namespace: 'doomed' } });
  const collected = seen(admin, boxes, (type, { metadata }) => type === 'DELETED' && metadata?.name === 'owned');
  await admin.delete(boxes, { namespace: 'doomed', name: 'owner' }, { propagationPolicy: 'Background' });
  await collected;
  t.pass('what a custom resource owns goes with it');

  const emptied = seen(admin, namespaces, (type, { metadata }) => type === 'DELETED' && metadata?.name === 'doomed');
  await admin.delete(namespaces, { name: 'doomed' });
  await emptied;
  t.equal((await admin.list(boxes)).items.length, 0, 'a namespace takes its custom resources with it');
});
