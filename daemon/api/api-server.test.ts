import t from 'tap';
import { MemoryStore } from '../store/memory.ts';
import { TestingHttp } from './testing-http.ts';
import { startTestingServer } from './testing-server.ts';

const store = new MemoryStore();
// Revisions from before the server started: it cannot tell what happened then.
for (let i = 0; i < 5; i++) await store.put({ key: Buffer.from('/elsewhere'), value: Buffer.from(String(i)) });
const server = await startTestingServer({ store });
const http = new TestingHttp(server);
t.teardown(async () => {
  await http.close();
  await server.stop();
});

const cm = (name: string, extra: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { a: 'b' },
  ...extra,
});
const configmaps = '/api/v1/namespaces/default/configmaps';

t.test('an object is created, read, updated and deleted', async (t) => {
  const created = await http.post(configmaps, cm('one'));
  t.equal(created.code, 201);
  t.match(created.body, {
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: {
      name: 'one',
      namespace: 'default',
      uid: /^[0-9a-f-]{36}$/,
      resourceVersion: /^\d+$/,
      creationTimestamp: /Z$/,
    },
    data: { a: 'b' },
  });
  t.same((await http.get(`${configmaps}/one`)).body, created.body);
  const unchanged = await http.put(`${configmaps}/one`, created.body);
  t.equal(unchanged.body.metadata.resourceVersion, created.body.metadata.resourceVersion, 'a no-op writes nothing');
  const updated = await http.put(`${configmaps}/one`, { ...created.body, data: { a: 'c' } });
  t.equal(updated.code, 200);
  t.not(updated.body.metadata.resourceVersion, created.body.metadata.resourceVersion);
  const stale = await http.put(`${configmaps}/one`, { ...created.body, data: { a: 'd' } });
  t.same(stale.body, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message:
      'Operation cannot be fulfilled on configmaps "one": the object has been modified; please apply your changes to the latest version and try again',
    reason: 'Conflict',
    details: { name: 'one', kind: 'configmaps' },
    code: 409,
  });
  const deleted = await http.delete(`${configmaps}/one`);
  t.same(deleted.body, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name: 'one', kind: 'configmaps', uid: created.body.metadata.uid },
  });
});

t.test('failures are the Status objects that Kubernetes sends', async (t) => {
  const missing = await http.get('/apis/apps/v1/namespaces/default/deployments/nope');
  t.same(missing.body, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'deployments.apps "nope" not found',
    reason: 'NotFound',
    details: { name: 'nope', group: 'apps', kind: 'deployments' },
    code: 404,
  });
  await http.post(configmaps, cm('twice'));
  t.match((await http.post(configmaps, cm('twice'))).body, {
    message: 'configmaps "twice" already exists',
    reason: 'AlreadyExists',
    code: 409,
  });
  t.match((await http.post('/api/v1/namespaces/nowhere/configmaps', cm('x'))).body, {
    message: 'namespaces "nowhere" not found',
    reason: 'NotFound',
    code: 404,
  });
  t.match((await http.post(configmaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} })).body, {
    reason: 'Invalid',
    code: 422,
    message: /name or generateName is required/,
  });
  t.match((await http.post(configmaps, '{"a":')).body, {
    reason: 'BadRequest',
    code: 400,
    message: /unexpected end of JSON input/,
  });
  t.match((await http.send('POST', configmaps, 'x', { 'content-type': 'text/plain' })).body, {
    code: 415,
    reason: 'UnsupportedMediaType',
  });
  t.match((await http.get(configmaps, { accept: 'image/png' })).body, { code: 406, reason: 'NotAcceptable' });
  t.match((await http.post(configmaps, cm('big', { data: { a: 'x'.repeat(3 * 1024 * 1024) } }))).body, {
    code: 413,
    message: 'Request entity too large: limit is 3145728',
  });
  t.match((await http.get('/api/v1/nonsense')).body, {
    code: 404,
    message: 'the server could not find the requested resource',
  });
  const unknown = await http.get('/nonsense');
  t.equal(unknown.code, 404);
  t.equal(unknown.text, '404 page not found\n');
  t.match((await http.put(configmaps, cm('x'))).body, { code: 405, reason: 'MethodNotAllowed' });
});

