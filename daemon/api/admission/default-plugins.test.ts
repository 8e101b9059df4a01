import t from 'tap';
import { createSigningRequest } from '../../cluster/pki/certificate.ts';
import { TestingHttp } from '../testing-http.ts';
import { startTestingServer } from '../testing-server.ts';

const server = await startTestingServer();
const http = new TestingHttp(server);
t.teardown(async () => {
  await http.close();
  await server.stop();
});

await http.post('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
const pods = '/api/v1/namespaces/default/pods';
const containers = [{ name: 'c', image: 'i' }];

t.test('a runtime class gives its overhead and its nodes', async (t) => {
  const scheduling = { nodeSelector: { kata: 'yes' }, tolerations: [{ key: 'kata', operator: 'Exists' }] };
  const overhead = { podFixed: { cpu: '250m' } };
  const kata = { metadata: { name: 'kata' }, handler: 'kata', overhead, scheduling };
  t.equal((await http.post('/apis/node.k8s.io/v1/runtimeclasses', kata)).code, 201);
  const missing = { metadata: { name: 'a' }, spec: { runtimeClassName: 'none', containers } };
  const refused = await http.post(pods, missing);
  t.equal(refused.code, 403);
  t.equal(refused.body.message, 'pods "a" is forbidden: pod rejected: RuntimeClass "none" not found');
  const made = await http.post(pods, { metadata: { name: 'a' }, spec: { runtimeClassName: 'kata', containers } });
  t.equal(made.code, 201);
  t.same(made.body.spec.overhead, { cpu: '250m' });
  t.same(made.body.spec.nodeSelector, { kata: 'yes' });
  t.match(made.body.spec.tolerations.at(-1), { key: 'kata', operator: 'Exists' });
  const elsewhere = { runtimeClassName: 'kata', nodeSelector: { kata: 'no' }, containers };
  t.equal(
    (await http.post(pods, { metadata: { name: 'b' }, spec: elsewhere })).body.message,
    'pods "b" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[kata] = yes; pod.spec.nodeSelector[kata] = no',
  );
  t.equal(
    (await http.post(pods, { metadata: { name: 'b' }, spec: { overhead: { cpu: '1' }, containers } })).body.message,
    'pods "b" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
  );
});

t.test('a new node is tainted until it is ready', async (t) => {
  const node = await http.post('/api/v1/nodes', { metadata: { name: 'n' } });
  t.same(node.body.spec.taints, [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]);
});

t.test('claims and volumes are protected, and grow only where they can', async (t) => {
  const claims = '/api/v1/namespaces/default/persistentvolumeclaims';
  const size = (storage: string) => ({ resources: { requests: { storage } } });
  const spec = { accessModes: ['ReadWriteOnce'], ...size('1Gi') };
  const claim = await http.post(claims, { metadata: { name: 'c' }, spec });
  t.same(claim.body.metadata.finalizers, ['kubernetes.io/pvc-protection']);
  t.equal(claim.body.spec.storageClassName, 'local-path', 'the default class');
  const volume = await http.post('/api/v1/persistentvolumes', {
    metadata: { name: 'v' },
    spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/tmp/v' } },
  });
  t.same(volume.body.metadata.finalizers, ['kubernetes.io/pv-protection']);
  const grow = () => http.patch(`${claims}/c`, 'merge-patch+json', { spec: size('2Gi') });
  const early = await grow();
  t.equal(early.code, 422, 'a claim that is not bound does not change at all');
  await http.patch(`${claims}/c/status`, 'merge-patch+json', { status: { phase: 'Bound' } });
  t.equal(
    (await grow()).body.message,
    'persistentvolumeclaims "c" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
  );
});

t.test('limits of pods, of claims and of the ratio between limit and request', async (t) => {
  const limits = [
    { type: 'Pod', max: { cpu: '1' } },
    { type: 'Container', maxLimitRequestRatio: { memory: '2' } },
    { type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '2Gi' } },
  ];
  await http.post('/api/v1/namespaces', { metadata: { name: 'limited' } });
  const base = '/api/v1/namespaces/limited';
  await http.post(`${base}/serviceaccounts`, { metadata: { name: 'default' } });
  t.equal((await http.post(`${base}/limitranges`, { metadata: { name: 'l' }, spec: { limits } })).code, 201);
  const resources = (cpu: string, memory: string) => ({
    limits: { cpu, memory },
    requests: { cpu: '100m', memory: '64Mi' },
  });
  const pod = (one: object, two: object) => ({
    metadata: { name: 'p' },
    spec: {
      containers: [
        { name: 'a', image: 'i', resources: one },
        { name: 'b', image: 'i', resources: two },
      ],
    },
  });
  t.equal(
    (await http.post(`${base}/pods`, pod(resources('600m', '64Mi'), resources('600m', '64Mi')))).body.message,
    'pods "p" is forbidden: maximum cpu usage per Pod is 1, but limit is 1200m',
  );
  t.equal(
    (await http.post(`${base}/pods`, pod(resources('500m', '256Mi'), resources('500m', '64Mi')))).body.message,
    'pods "p" is forbidden: memory max limit to request ratio per Container is 2, but provided ratio is 4.000000',
  );
  const claim = (storage: string) => ({
    metadata: { name: 'c' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
  });
  t.equal(
    (await http.post(`${base}/persistentvolumeclaims`, claim('500Mi'))).body.message,
    'persistentvolumeclaims "c" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi',
  );
  t.equal(
    (await http.post(`${base}/persistentvolumeclaims`, claim('3Gi'))).body.message,
    'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi',
  );
});

t.test('certificates: who approves, who signs, and no way to become an administrator', async (t) => {
  const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const client = 'kubernetes.io/kube-apiserver-client';
  const request = async (name: string, organizations: readonly string[] = []) => ({
    metadata: { name },
    spec: {
      request: Buffer.from((await createSigningRequest('dev', organizations)).csr).toString('base64'),
      signerName: client,
      usages: ['client auth'],
    },
  });
  const masters = await http.post(path, await request('root', ['system:masters']));
  t.equal(
    masters.body.message,
    `certificatesigningrequests.certificates.k8s.io "root" is forbidden: use of ${client} signer with system:masters group is not allowed`,
  );
  t.equal((await http.post(path, await request('dev'))).code, 201);

  const rule = (resources: string[], verbs: string[]) => ({ apiGroups: ['certificates.k8s.io'], resources, verbs });
  const rules = [
    rule(['certificatesigningrequests/approval', 'certificatesigningrequests/status'], ['update', 'patch']),
  ];
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await http.post(`${rbac}/clusterroles`, { metadata: { name: 'half' }, rules });
  await http.post(`${rbac}/clusterrolebindings`, {
    metadata: { name: 'half' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'half' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'half' }],
  });
  const half = new TestingHttp(server, server.clientCertificate('half', []));
  t.teardown(() => half.close());
  const conditions = [{ type: 'Approved', status: 'True', reason: 'Test', message: 'by a test' }];
  const approve = (as: TestingHttp) => as.patch(`${path}/dev/approval`, 'merge-patch+json', { status: { conditions } });
  t.equal(
    (await approve(half)).body.message,
    `certificatesigningrequests.certificates.k8s.io "dev" is forbidden: user not permitted to approve requests with signerName "${client}"`,
  );
  t.equal((await approve(http)).code, 200);
  const certificate = Buffer.from(server.admin.cert).toString('base64');
  t.equal(
    (await half.patch(`${path}/dev/status`, 'merge-patch+json', { status: { certificate } })).body.message,
    `certificatesigningrequests.certificates.k8s.io "dev" is forbidden: user not permitted to sign requests with signerName "${client}"`,
  );
});

