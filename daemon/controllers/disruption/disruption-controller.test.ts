import t from 'tap';
import { findCondition } from '../../apimachinery/conditions.ts';
import { makeControllerReference } from '../../apimachinery/owner-reference.ts';
import type { ClusterRole } from '../../apimachinery/types/rbac-v1.ts';
import { clusterroles, poddisruptionbudgets, pods, replicasets } from '../../apimachinery/types/resources.ts';
import { aggregatedRules } from '../rbac/clusterrole-aggregation.ts';
import { podTemplate, TestCluster } from '../testing/test-cluster.ts';

const labels = { app: 'web' };

async function started(spec: object, ready: number, replicas = 4): Promise<TestCluster> {
  const cluster = new TestCluster({ controllers: ['disruption-controller'] });
  const [set] = cluster.client.seed(replicasets, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { replicas, selector: { matchLabels: labels }, template: podTemplate(labels) },
  });
  for (let i = 0; i < replicas; i++) {
    cluster.client.seed(pods, {
      metadata: {
        name: `web-${i}`,
        namespace: 'default',
        labels,
        ownerReferences: [makeControllerReference(replicasets, set!)],
      },
      spec: { containers: [] },
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: i < ready ? 'True' : 'False' }] },
    });
  }
  cluster.client.seed(poddisruptionbudgets, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { selector: { matchLabels: labels }, ...spec },
  });
  await cluster.start();
  return cluster;
}

const statusOf = async (cluster: TestCluster) => (await cluster.get(poddisruptionbudgets, 'default/web')).status;

t.test('counts what may go', async (t) => {
  for (const [spec, ready, allowed, desired] of [
    [{ minAvailable: 3 }, 4, 1, 3],
    [{ minAvailable: '50%' }, 4, 2, 2],
    [{ maxUnavailable: 1 }, 4, 1, 3],
    [{ maxUnavailable: 1 }, 3, 0, 3],
    [{ maxUnavailable: '50%' }, 3, 1, 2],
  ] as const) {
    const cluster = await started(spec, ready);
    const status = await statusOf(cluster);
    t.match(
      status,
      {
        disruptionsAllowed: allowed,
        desiredHealthy: desired,
        currentHealthy: ready,
        expectedPods: 4,
        observedGeneration: 1,
      },
      JSON.stringify(spec),
    );
    t.match(findCondition(status?.conditions, 'DisruptionAllowed'), {
      status: allowed > 0 ? 'True' : 'False',
      reason: allowed > 0 ? 'SufficientPods' : 'InsufficientPods',
    });
    await cluster.stop();
  }
});

t.test('an eviction under way counts until the pod goes, or for two minutes', async (t) => {
  const cluster = await started({ minAvailable: 2 }, 4);
  const budget = await cluster.get(poddisruptionbudgets, 'default/web');
  await cluster.client.update(
    poddisruptionbudgets,
    {
      ...budget,
      status: { ...budget.status!, disruptionsAllowed: 1, disruptedPods: { 'web-0': '2026-01-01T00:00:00Z' } },
    },
    { subresource: 'status' },
  );
  await cluster.settle();
  t.match(await statusOf(cluster), { disruptionsAllowed: 1, currentHealthy: 3 });
  await cluster.advance(125);
  t.match(await statusOf(cluster), { disruptionsAllowed: 2, currentHealthy: 4 });
  t.equal((await statusOf(cluster))?.disruptedPods, undefined);
  await cluster.stop();
});

t.test('fails safe when the owners cannot be asked', async (t) => {
  const cluster = await started({ maxUnavailable: 1 }, 4);
  await cluster.client.delete(replicasets, { namespace: 'default', name: 'web' });
  const budget = await cluster.get(poddisruptionbudgets, 'default/web');
  await cluster.client.update(poddisruptionbudgets, {
    ...budget,
    metadata: { ...budget.metadata, labels: { touched: '' } },
  });
  await cluster.settle();
  const status = await statusOf(cluster);
  t.equal(status?.disruptionsAllowed, 0);
  t.equal(findCondition(status?.conditions, 'DisruptionAllowed')?.reason, 'SyncFailed');
  await cluster.stop();
});

t.test('aggregates the rules of selected cluster roles', async (t) => {
  const role = (name: string, verb: string, aggregate: boolean): ClusterRole => ({
    metadata: { name, labels: aggregate ? { 'to-view': 'true' } : {} },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: [verb] }],
  });
  const view: ClusterRole = {
    metadata: { name: 'view' },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { 'to-view': 'true' } }] },
    rules: [],
  };
  t.same(aggregatedRules(view, [role('b', 'list', true), role('a', 'get', true), role('c', 'delete', false)]), [
    { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
    { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
  ]);
  const cluster = new TestCluster({ controllers: ['clusterrole-aggregation-controller'] });
  cluster.client.seed(clusterroles, view, role('a', 'get', true));
  await cluster.start();
  t.equal((await cluster.get(clusterroles, 'view')).rules?.length, 1);
  cluster.client.seed(clusterroles, role('b', 'list', true));
  await cluster.settle();
  t.equal((await cluster.get(clusterroles, 'view')).rules?.length, 2);
  await cluster.stop();
});
