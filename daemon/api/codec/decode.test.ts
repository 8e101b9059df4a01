import t from 'tap';
import { DecodeError, decodeObject } from './decode.ts';

const pod = 'io.k8s.api.core.v1.Pod';
const deployment = 'io.k8s.api.apps.v1.Deployment';
const configMap = 'io.k8s.api.core.v1.ConfigMap';

function messageOf(definition: string, value: unknown): string {
  try {
    decodeObject(definition, value);
  } catch (error) {
    if (error instanceof DecodeError) return error.message;
    throw error;
  }
  return '';
}

t.test('values of a wrong type are named as Go names them', async (t) => {
  const cases: readonly (readonly [string, unknown, string])[] = [
    [
      deployment,
      { spec: { replicas: 'x' } },
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      deployment,
      { spec: { replicas: 1.5 } },
      'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      deployment,
      { spec: { paused: 1 } },
      'json: cannot unmarshal number into Go struct field DeploymentSpec.spec.paused of type bool',
    ],
    [
      pod,
      { spec: { containers: {} } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [pod, { spec: [] }, 'json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec'],
    [
      pod,
      { metadata: { labels: { a: 1 } } },
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      pod,
      { spec: { containers: [{ env: [{ value: true }] }] } },
      'json: cannot unmarshal bool into Go struct field EnvVar.spec.containers.env.value of type string',
    ],
    [configMap, { binaryData: { a: '!' } }, 'illegal base64 data at input byte 0'],
    [
      pod,
      { metadata: { creationTimestamp: 'soon' } },
      'parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"',
    ],
    [
      pod,
      { spec: { containers: [{ resources: { limits: { cpu: 'much' } } }] } },
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ];
  for (const [definition, value, message] of cases) t.equal(messageOf(definition, value), message);
});

t.test('unknown fields are dropped and named by their path', async (t) => {
  const { object, unknownFields } = decodeObject<{ spec: object }>(pod, {
    extra: 1,
    spec: { containers: [{ name: 'a' }, { name: 'b', nmae: 'c' }], foo: { bar: 1 } },
  });
  t.same(unknownFields, ['extra', 'spec.containers[1].nmae', 'spec.foo']);
  t.same(object.spec, { containers: [{ name: 'a' }, { name: 'b' }] });
});

t.test('what Go would leave out is left out, and what it holds by value is there', async (t) => {
  const { object } = decodeObject(pod, {
    metadata: { labels: {}, annotations: null, finalizers: [], name: '' },
    spec: { containers: [], nodeSelector: {}, securityContext: {} },
  });
  t.same(object, { metadata: { name: '' }, spec: { containers: [], securityContext: {} }, status: {} });
  t.same(decodeObject(configMap, { data: { a: null } }).object, { data: { a: '' }, metadata: {} });
});

t.test('quantities and times come out in canonical form', async (t) => {
  const { object } = decodeObject(pod, {
    metadata: { creationTimestamp: '2026-01-02T03:04:05.678+01:00' },
    spec: { containers: [{ resources: { requests: { cpu: 0.5, memory: '1024Mi' } } }] },
  });
  t.match(object, {
    metadata: { creationTimestamp: '2026-01-02T02:04:05Z' },
    spec: { containers: [{ resources: { requests: { cpu: '500m', memory: '1Gi' } } }] },
  });
  const lease = 'io.k8s.api.coordination.v1.Lease';
  t.match(decodeObject(lease, { spec: { renewTime: '2026-01-02T03:04:05.123456Z' } }).object, {
    spec: { renewTime: '2026-01-02T03:04:05.123456Z' },
  });
});

t.test('the result shares nothing with what it was made from', async (t) => {
  const source = { metadata: { labels: { a: 'b' }, managedFields: [{ fieldsV1: { 'f:spec': {} } }] } };
  const { object } = decodeObject<typeof source>(pod, source);
  object.metadata.labels.a = 'c';
  (object.metadata.managedFields[0]!.fieldsV1 as Record<string, unknown>)['f:x'] = {};
  t.same(source, { metadata: { labels: { a: 'b' }, managedFields: [{ fieldsV1: { 'f:spec': {} } }] } });
});

t.test('a key called __proto__ is a key', async (t) => {
  const { object } = decodeObject<{ data: object }>(configMap, JSON.parse('{"data":{"__proto__":"x"}}'));
  t.ok(Object.hasOwn(object.data, '__proto__'));
  t.equal(JSON.stringify(object.data), '{"__proto__":"x"}');
});