t.test('types and unknown fields are checked against the schema', async (t) => {
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  const deployment = (spec: object) => ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec });
  t.equal(
    (await http.post(deployments, deployment({ replicas: 'three' }))).body.message,
    'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
  );
  const odd = deployment({
    foo: 1,
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i', bar: 2 }] } },
  });
  const strict = await http.post(`${deployments}?fieldValidation=Strict`, odd);
  t.equal(strict.code, 400);
  t.equal(
    strict.body.message,
    'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.foo", unknown field "spec.template.spec.containers[0].bar"',
  );
  const warned = await http.post(`${deployments}?dryRun=All`, odd);
  t.equal(warned.code, 201);
  t.match([warned.headers['warning']].flat().join('|'), /299 - "unknown field \\"spec.foo\\""/);
  t.equal(warned.body.spec.foo, undefined);
  t.equal((await http.get(`${deployments}/d`)).code, 404, 'a dry run stores nothing');
  const duplicate = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"dup"},"data":{"a":"1","a":"2"}}';
  t.equal(
    (await http.post(`${configmaps}?fieldValidation=Strict`, duplicate)).body.message,
    'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.a"',
  );
});

t.test('authentication and authorization', async (t) => {
  const anonymous = new TestingHttp(server, null);
  const stranger = new TestingHttp(server, server.clientCertificate('eve', ['dev']));
  t.teardown(async () => {
    await anonymous.close();
    await stranger.close();
  });
  const denied = await stranger.get('/api/v1/namespaces/default/pods');
  t.same(denied.body, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'pods is forbidden: User "eve" cannot list resource "pods" in API group "" in the namespace "default"',
    reason: 'Forbidden',
    details: { kind: 'pods' },
    code: 403,
  });
  t.equal((await stranger.get('/metrics')).body.message, 'forbidden: User "eve" cannot get path "/metrics"');
  t.equal(
    (await stranger.get('/api/v1/nodes/n1')).body.message,
    'nodes "n1" is forbidden: User "eve" cannot get resource "nodes" in API group "" at the cluster scope',
  );
  const bad = await http.send('GET', '/api/v1/pods', undefined, { authorization: 'Bearer nonsense' });
  t.equal(bad.code, 200, 'the certificate counts');
  const token = await anonymousWith(anonymous, 'Bearer nonsense');
  t.same(token.body, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'Unauthorized',
    reason: 'Unauthorized',
    code: 401,
  });
  t.equal((await anonymous.get('/version')).body.gitVersion, 'v1.36.0+balsa');
  t.match((await anonymous.get('/api/v1/pods')).body.message, /User "system:anonymous" cannot list/);

  await http.post('/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', {
    metadata: { name: 'eve' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'eve' }],
  });
  t.equal((await stranger.get('/api/v1/namespaces/default/pods')).code, 200, 'a binding counts at once');
  t.equal((await stranger.get('/api/v1/namespaces/kube-system/pods')).code, 403);
  t.equal((await stranger.post(configmaps, cm('eves'))).code, 201);

  const account = await http.post('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'robot' } });
  const issued = await http.post('/api/v1/namespaces/default/serviceaccounts/robot/token', {
    spec: { expirationSeconds: 600 },
  });
  t.equal(issued.code, 201);
  const bearer = `Bearer ${issued.body.status.token}`;
  const self = await anonymousPost(anonymous, '/apis/authentication.k8s.io/v1/selfsubjectreviews', bearer);
  t.match(self.body.status.userInfo, {
    username: 'system:serviceaccount:default:robot',
    uid: account.body.metadata.uid,
    groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
  });
  await http.delete('/api/v1/namespaces/default/serviceaccounts/robot');
  t.equal((await anonymousWith(anonymous, bearer)).code, 401, 'a token dies with its account');
});

const anonymousWith = (client: TestingHttp, authorization: string) =>
  client.send('GET', '/api/v1/namespaces/default/pods', undefined, { authorization });
const anonymousPost = (client: TestingHttp, path: string, authorization: string) =>
  client.send('POST', path, {}, { authorization });

t.test('no one grants what they do not have', async (t) => {
  const roles = '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles';
  await http.post('/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', {
    metadata: { name: 'mallory' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'mallory' }],
  });
  const mallory = new TestingHttp(server, server.clientCertificate('mallory', []));
  t.teardown(() => mallory.close());
  const fine = await mallory.post(roles, {
    metadata: { name: 'fine' },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
  });
  t.equal(fine.code, 201);
  const greedy = await mallory.post(roles, {
    metadata: { name: 'greedy' },
    rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
  });
  t.equal(greedy.code, 403);
  t.equal(
    greedy.body.message,
    'roles.rbac.authorization.k8s.io "greedy" is forbidden: user "mallory" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}',
  );
});

