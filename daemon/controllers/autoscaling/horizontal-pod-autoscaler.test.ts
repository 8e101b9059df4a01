import t from 'tap';
import { apiError } from '../../apimachinery/api-error.ts';
import { findCondition } from '../../apimachinery/conditions.ts';
import type { HorizontalPodAutoscalerSpec } from '../../apimachinery/types/autoscaling-v2.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { deployments, horizontalpodautoscalers, pods } from '../../apimachinery/types/resources.ts';
import { podTemplate, TestCluster } from '../testing/test-cluster.ts';
import { podMetricsResource } from './pod-metrics.ts';
import { replicasForUtilization } from './replica-calculator.ts';
import { applyBehavior, recordChange, type ScalingHistory } from './scaling-behavior.ts';

const labels = { app: 'web' };

function pod(name: string): Pod {
  return {
    metadata: { name, namespace: 'default', labels },
    spec: { containers: [{ name: 'c', resources: { requests: { cpu: '100m' } } }] },
    status: {
      phase: 'Running',
      startTime: '2025-01-01T00:00:00Z',
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2025-01-01T00:00:10Z' }],
    },
  };
}

async function started(replicas: number, spec: Partial<HorizontalPodAutoscalerSpec> = {}): Promise<TestCluster> {
  const cluster = new TestCluster({ controllers: ['horizontal-pod-autoscaler-controller'] });
  // The fake client shows the object itself as its scale; this is what a scale has in its status.
  const status = { replicas, selector: 'app=web' };
  cluster.client.seed(deployments, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { replicas, selector: { matchLabels: labels }, template: podTemplate(labels) },
    status,
  });
  cluster.client.seed(horizontalpodautoscalers, {
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      minReplicas: 1,
      maxReplicas: 10,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
      ],
      ...spec,
    },
  });
  for (let i = 0; i < replicas; i++) cluster.client.seed(pods, pod(`web-${i}`));
  return cluster;
}

async function measure(cluster: TestCluster, cpu: string): Promise<void> {
  for (const { metadata } of await cluster.all(pods)) {
    const key = { namespace: 'default', name: metadata.name ?? '' };
    await cluster.client.delete(podMetricsResource, key).catch(() => undefined);
    cluster.client.seed(podMetricsResource, {
      metadata: { ...key, labels },
      containers: [{ name: 'c', usage: { cpu } }],
    });
  }
}

const statusOf = async (cluster: TestCluster) => (await cluster.get(horizontalpodautoscalers, 'default/web')).status;
const replicasOf = async (cluster: TestCluster) => (await cluster.get(deployments, 'default/web')).spec.replicas;

t.test('scales up to bring the utilisation to the target', async (t) => {
  const cluster = await started(2);
  await measure(cluster, '100m');
  await cluster.start();
  t.equal(await replicasOf(cluster), 4);
  const status = await statusOf(cluster);
  t.match(status, {
    currentReplicas: 2,
    desiredReplicas: 4,
    lastScaleTime: /Z$/,
    currentMetrics: [
      { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 100, averageValue: '100m' } } },
    ],
  });
  t.match(findCondition(status?.conditions, 'ScalingActive'), {
    status: 'True',
    reason: 'ValidMetricFound',
    message:
      'the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)',
  });
  t.match(findCondition(status?.conditions, 'AbleToScale'), { status: 'True', reason: 'SucceededRescale' });
  t.ok(
    (await cluster.eventTexts()).includes(
      'SuccessfulRescale New size: 4; reason: cpu resource utilization (percentage of request) above target',
    ),
  );
  await cluster.stop();
});

t.test('scales down only after five minutes of lower recommendations', async (t) => {
  const cluster = await started(4);
  await measure(cluster, '10m');
  await cluster.start();
  t.equal(await replicasOf(cluster), 4);
  t.equal(findCondition((await statusOf(cluster))?.conditions, 'AbleToScale')?.reason, 'ScaleDownStabilized');
  await cluster.advance(330);
  t.equal(await replicasOf(cluster), 1);
  await cluster.stop();
});

