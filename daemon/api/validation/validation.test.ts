import t from 'tap';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { copyJson } from '../patch/json-value.ts';
import type { WriteContext } from '../resources/resource-row.ts';
import { resourceRows } from '../resources/table.ts';
import { invalidError } from './invalid-error.ts';

const context: WriteContext = {
  identity: { name: 'u', groups: [] },
  namespace: 'default',
  subresource: '',
  now: new Date('2026-01-01T00:00:00Z'),
  dryRun: false,
};
type Anything = KubernetesObject & Record<string, unknown>;

const rowOf = (resource: string, group = '') =>
  resourceRows.find(({ handle }) => handle.resource === resource && handle.group === group)!;

function created(resource: string, object: object, group = ''): Anything {
  const row = rowOf(resource, group);
  const whole = copyJson({
    ...object,
    metadata: { name: 'x', uid: 'u1', ...(object as Anything).metadata },
  }) as Anything;
  row.defaults?.(whole);
  row.prepareForCreate?.(whole, context);
  return whole;
}

/** The clauses of a create's refusal. */
function create(resource: string, object: object, group = ''): string[] {
  const row = rowOf(resource, group);
  return row.validate!(created(resource, object, group), context).map(({ field, detail }) => `${field}: ${detail}`);
}

function update(resource: string, from: object, to: object, group = ''): string[] {
  const row = rowOf(resource, group);
  const [old, now] = [created(resource, from, group), created(resource, to, group)];
  row.prepareForUpdate?.(now, old, context);
  return row.validateUpdate!(now, old, context).map(({ field, detail }) => `${field}: ${detail}`);
}

const container = { name: 'c', image: 'nginx' };
const podSpec = (more: object = {}) => ({ spec: { containers: [container], ...more } });
const withContainer = (more: object) => ({ spec: { containers: [{ ...container, ...more }] } });
const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [container] } };
const selector = { matchLabels: { app: 'a' } };

t.test('what is right is let through', (t) => {
  t.same(create('pods', podSpec()), []);
  t.same(create('deployments', { spec: { selector, template } }, 'apps'), []);
  t.same(create('services', { spec: { ports: [{ port: 80 }], selector: { app: 'a' } } }), []);
  t.same(create('configmaps', { data: { 'a.b': 'c' } }), []);
  t.same(create('jobs', { spec: { template: { spec: { ...template.spec, restartPolicy: 'Never' } } } }, 'batch'), []);
  t.same(create('namespaces', {}), []);
  t.same(create('secrets', { stringData: { a: 'b' } }), []);
  t.end();
});

t.test('metadata', (t) => {
  t.same(create('configmaps', { metadata: { name: 'Foo_Bar' } }), [
    `metadata.name: Invalid value: "Foo_Bar": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
  ]);
  t.same(create('namespaces', { metadata: { name: 'a.b' } }), [
    `metadata.name: Invalid value: "a.b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
  ]);
  t.match(create('services', { metadata: { name: '1a' }, spec: { ports: [{ port: 1 }] } })[0], /a DNS-1035 label must/);
  t.match(
    create('configmaps', { metadata: { labels: { 'a b': 'c' } } })[0],
    /^metadata\.labels: Invalid value: "a b": name part/,
  );
  t.match(
    create('configmaps', { metadata: { labels: { a: '-' } } })[0],
    /^metadata\.labels: Invalid value: "-": a valid label/,
  );
  t.same(create('configmaps', { metadata: { annotations: { a: 'x'.repeat(262_144) } } }), [
    'metadata.annotations: Too long: may not be more than 262144 bytes',
  ]);
  t.same(create('roles', { metadata: { name: 'a:b/c' } }, 'rbac.authorization.k8s.io'), [
    `metadata.name: Invalid value: "a:b/c": may not contain '/'`,
  ]);
  t.end();
});