t.test('patches of each type', async (t) => {
  await http.post(configmaps, cm('patched'));
  const path = `${configmaps}/patched`;
  t.equal((await http.patch(path, 'merge-patch+json', { data: { b: '2' } })).body.data.b, '2');
  t.equal(
    (await http.patch(path, 'json-patch+json', [{ op: 'replace', path: '/data/b', value: '3' }])).body.data.b,
    '3',
  );
  t.equal((await http.patch(path, 'strategic-merge-patch+json', { data: { b: null } })).body.data.b, undefined);
  const conflict = await http.patch(path, 'merge-patch+json', { metadata: { resourceVersion: '1' }, data: { b: '9' } });
  t.equal(conflict.code, 409);
  t.equal((await http.patch(path, 'foo+json', {})).code, 415);
});

t.test('deletion waits for grace periods and finalizers', async (t) => {
  await http.post('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  const pods = '/api/v1/namespaces/default/pods';
  const pod = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  t.equal((await http.post(pods, pod)).code, 201);
  t.equal(
    (await http.post(`${pods}/p/binding`, { metadata: { name: 'p' }, target: { kind: 'Node', name: 'n1' } })).code,
    201,
  );
  const bound = await http.post(`${pods}/p/binding`, { metadata: { name: 'p' }, target: { kind: 'Node', name: 'n2' } });
  t.equal(
    bound.body.message,
    'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"',
  );
  const deleted = await http.delete(`${pods}/p`);
  t.equal(deleted.code, 200);
  t.equal(deleted.body.metadata.deletionGracePeriodSeconds, 30);
  t.equal((await http.get(`${pods}/p`)).code, 200);
  t.equal((await http.delete(`${pods}/p?gracePeriodSeconds=0`)).code, 200);
  t.equal((await http.get(`${pods}/p`)).code, 404);

  await http.post(configmaps, cm('held', { metadata: { name: 'held', finalizers: ['example.com/wait'] } }));
  const held = await http.delete(`${configmaps}/held`);
  t.ok(held.body.metadata.deletionTimestamp);
  t.equal((await http.get(`${configmaps}/held`)).code, 200);
  await http.patch(`${configmaps}/held`, 'merge-patch+json', { metadata: { finalizers: null } });
  t.equal((await http.get(`${configmaps}/held`)).code, 404);

  const wrong = await http.post(configmaps, cm('guarded'));
  t.equal((await http.delete(`${configmaps}/guarded`, { preconditions: { uid: 'other' } })).code, 409);
  t.equal((await http.delete(`${configmaps}/guarded`, { preconditions: { uid: wrong.body.metadata.uid } })).code, 200);
});

t.test('namespaces end when they are finalized', async (t) => {
  await http.post('/api/v1/namespaces', { metadata: { name: 'brief' } });
  const deleted = await http.delete('/api/v1/namespaces/brief');
  t.match(deleted.body, { status: { phase: 'Terminating' }, spec: { finalizers: ['kubernetes'] } });
  const refused = await http.post('/api/v1/namespaces/brief/configmaps', cm('late'));
  t.equal(refused.code, 403);
  t.match(refused.body.message, /unable to create new content in namespace brief because it is being terminated/);
  const current = (await http.get('/api/v1/namespaces/brief')).body;
  const finalized = await http.put('/api/v1/namespaces/brief/finalize', { ...current, spec: {} });
  t.equal(finalized.code, 200);
  t.equal((await http.get('/api/v1/namespaces/brief')).code, 404);
});

t.test('lists in pages show one moment', async (t) => {
  await http.post('/api/v1/namespaces', { metadata: { name: 'pages' } });
  const path = '/api/v1/namespaces/pages/configmaps';
  for (let i = 0; i < 10; i++)
    await http.post(path, cm(`c${i}`, { metadata: { name: `c${i}`, labels: { even: String(i % 2 === 0) } } }));
  const first = await http.get(`${path}?limit=4`);
  t.equal(first.body.items.length, 4);
  t.equal(first.body.metadata.remainingItemCount, 6);
  await http.delete(`${path}/c5`);
  await http.post(path, cm('c55'));
  const second = await http.get(`${path}?limit=4&continue=${first.body.metadata.continue}`);
  t.same(
    second.body.items.map((item: { metadata: { name: string } }) => item.metadata.name),
    ['c4', 'c5', 'c6', 'c7'],
  );
  t.equal(second.body.metadata.resourceVersion, first.body.metadata.resourceVersion);
  const third = await http.get(`${path}?continue=${second.body.metadata.continue}`);
  t.equal(third.body.items.length, 2);
  t.equal(third.body.metadata.continue, undefined);
  t.equal((await http.get(`${path}?labelSelector=even%3Dtrue`)).body.items.length, 5);
  t.equal((await http.get(`${path}?fieldSelector=metadata.name%3Dc3`)).body.items.length, 1);
  t.equal((await http.get(`${path}?fieldSelector=spec.foo%3Dc3`)).code, 400);
  t.equal((await http.get(`${path}?labelSelector=%3D%3D`)).code, 400);
  t.equal((await http.get(`${path}?resourceVersionMatch=Exact`)).code, 422);
  t.match((await http.get(`${path}?resourceVersion=99999999`)).body, { code: 504, reason: 'Timeout' });
});

t.test('watch', async (t) => {
  const path = '/api/v1/namespaces/pages/configmaps';
  const list = (await http.get(path)).body;
  const events: string[] = [];
  const watch = http.watch(
    `${path}?watch=1&resourceVersion=${list.metadata.resourceVersion}&labelSelector=w&timeoutSeconds=30`,
  );
  await http.post(path, cm('w1', { metadata: { name: 'w1', labels: { w: 'x' } } }));
  await http.patch(`${path}/w1`, 'merge-patch+json', { data: { a: 'z' } });
  await http.patch(`${path}/w1`, 'merge-patch+json', { metadata: { labels: { w: null } } });
  await http.patch(`${path}/w1`, 'merge-patch+json', { metadata: { labels: { w: 'y' } } });
  await http.delete(`${path}/w1`);
  for await (const event of watch) {
    events.push(event.type);
    if (events.length === 5) break;
  }
  t.same(events, ['ADDED', 'MODIFIED', 'DELETED', 'ADDED', 'DELETED']);
  for await (const event of http.watch(`${path}?watch=1&resourceVersion=1`)) {
    t.match(event, { type: 'ERROR', object: { code: 410, reason: 'Expired', message: /too old resource version: 1/ } });
  }
  const streamed: string[] = [];
  for await (const event of http.watch(
    `${path}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=20`,
  )) {
    streamed.push(event.type);
    if (event.type === 'BOOKMARK') {
      t.match(event.object, { metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } });
      break;
    }
  }
  t.equal(streamed.length, list.items.length + 1);
});

