import t from 'tap';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { ContainerStatus, Pod, PodStatus } from '../../apimachinery/types/core-v1.ts';
import { resourceRows } from '../resources/table.ts';
import { toTable } from './table.ts';

const now = new Date('2026-01-02T00:00:00Z');
const created = '2026-01-01T00:00:00Z';
const rowOf = (resource: string, group = '') =>
  resourceRows.find(({ handle }) => handle.resource === resource && handle.group === group)!;

function shown(resource: string, object: object, group = ''): Record<string, unknown> {
  const whole = {
    ...object,
    metadata: { name: 'x', creationTimestamp: created, ...(object as KubernetesObject).metadata },
  };
  const table = toTable(rowOf(resource, group), [whole], { now });
  return Object.fromEntries(table.columnDefinitions.map(({ name }, index) => [name, table.rows![0]!.cells[index]]));
}

const container = (state: ContainerStatus['state'], more: Partial<ContainerStatus> = {}): ContainerStatus => ({
  name: 'c',
  image: 'i',
  imageID: '',
  ready: false,
  restartCount: 0,
  state,
  ...more,
});
const pod = (status: PodStatus, spec: Partial<Pod['spec']> = {}, metadata: Pod['metadata'] = {}) =>
  shown('pods', { metadata, spec: { containers: [{ name: 'c' }], ...spec }, status });

t.test('pods', (t) => {
  t.match(pod({ phase: 'Pending' }), {
    Name: 'x',
    Ready: '0/1',
    Status: 'Pending',
    Restarts: '0',
    Age: '24h',
    IP: '<none>',
  });
  const running = container({ running: { startedAt: created } }, { ready: true });
  t.match(pod({ phase: 'Running', containerStatuses: [running], podIP: '10.0.0.1' }, { nodeName: 'n' }), {
    Ready: '1/1',
    Status: 'Running',
    IP: '10.0.0.1',
    Node: 'n',
    'Nominated Node': '<none>',
    'Readiness Gates': '<none>',
  });
  const crashed = container(
    { waiting: { reason: 'CrashLoopBackOff' } },
    { restartCount: 3, lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T23:55:00Z' } } },
  );
  t.match(pod({ phase: 'Running', containerStatuses: [crashed] }), {
    Status: 'CrashLoopBackOff',
    Restarts: '3 (5m ago)',
  });
  t.match(
    pod({ phase: 'Succeeded', containerStatuses: [container({ terminated: { exitCode: 0, reason: 'Completed' } })] }),
    {
      Status: 'Completed',
      Ready: '0/1',
    },
  );
  t.match(pod({ phase: 'Failed', containerStatuses: [container({ terminated: { exitCode: 137 } })] }), {
    Status: 'ExitCode:137',
  });
  const initContainers = [{ name: 'a' }, { name: 'b' }];
  t.match(
    pod({ phase: 'Pending', initContainerStatuses: [container({ running: {} }, { name: 'a' })] }, { initContainers }),
    {
      Status: 'Init:0/2',
    },
  );
  t.match(
    pod(
      {
        phase: 'Pending',
        initContainerStatuses: [
          container({ terminated: { exitCode: 0 } }, { name: 'a' }),
          container({ terminated: { exitCode: 1, reason: 'Error' } }, { name: 'b' }),
        ],
      },
      { initContainers },
    ),
    { Status: 'Init:Error' },
  );
  t.match(
    pod(
      {
        phase: 'Running',
        initContainerStatuses: [container({ running: {} }, { name: 'a', started: true, ready: true })],
        containerStatuses: [running],
      },
      { initContainers: [{ name: 'a', restartPolicy: 'Always' }] },
    ),
    { Ready: '2/2', Status: 'Running' },
  );
  t.match(pod({ phase: 'Running', containerStatuses: [running] }, {}, { deletionTimestamp: created }), {
    Status: 'Terminating',
  });
  t.match(pod({ phase: 'Failed', reason: 'Evicted' }), { Status: 'Evicted' });
  t.end();
});

t.test('services, nodes, jobs, deployments, events', (t) => {
  const ports = [
    { port: 80, nodePort: 30080, protocol: 'TCP' },
    { port: 53, protocol: 'UDP' },
  ];
  t.match(
    shown('services', { spec: { type: 'NodePort', clusterIP: '10.96.0.5', ports, selector: { b: '2', a: '1' } } }),
    {
      Type: 'NodePort',
      'Cluster-IP': '10.96.0.5',
      'External-IP': '<none>',
      'Port(s)': '80:30080/TCP,53/UDP',
      Selector: 'a=1,b=2',
    },
  );
  t.match(shown('services', { spec: { type: 'LoadBalancer' } }), { 'External-IP': '<pending>', 'Port(s)': '<none>' });
  t.match(
    shown('nodes', {
      metadata: { labels: { 'node-role.kubernetes.io/control-plane': '' } },
      spec: { unschedulable: true },
      status: { conditions: [{ type: 'Ready', status: 'True' }], nodeInfo: { kubeletVersion: 'v1.36.0' } },
    }),
    { Status: 'Ready,SchedulingDisabled', Roles: 'control-plane', Version: 'v1.36.0', 'Internal-IP': '<none>' },
  );
  t.match(
    shown(
      'jobs',
      {
        spec: { completions: 3, template: { spec: { containers: [] } } },
        status: { succeeded: 1, startTime: created },
      },
      'batch',
    ),
    { Status: 'Running', Completions: '1/3', Duration: '24h' },
  );
  t.match(
    shown(
      'deployments',
      {
        spec: {
          replicas: 3,
          selector: { matchLabels: { a: 'b' } },
          template: { spec: { containers: [{ name: 'c', image: 'i' }] } },
        },
        status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 },
      },
      'apps',
    ),
    { Ready: '2/3', 'Up-to-date': 3, Available: 2, Containers: 'c', Images: 'i', Selector: 'a=b' },
  );
  t.match(
    shown('events', {
      involvedObject: { kind: 'Pod', name: 'p' },
      source: { component: 'kubelet', host: 'n' },
      type: 'Normal',
      reason: 'Pulled',
      message: 'ok\n',
      lastTimestamp: '2026-01-01T23:59:50Z',
      firstTimestamp: created,
      count: 2,
    }),
    { 'Last Seen': '10s', Object: 'pod/p', Source: 'kubelet, n', Message: 'ok', 'First Seen': '24h', Count: '2' },
  );
  t.end();
});

