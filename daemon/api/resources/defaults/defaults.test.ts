import t from 'tap';
import type { KubernetesObject } from '../../../apimachinery/resource.ts';
import { copyJson } from '../../patch/json-value.ts';
import { resourceRows } from '../table.ts';
import { defaultPullPolicy } from './image-reference.ts';

function defaulted(resource: string, object: object, group = ''): Record<string, unknown> {
  const row = resourceRows.find(({ handle }) => handle.resource === resource && handle.group === group)!;
  const copy = copyJson({ metadata: { name: 'x' }, ...object }) as KubernetesObject;
  row.defaults?.(copy);
  const twice = copyJson(copy);
  row.defaults?.(twice);
  t.same(twice, copy, `${resource}: defaulting is idempotent`);
  return copy as Record<string, unknown>;
}

const containerDefaults = {
  imagePullPolicy: 'IfNotPresent',
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  resources: {},
};
const podDefaults = {
  restartPolicy: 'Always',
  terminationGracePeriodSeconds: 30,
  dnsPolicy: 'ClusterFirst',
  securityContext: {},
  schedulerName: 'default-scheduler',
};

t.test('pull policy by tag', (t) => {
  for (const image of ['nginx', 'nginx:latest', 'a.b:5000/c/nginx', 'a.b:5000/nginx:latest']) {
    t.equal(defaultPullPolicy(image), 'Always', image);
  }
  for (const image of ['nginx:1', 'a.b:5000/c/nginx:1', 'nginx@sha256:00', 'nginx:latest@sha256:00']) {
    t.equal(defaultPullPolicy(image), 'IfNotPresent', image);
  }
  t.end();
});

t.test('a pod', (t) => {
  const container = {
    name: 'c',
    image: 'nginx:1',
    ports: [{ containerPort: 80 }],
    resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } },
    livenessProbe: { httpGet: { port: 80 } },
    env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
  };
  const volumes = [{ name: 'a' }, { name: 'b', secret: { secretName: 's' } }, { name: 'c', hostPath: { path: '/' } }];
  t.same(defaulted('pods', { spec: { containers: [container], volumes, serviceAccountName: 'sa' } })['spec'], {
    ...podDefaults,
    enableServiceLinks: true,
    serviceAccount: 'sa',
    serviceAccountName: 'sa',
    containers: [
      {
        ...container,
        ...containerDefaults,
        ports: [{ containerPort: 80, protocol: 'TCP' }],
        resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m', memory: '1Gi' } },
        livenessProbe: {
          httpGet: { port: 80, path: '/', scheme: 'HTTP' },
          timeoutSeconds: 1,
          periodSeconds: 10,
          successThreshold: 1,
          failureThreshold: 3,
        },
        env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name', apiVersion: 'v1' } } }],
      },
    ],
    volumes: [
      { name: 'a', emptyDir: {} },
      { name: 'b', secret: { secretName: 's', defaultMode: 420 } },
      { name: 'c', hostPath: { path: '/', type: '' } },
    ],
  });
  t.match(
    defaulted('pods', { spec: { hostNetwork: true, containers: [{ name: 'c', ports: [{ containerPort: 80 }] }] } })[
      'spec'
    ],
    { containers: [{ ports: [{ hostPort: 80 }] }] },
  );
  t.end();
});

t.test('workloads', (t) => {
  const template = { spec: { containers: [{ name: 'c', image: 'nginx:1' }] } };
  const defaultTemplate = {
    metadata: {},
    spec: { ...podDefaults, containers: [{ name: 'c', image: 'nginx:1', ...containerDefaults }] },
  };
  t.same(defaulted('deployments', { spec: { selector: {}, template } }, 'apps')['spec'], {
    selector: {},
    template: defaultTemplate,
    replicas: 1,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
  });
  t.match(defaulted('deployments', { spec: { strategy: { type: 'Recreate' } } }, 'apps')['spec'], {
    strategy: { type: 'Recreate', rollingUpdate: undefined },
  });
  t.same(defaulted('daemonsets', { spec: { selector: {}, template } }, 'apps')['spec'], {
    selector: {},
    template: defaultTemplate,
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
    revisionHistoryLimit: 10,
  });
  t.same(defaulted('statefulsets', { spec: { selector: {}, template } }, 'apps')['spec'], {
    selector: {},
    template: defaultTemplate,
    podManagementPolicy: 'OrderedReady',
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    replicas: 1,
    revisionHistoryLimit: 10,
  });
  t.same(defaulted('jobs', { spec: { template } }, 'batch')['spec'], {
    template: defaultTemplate,
    completions: 1,
    parallelism: 1,
    backoffLimit: 6,
    completionMode: 'NonIndexed',
    suspend: false,
    podReplacementPolicy: 'TerminatingOrFailed',
  });
  t.match(defaulted('jobs', { spec: { template, parallelism: 2 } }, 'batch')['spec'], { completions: undefined });
  t.match(
    defaulted('cronjobs', { spec: { schedule: '@daily', jobTemplate: { spec: { template } } } }, 'batch')['spec'],
    {
      concurrencyPolicy: 'Allow',
      suspend: false,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
    },
  );
  t.end();
});

t.test('services', (t) => {
  t.same(defaulted('services', { spec: { ports: [{ port: 80 }] } })['spec'], {
    ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    sessionAffinity: 'None',
    type: 'ClusterIP',
    internalTrafficPolicy: 'Cluster',
  });
  t.match(defaulted('services', { spec: { type: 'LoadBalancer', sessionAffinity: 'ClientIP' } })['spec'], {
    externalTrafficPolicy: 'Cluster',
    allocateLoadBalancerNodePorts: true,
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } },
  });
  t.end();
});

t.test('the rest', (t) => {
  t.same(defaulted('secrets', { stringData: { a: 'b' }, data: { c: 'ZA==' } }), {
    metadata: { name: 'x' },
    data: { c: 'ZA==', a: 'Yg==' },
    type: 'Opaque',
  });
  t.match(defaulted('namespaces', {}), {
    metadata: { labels: { 'kubernetes.io/metadata.name': 'x' } },
    status: { phase: 'Active' },
  });
  t.match(defaulted('networkpolicies', { spec: { egress: [{}] } }, 'networking.k8s.io'), {
    spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
  });
  t.same(
    defaulted('limitranges', {
      spec: { limits: [{ type: 'Container', max: { cpu: '2' }, min: { cpu: '1', memory: '1Mi' } }] },
    })['spec'],
    {
      limits: [
        {
          type: 'Container',
          max: { cpu: '2' },
          min: { cpu: '1', memory: '1Mi' },
          default: { cpu: '2' },
          defaultRequest: { cpu: '2', memory: '1Mi' },
        },
      ],
    },
  );
  t.match(
    defaulted(
      'horizontalpodautoscalers',
      { spec: { maxReplicas: 3, behavior: { scaleDown: { selectPolicy: 'Min' } } } },
      'autoscaling',
    ),
    {
      spec: {
        minReplicas: 1,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
        ],
        behavior: {
          scaleUp: { stabilizationWindowSeconds: 0, selectPolicy: 'Max' },
          scaleDown: { selectPolicy: 'Min', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] },
        },
      },
    },
  );
  t.end();
});