t.test('a StatefulSet mounts what its claim templates make', async (t) => {
  const labels = { app: 'db' };
  const mounting = (name: string) => ({ name: 'c', image: 'i', volumeMounts: [{ name, mountPath: '/data' }] });
  const set = (mounted: string) => ({
    metadata: { name: 'db' },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [mounting(mounted)] } },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
        },
      ],
    },
  });
  const path = '/apis/apps/v1/namespaces/default/statefulsets';
  t.equal(
    (await http.post(path, set('other'))).body.message,
    'StatefulSet.apps "db" is invalid: spec.template.spec.containers[0].volumeMounts[0].name: Not found: "other"',
  );
  t.equal((await http.post(path, set('data'))).code, 201);
});

t.test('a kubelet gets tokens for the pods of its own node alone', async (t) => {
  const kubelet = new TestingHttp(server, server.clientCertificate('system:node:n1', ['system:nodes']));
  t.teardown(() => kubelet.close());
  const bind = async (name: string, nodeName: string): Promise<string> => {
    await http.post(pods, { metadata: { name }, spec: { nodeName, containers } });
    return (await http.get(`${pods}/${name}`)).body.metadata.uid;
  };
  const own = await bind('own', 'n1');
  const other = await bind('other', 'n2');
  const token = async (boundObjectRef?: object) => {
    const path = '/api/v1/namespaces/default/serviceaccounts/default/token';
    const { code, body } = await kubelet.post(path, { spec: { boundObjectRef } });
    return code === 201 ? 'a token' : String(body.message).replace(/^.* is forbidden: /, '');
  };
  const pod = (name: string, uid?: string) => ({ apiVersion: 'v1', kind: 'Pod', name, uid });
  t.equal(await token(), 'node requested token not bound to a pod');
  t.equal(await token(pod('own')), 'node requested token with a pod binding without a uid');
  t.equal(await token(pod('other', other)), 'node requested token bound to a pod scheduled on a different node');
  t.equal(await token(pod('own', own)), 'a token');
});