t.test('without anyone who measures it says so and leaves the size alone', async (t) => {
  const cluster = await started(3);
  cluster.client.react((action) => {
    if (action.verb === 'list' && action.resource === 'pods' && action.key === 'default') {
      throw apiError('NotFound', 'the server could not find the requested resource');
    }
  });
  await cluster.start();
  const error =
    'failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)';
  t.match(findCondition((await statusOf(cluster))?.conditions, 'ScalingActive'), {
    status: 'False',
    reason: 'FailedGetResourceMetric',
    message: `the HPA was unable to compute the replica count: ${error}`,
  });
  t.equal(findCondition((await statusOf(cluster))?.conditions, 'AbleToScale')?.reason, 'SucceededGetScale');
  t.same((await cluster.eventTexts()).sort(), [
    `FailedComputeMetricsReplicas invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: ${error}`,
    `FailedGetResourceMetric ${error}`,
  ]);
  t.equal(await replicasOf(cluster), 3);
  await cluster.stop();
});

t.test('bounds hold without metrics; a target of zero switches it off; a missing one is told', async (t) => {
  const above = await started(12);
  await above.start();
  t.equal(await replicasOf(above), 10);
  t.ok(
    (await above.eventTexts()).includes(
      'SuccessfulRescale New size: 10; reason: Current number of replicas above Spec.MaxReplicas',
    ),
  );
  await above.stop();
  const off = await started(0);
  await off.start();
  t.equal(findCondition((await statusOf(off))?.conditions, 'ScalingActive')?.reason, 'ScalingDisabled');
  await off.stop();
  const lost = await started(1, { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'nope' } });
  await lost.start();
  t.match(findCondition((await statusOf(lost))?.conditions, 'AbleToScale'), {
    status: 'False',
    reason: 'FailedGetScale',
  });
  await lost.stop();
});

t.test('what is not measured never tips the scale', async (t) => {
  const input = {
    pods: ['a', 'b', 'c', 'd'].map(pod),
    resource: 'cpu',
    container: undefined,
    currentReplicas: 4,
    tolerance: { up: 0.1, down: 0.1 },
    now: new Date('2026-01-01T00:00:00Z'),
  };
  const usage = (...values: [string, number][]) => new Map(values);
  t.equal(
    replicasForUtilization({ ...input, usage: usage(['a', 20], ['b', 20], ['c', 20], ['d', 20]) }, 50).replicas,
    2,
  );
  t.equal(replicasForUtilization({ ...input, usage: usage(['a', 20], ['b', 20]) }, 50).replicas, 4, 'two unmeasured');
  t.equal(
    replicasForUtilization({ ...input, usage: usage(['a', 53], ['b', 52], ['c', 50], ['d', 52]) }, 50).replicas,
    4,
    'within tolerance',
  );
  t.equal(replicasForUtilization({ ...input, usage: usage(['a', 200], ['b', 200], ['c', 200]) }, 50).replicas, 12);
  t.throws(() => replicasForUtilization({ ...input, usage: usage() }, 50), /did not receive metrics/);
  const unrequested = [{ ...pod('a'), spec: { containers: [{ name: 'c' }] } }];
  t.throws(
    () => replicasForUtilization({ ...input, pods: unrequested, usage: usage(['a', 1]) }, 50),
    /missing request for cpu in container c of Pod a/,
  );
});

t.test('policies bound the speed', async (t) => {
  const history = (): ScalingHistory => ({ recommendations: [], added: [], removed: [] });
  const spec: HorizontalPodAutoscalerSpec = {
    scaleTargetRef: { kind: 'Deployment', name: 'x' },
    minReplicas: 1,
    maxReplicas: 100,
    behavior: {
      scaleUp: { policies: [{ type: 'Pods', value: 2, periodSeconds: 60 }] },
      scaleDown: { stabilizationWindowSeconds: 0, selectPolicy: 'Disabled' },
    },
  };
  const one = history();
  t.match(applyBehavior(spec, one, 10, 50, 0), { replicas: 12, limited: ['True', 'ScaleUpLimit'] });
  recordChange(one, 10, 12, 0);
  t.equal(applyBehavior(spec, one, 12, 50, 30_000).replicas, 12, 'used up for this minute');
  t.equal(applyBehavior(spec, one, 12, 50, 61_000).replicas, 14);
  t.equal(applyBehavior(spec, history(), 10, 1, 0).replicas, 10, 'never down');
  const plain = { ...spec, behavior: {} };
  t.match(applyBehavior(plain, history(), 1, 50, 0), { replicas: 5 });
  t.match(applyBehavior({ ...plain, maxReplicas: 4 }, history(), 1, 50, 0), {
    replicas: 4,
    limited: ['True', 'TooManyReplicas'],
  });
});