t.test('pods', (t) => {
  t.same(create('pods', { spec: {} }), ['spec.containers: Required value']);
  t.same(create('pods', { spec: { containers: [{ name: 'c' }] } }), ['spec.containers[0].image: Required value']);
  t.same(create('pods', { spec: { containers: [container, container] } }), [
    'spec.containers[1].name: Duplicate value: "c"',
  ]);
  t.same(create('pods', podSpec({ restartPolicy: 'Sometimes' })), [
    'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
  ]);
  t.same(create('pods', withContainer({ imagePullPolicy: 'x' })), [
    'spec.containers[0].imagePullPolicy: Unsupported value: "x": supported values: "Always", "IfNotPresent", "Never"',
  ]);
  t.same(create('pods', withContainer({ volumeMounts: [{ name: 'v', mountPath: '/v' }] })), [
    'spec.containers[0].volumeMounts[0].name: Not found: "v"',
  ]);
  t.same(create('pods', withContainer({ ports: [{ containerPort: 70_000 }] })), [
    'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
  ]);
  t.same(create('pods', withContainer({ resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } })), [
    'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
  ]);
  t.same(create('pods', withContainer({ resources: { requests: { memory: '-1' } } })), [
    'spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
  ]);
  t.same(create('pods', withContainer({ livenessProbe: { successThreshold: 2, exec: { command: ['x'] } } })), [
    'spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1',
  ]);
  t.same(create('pods', withContainer({ readinessProbe: {} })), [
    'spec.containers[0].readinessProbe: Required value: must specify a handler type',
  ]);
  t.same(create('pods', withContainer({ env: [{ name: 'A', valueFrom: {} }] })), [
    'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
  ]);
  t.same(create('pods', podSpec({ volumes: [{ name: 'v', emptyDir: {}, hostPath: { path: '/' } }] })), [
    'spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type',
  ]);
  t.same(create('pods', podSpec({ tolerations: [{ operator: 'Equal' }] })), [
    'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
  ]);
  t.end();
});

t.test('pod updates', (t) => {
  t.same(update('pods', podSpec(), withContainer({ image: 'other' })), []);
  const refused = update('pods', podSpec({ nodeName: 'a' }), podSpec({ nodeName: 'b' }));
  t.equal(refused.length, 1);
  t.match(
    refused[0],
    'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n',
  );
  t.match(refused[0], '- spec.nodeName: "a"\n+ spec.nodeName: "b"\n');
  t.same(update('pods', podSpec(), { spec: { containers: [container, { ...container, name: 'd' }] } }), [
    'spec.containers: Forbidden: pod updates may not add or remove containers',
  ]);
  const toleration = { key: 'a', operator: 'Exists' };
  t.same(update('pods', podSpec(), podSpec({ tolerations: [toleration] })), []);
  t.same(update('pods', podSpec({ tolerations: [toleration] }), podSpec()), [
    'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
  ]);
  t.end();
});

t.test('workloads', (t) => {
  t.same(create('deployments', { spec: { template } }, 'apps'), ['spec.selector: Required value']);
  t.same(create('deployments', { spec: { selector: { matchLabels: { app: 'b' } }, template } }, 'apps'), [
    'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`',
  ]);
  t.same(create('deployments', { spec: { selector, template, replicas: -1 } }, 'apps'), [
    'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
  ]);
  const rollingUpdate = { maxSurge: 0, maxUnavailable: 0 };
  t.same(create('deployments', { spec: { selector, template, strategy: { rollingUpdate } } }, 'apps'), [
    'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0',
  ]);
  const moved = { metadata: { labels: { app: 'b' } }, spec: template.spec };
  t.same(
    update(
      'deployments',
      { spec: { selector, template } },
      { spec: { selector: { matchLabels: { app: 'b' } }, template: moved } },
      'apps',
    ),
    ['spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable'],
  );
  t.same(
    update(
      'statefulsets',
      { spec: { selector, template, serviceName: 'a' } },
      { spec: { selector, template, serviceName: 'b' } },
      'apps',
    ),
    [
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ],
  );
  t.same(create('jobs', { spec: { template } }, 'batch'), [
    'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
  ]);
  const jobTemplate = { spec: { template: { spec: { ...template.spec, restartPolicy: 'Never' } } } };
  t.same(create('cronjobs', { spec: { schedule: '* * *', jobTemplate } }, 'batch'), [
    'spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]',
  ]);
  t.same(create('cronjobs', { spec: { schedule: '61 * * * *', jobTemplate } }, 'batch'), [
    'spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61',
  ]);
  t.same(create('cronjobs', { spec: { schedule: '*/5 1-3 * jan mon', jobTemplate } }, 'batch'), []);
  t.end();
});