t.test('every kind shows a bare object without failing', (t) => {
  for (const row of resourceRows) {
    const object = { metadata: { name: 'x' } } as KubernetesObject;
    row.defaults?.(object);
    const untyped = ['RoleBinding', 'ClusterRoleBinding', 'IngressClass', 'VolumeAttributesClass', 'FlowSchema'];
    if (row.defaults === undefined && untyped.includes(row.handle.kind)) continue;
    t.equal(toTable(row, [{ spec: {}, ...object } as KubernetesObject], { now }).rows?.length, 1, row.handle.kind);
  }
  t.end();
});

t.test('what goes with a row', (t) => {
  const object = { metadata: { name: 'x' }, data: { a: 'b' } };
  const row = rowOf('configmaps');
  t.same(toTable(row, [object], { now }).rows![0]!.object, {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { name: 'x' },
  });
  t.equal(toTable(row, [object], { now, includeObject: 'Object' }).rows![0]!.object, object);
  t.notOk('object' in toTable(row, [object], { now, includeObject: 'None' }).rows![0]!);
  t.same(toTable(row, [], { now, withColumns: false }).columnDefinitions, []);
  t.same(toTable(row, [object], { now }).columnDefinitions[0], {
    name: 'Name',
    type: 'string',
    format: 'name',
    description: '',
    priority: 0,
  });
  t.end();
});