t.test('discovery, health and metrics', async (t) => {
  const groups = (await http.get('/apis')).body;
  t.equal(groups.kind, 'APIGroupList');
  const core = (await http.get('/api/v1')).body;
  t.match(
    core.resources.find((resource: { name: string }) => resource.name === 'pods'),
    {
      singularName: 'pod',
      namespaced: true,
      kind: 'Pod',
      shortNames: ['po'],
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
    },
  );
  const aggregated = await http.get('/apis', {
    accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
  });
  t.equal(aggregated.body.kind, 'APIGroupDiscoveryList');
  t.match(aggregated.headers['content-type'], /as=APIGroupDiscoveryList/);
  t.equal((await http.get('/readyz')).text, 'ok');
  t.match((await http.get('/readyz?verbose')).text, /\[\+\]ping ok\n[\s\S]*readyz check passed\n/);
  t.match((await http.get('/metrics')).text, /apiserver_request_total\{[^}]*resource="configmaps"/);
  t.equal((await http.get('/openid/v1/jwks')).body.keys[0].kty, 'EC');
});

t.test('scale', async (t) => {
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  await http.post(deployments, {
    metadata: { name: 'scaled' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  });
  const scale = await http.get(`${deployments}/scaled/scale`);
  t.match(scale.body, {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    spec: { replicas: 2 },
    status: { selector: 'a=b' },
  });
  t.equal(
    (await http.put(`${deployments}/scaled/scale`, { ...scale.body, spec: { replicas: 5 } })).body.spec.replicas,
    5,
  );
  t.match((await http.get(`${deployments}/scaled`)).body, { spec: { replicas: 5 }, metadata: { generation: 2 } });
  await http.patch(`${deployments}/scaled/status`, 'merge-patch+json', {
    status: { replicas: 3 },
    spec: { replicas: 9 },
  });
  t.match((await http.get(`${deployments}/scaled`)).body, {
    spec: { replicas: 5 },
    metadata: { generation: 2 },
    status: { replicas: 3 },
  });
});

t.test('HTTP/2 answers as HTTP/1.1 does', async (t) => {
  const h2 = new TestingHttp(server, server.admin, { http2: true });
  t.teardown(() => h2.close());
  await h2.post(configmaps, cm('h2'));
  const [one, two] = [await http.get(`${configmaps}/h2`), await h2.get(`${configmaps}/h2`)];
  t.same(two.body, one.body);
  t.equal((await h2.get(`${configmaps}/none`)).code, 404);
  t.equal((await h2.send('HEAD', `${configmaps}/h2`)).text, '');
});