t.test('services, config, roles, ingress, budgets', (t) => {
  t.same(create('services', { spec: {} }), ['spec.ports: Required value']);
  t.same(create('services', { spec: { ports: [{ port: 80 }, { port: 81 }] } }), [
    'spec.ports[0].name: Required value',
    'spec.ports[1].name: Required value',
  ]);
  t.same(create('services', { spec: { type: 'X', ports: [{ port: 80 }] } }), [
    'spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
  ]);
  const ip = (clusterIP: string) => ({ spec: { clusterIP, clusterIPs: [clusterIP], ports: [{ port: 80 }] } });
  t.same(update('services', ip('10.96.0.1'), ip('10.96.0.2')), [
    'spec.clusterIPs[0]: Invalid value: ["10.96.0.2"]: may not change once set',
  ]);
  t.match(
    create('configmaps', { data: { 'a b': '' } })[0],
    /^data\[a b\]: Invalid value: "a b": a valid config key must/,
  );
  t.same(update('configmaps', { immutable: true, data: { a: 'b' } }, { immutable: true, data: { a: 'c' } }), [
    'data: Forbidden: field is immutable when `immutable` is set',
  ]);
  t.same(update('secrets', { type: 'Opaque' }, { type: 'other' }), [
    'type: Invalid value: "other": field is immutable',
  ]);
  t.same(create('secrets', { type: 'kubernetes.io/tls' }), [
    'data[tls.crt]: Required value',
    'data[tls.key]: Required value',
  ]);
  const rbac = 'rbac.authorization.k8s.io';
  t.same(create('roles', { rules: [{ verbs: [], apiGroups: [''], resources: ['pods'] }] }, rbac), [
    'rules[0].verbs: Required value: verbs must contain at least one value',
  ]);
  const binding = (name: string) => ({ roleRef: { kind: 'Role', name } });
  t.same(update('rolebindings', binding('a'), binding('b'), rbac), [
    'roleRef: Invalid value: {"kind":"Role","name":"b","apiGroup":"rbac.authorization.k8s.io"}: cannot change roleRef',
  ]);
  t.same(create('ingresses', { spec: {} }, 'networking.k8s.io'), [
    'spec: Invalid value: []: either `defaultBackend` or `rules` must be specified',
  ]);
  t.same(create('poddisruptionbudgets', { spec: { minAvailable: 1, maxUnavailable: 1 } }, 'policy'), [
    'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set',
  ]);
  t.end();
});

t.test('the refusal as a whole', (t) => {
  const { handle, validate } = rowOf('deployments', 'apps');
  const errors = validate!(created('deployments', { spec: { replicas: -1, template } }, 'apps'), context);
  const error = invalidError(handle, 'x', errors);
  t.equal(error.code, 422);
  t.equal(
    error.message,
    'Deployment.apps "x" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.selector: Required value]',
  );
  t.same(error.status.details, {
    name: 'x',
    group: 'apps',
    kind: 'Deployment',
    causes: [
      {
        reason: 'FieldValueInvalid',
        message: 'Invalid value: -1: must be greater than or equal to 0',
        field: 'spec.replicas',
      },
      { reason: 'FieldValueRequired', message: 'Required value', field: 'spec.selector' },
    ],
  });
  t.end();
});

t.test('no rule stumbles over an object that says nothing', (t) => {
  for (const row of resourceRows) {
    const object = { metadata: { name: 'x' } } as KubernetesObject;
    row.defaults?.(object);
    if ((object as Anything)['spec'] === undefined) (object as Anything)['spec'] = {};
    row.prepareForCreate?.(object, context);
    t.ok(Array.isArray(row.validate!(object, context)), row.handle.kind);
  }
  t.end();
});
