import t from 'tap';
import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import { configmaps, pods, resourcequotas, services } from '../../apimachinery/types/resources.ts';
import { TestCluster } from '../testing/test-cluster.ts';

const container = (cpu: string, memory: string, extra: Partial<Container> = {}): Container => ({
  name: `c${cpu}`,
  resources: { requests: { cpu, memory }, limits: { cpu: '2' } },
  ...extra,
});

const pod = (name: string, spec: Partial<Pod['spec']> = {}): Pod => ({
  metadata: { name, namespace: 'default' },
  spec: { containers: [container('100m', '64Mi')], ...spec },
});

async function used(hard: Record<string, string>, seed: (cluster: TestCluster) => void, spec: object = {}) {
  const cluster = new TestCluster({ controllers: ['resourcequota-controller'] });
  cluster.client.seed(resourcequotas, { metadata: { name: 'q', namespace: 'default' }, spec: { hard, ...spec } });
  seed(cluster);
  await cluster.start();
  await cluster.advance(1);
  const { status } = await cluster.get(resourcequotas, 'default/q');
  return { cluster, used: status?.used, hard: status?.hard };
}

t.test('sums requests and limits, counts objects, and gives back what is gone', async (t) => {
  const hard = {
    'requests.cpu': '1',
    memory: '1Gi',
    'limits.cpu': '10',
    pods: '10',
    'count/configmaps': '5',
    'services.nodeports': '2',
  };
  const result = await used(hard, ({ client }) => {
    client.seed(pods, pod('a'), pod('b', { initContainers: [container('300m', '32Mi')] }));
    client.seed(pods, { ...pod('done'), status: { phase: 'Succeeded' } });
    client.seed(pods, { ...pod('elsewhere'), metadata: { name: 'elsewhere', namespace: 'other' } });
    client.seed(configmaps, { metadata: { name: 'm', namespace: 'default' } });
    client.seed(services, {
      metadata: { name: 's', namespace: 'default' },
      spec: { type: 'NodePort', ports: [{ port: 1 }, { port: 2 }] },
    });
  });
  t.same(result.hard, hard);
  t.same(result.used, {
    'requests.cpu': '400m',
    memory: '128Mi',
    'limits.cpu': '4',
    pods: '2',
    'count/configmaps': '1',
    'services.nodeports': '2',
  });
  const { cluster } = result;
  await cluster.client.delete(pods, { namespace: 'default', name: 'b' }, { gracePeriodSeconds: 0 });
  await cluster.advance(1);
  t.match((await cluster.get(resourcequotas, 'default/q')).status?.used, { 'requests.cpu': '100m', pods: '1' });
  await cluster.stop();
});

t.test('a sidecar runs beside the init containers that follow it and beside the others', async (t) => {
  const { cluster, used: sums } = await used({ 'requests.cpu': '9' }, ({ client }) => {
    const initContainers = [container('200m', '1Mi', { restartPolicy: 'Always' }), container('1', '1Mi')];
    client.seed(pods, pod('a', { initContainers, overhead: { cpu: '50m' } }));
  });
  t.same(sums, { 'requests.cpu': '1250m' });
  await cluster.stop();
});

t.test('scopes narrow it down', async (t) => {
  const seed = ({ client }: TestCluster): void => {
    client.seed(
      pods,
      pod('plain'),
      pod('best-effort', { containers: [{ name: 'c' }] }),
      pod('short', { activeDeadlineSeconds: 5 }),
    );
    client.seed(pods, pod('important', { priorityClassName: 'high' }));
  };
  for (const [spec, count] of [
    [{ scopes: ['BestEffort'] }, '1'],
    [{ scopes: ['NotBestEffort', 'NotTerminating'] }, '2'],
    [{ scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }] } }, '1'],
  ] as const) {
    const { cluster, used: counted } = await used({ pods: '9' }, seed, spec);
    t.same(counted, { pods: count }, JSON.stringify(spec));
    await cluster.stop();
  }
});
