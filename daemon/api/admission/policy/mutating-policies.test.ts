import t from 'tap';
import { TestingHttp } from '../../testing-http.ts';
import { startTestingServer } from '../../testing-server.ts';

const base = '/apis/admissionregistration.k8s.io/v1';
const pods = '/api/v1/namespaces/default/pods';
const pod = (name: string) => ({ metadata: { name }, spec: { containers: [{ name: 'main', image: 'x' }] } });

t.test('MutatingAdmissionPolicy', async (t) => {
  const server = await startTestingServer();
  const http = new TestingHttp(server);
  t.teardown(async () => {
    await http.close();
    await server.stop();
  });
  await http.post('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  const policy = async (name: string, mutations: object[], extra: object = {}) => {
    const made = await http.post(`${base}/mutatingadmissionpolicies`, {
      metadata: { name },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        },
        reinvocationPolicy: 'Never',
        mutations,
        ...extra,
      },
    });
    t.equal(made.code, 201, made.text);
    await http.post(`${base}/mutatingadmissionpolicybindings`, { metadata: { name }, spec: { policyName: name } });
  };
  const drop = (name: string) => http.delete(`${base}/mutatingadmissionpolicybindings/${name}`);

  await t.test('an apply configuration is merged', async (t) => {
    await policy(
      'sidecar',
      [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression:
              'Object{metadata: Object.metadata{labels: {"from": object.metadata.name}}, spec: Object.spec{initContainers: [Object.spec.initContainers{name: "side", image: variables.image, restartPolicy: "Always"}]}}',
          },
        },
      ],
      { variables: [{ name: 'image', expression: '"mesh:" + string(1 + 1)' }] },
    );
    const made = await http.post(pods, pod('a'));
    t.equal(made.code, 201, made.text);
    t.match(made.body, {
      metadata: { labels: { from: 'a' } },
      spec: { containers: [{ name: 'main' }], initContainers: [{ name: 'side', image: 'mesh:2' }] },
    });
    await drop('sidecar');
  });

  await t.test('a JSON patch is applied; one that cannot be is refused', async (t) => {
    await policy('patch', [
      {
        patchType: 'JSONPatch',
        jsonPatch: {
          expression:
            '[JSONPatch{op: "test", path: "/metadata/name", value: "b"}, JSONPatch{op: "add", path: "/metadata/labels", value: {"x": "y"}}]',
        },
      },
    ]);
    t.equal((await http.post(pods, pod('b'))).body.metadata.labels.x, 'y');
    const refused = await http.post(pods, pod('c'));
    t.equal(refused.code, 403);
    t.match(refused.body.message, /MutatingAdmissionPolicy 'patch' with binding 'patch' denied request: JSON Patch: /);
    await drop('patch');
  });
});
