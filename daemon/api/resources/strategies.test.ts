import t from 'tap';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { copyJson } from '../patch/json-value.ts';
import { podQosClass } from './pod-qos.ts';
import { podGracePeriod } from './pod-strategy.ts';
import type { WriteContext } from './resource-row.ts';
import { resourceRows } from './table.ts';

type Anything = KubernetesObject & { spec?: Record<string, unknown>; status?: Record<string, unknown> };

const context: WriteContext = {
  identity: { name: 'jane', uid: '7', groups: ['dev'], extra: { scopes: ['a'] } },
  namespace: 'default',
  subresource: '',
  now: new Date('2026-01-01T00:00:00Z'),
  dryRun: false,
};
const rowOf = (resource: string, group = '', version = 'v1') =>
  resourceRows.find(
    ({ handle }) => handle.resource === resource && handle.group === group && handle.version === version,
  )!;

t.test('the main path never writes status, the status path nothing else', (t) => {
  for (const row of resourceRows.filter(({ handle }) => handle.subresources.includes('status'))) {
    if (row.handle.resource === 'certificatesigningrequests') continue;
    const old = { metadata: { name: 'x' }, spec: { before: true }, status: { before: true } } as Anything;
    const main = copyJson({ ...old, status: { after: true } });
    row.prepareForUpdate?.(main, old, context);
    t.match(main.status, { before: true }, `${row.handle.kind}: status kept`);
    const status = copyJson({ ...old, spec: { after: true }, status: { after: true } }) as Anything;
    row.statusStrategy?.prepareForUpdate?.(status, old, { ...context, subresource: 'status' });
    t.same(status.spec, { before: true }, `${row.handle.kind}: spec kept`);
    t.match(status.status, { after: true });
  }
  t.end();
});

const pod = (resources: object, more: object = {}) =>
  ({ metadata: { name: 'x' }, spec: { containers: [{ name: 'c', resources }], ...more } }) as Pod;

t.test('pods', (t) => {
  t.equal(podQosClass(pod({})), 'BestEffort');
  t.equal(podQosClass(pod({ requests: { cpu: '0' } })), 'BestEffort');
  t.equal(podQosClass(pod({ requests: { cpu: '1' } })), 'Burstable');
  const all = { cpu: '1', memory: '1Gi' };
  t.equal(podQosClass(pod({ requests: all, limits: { cpu: '1000m', memory: '1Gi' } })), 'Guaranteed');
  t.equal(podQosClass(pod({ requests: all, limits: { ...all, cpu: '2' } })), 'Burstable');
  t.equal(podQosClass(pod({ requests: { cpu: '1' }, limits: { cpu: '1' } })), 'Burstable');

  const created = { ...pod({}, { schedulingGates: [{ name: 'g' }] }), status: { phase: 'Running' } };
  rowOf('pods').prepareForCreate!(created, context);
  t.match(created.status, { phase: 'Pending', qosClass: 'BestEffort', conditions: [{ reason: 'SchedulingGated' }] });

  t.equal(podGracePeriod(pod({}), 30), 0, 'no kubelet has it');
  t.equal(podGracePeriod(pod({}, { nodeName: 'n', terminationGracePeriodSeconds: 5 }), undefined), 5);
  t.equal(podGracePeriod(pod({}, { nodeName: 'n' }), 7), 7);
  t.equal(podGracePeriod({ ...pod({}, { nodeName: 'n' }), status: { phase: 'Failed' } }, 7), 0);
  t.end();
});

t.test('what other kinds prepare', (t) => {
  const job = { metadata: { name: 'j', uid: 'u' }, spec: { template: { spec: { containers: [] } } } } as Anything;
  rowOf('jobs', 'batch').prepareForCreate!(job, context);
  t.match(job.spec, {
    selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u' } },
    template: { metadata: { labels: { 'controller-uid': 'u', 'job-name': 'j', 'batch.kubernetes.io/job-name': 'j' } } },
  });
  const namespace = { metadata: { name: 'n' }, spec: {} } as Anything;
  rowOf('namespaces').prepareForCreate!(namespace, context);
  t.match(namespace, { spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } });
  const request = { metadata: { name: 'r' }, spec: { username: 'forged' } } as Anything;
  rowOf('certificatesigningrequests', 'certificates.k8s.io').prepareForCreate!(request, context);
  t.same(request.spec, { username: 'jane', uid: '7', groups: ['dev'], extra: { scopes: ['a'] } });
  const daemonSet = { metadata: { name: 'd' }, spec: { template: { a: 1 } } } as Anything;
  const row = rowOf('daemonsets', 'apps');
  row.prepareForCreate!(daemonSet, context);
  const next = copyJson({ ...daemonSet, spec: { template: { a: 2 } } }) as Anything;
  row.prepareForUpdate!(next, daemonSet, context);
  t.same(next.metadata?.annotations, { 'deprecated.daemonset.template.generation': '2' });
  t.end();
});

t.test('services keep what they were given', (t) => {
  const row = rowOf('services');
  const old = {
    metadata: { name: 's' },
    spec: {
      type: 'NodePort',
      clusterIP: '10.96.0.9',
      clusterIPs: ['10.96.0.9'],
      ipFamilies: ['IPv4'],
      ports: [{ port: 80, protocol: 'TCP', nodePort: 30_001 }],
    },
  } as Anything;
  const update = (spec: object) => {
    const next = { metadata: { name: 's' }, spec: copyJson(spec) } as Anything;
    row.prepareForUpdate!(next, old, context);
    return next.spec;
  };
  t.match(update({ type: 'NodePort', ports: [{ port: 80, protocol: 'TCP' }] }), {
    clusterIP: '10.96.0.9',
    clusterIPs: ['10.96.0.9'],
    ports: [{ nodePort: 30_001 }],
  });
  t.notOk('nodePort' in (update({ ...old.spec, type: 'ClusterIP' })!['ports'] as object[])[0]!);
  t.notOk('clusterIP' in update({ ...old.spec, type: 'ExternalName' })!);
  t.end();
});

t.test('two views of one stored object', (t) => {
  const { stored } = rowOf('events', 'events.k8s.io');
  const event = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: 'e' },
    note: 'n',
    regarding: { name: 'p' },
  };
  const core = stored!.toStored(event);
  t.same(core, {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'e' },
    message: 'n',
    involvedObject: { name: 'p' },
  });
  t.same(stored!.fromStored(core), event);

  const autoscaler = rowOf('horizontalpodautoscalers', 'autoscaling').stored!;
  const target = { kind: 'Deployment', name: 'd' };
  const v1 = {
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'h' },
    spec: { scaleTargetRef: target, maxReplicas: 3, targetCPUUtilizationPercentage: 50 },
    status: { currentReplicas: 1, desiredReplicas: 2 },
  };
  const v2 = autoscaler.toStored(v1);
  t.match(v2, { spec: { metrics: [{ resource: { name: 'cpu', target: { averageUtilization: 50 } } }] } });
  t.same(autoscaler.fromStored(v2), v1);
  const memory = {
    type: 'Resource',
    resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } },
  };
  const rich = { ...v2, spec: { scaleTargetRef: target, maxReplicas: 3, metrics: [memory] } };
  t.same(autoscaler.toStored(autoscaler.fromStored(rich)), rich, 'what v1 has no field for survives in annotations');
  t.end();
});
