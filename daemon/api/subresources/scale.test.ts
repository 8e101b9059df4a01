import t from 'tap';
import { TestingHttp } from '../testing-http.ts';
import { startTestingServer } from '../testing-server.ts';

const server = await startTestingServer();
const http = new TestingHttp(server);
t.teardown(async () => {
  await http.close();
  await server.stop();
});
const path = '/apis/apps/v1/namespaces/default/deployments';

t.test('scaling and annotating a deployment', async (t) => {
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const spec = { replicas: 1, selector: { matchLabels: { a: 'b' } }, template };
  await http.post(`${path}?fieldManager=maker`, { metadata: { name: 'web' }, spec });
  const scaled = await http.patch(`${path}/web/scale?fieldManager=scaler`, 'merge-patch+json', {
    spec: { replicas: 3 },
  });
  t.match([scaled.code, scaled.body.spec], [200, { replicas: 3 }]);
  const { metadata } = (await http.get(`${path}/web`)).body;
  t.equal(metadata.generation, 2);
  const entries: { manager: string }[] = metadata.managedFields;
  t.match(
    entries.find(({ manager }) => manager === 'scaler'),
    { operation: 'Update', apiVersion: 'apps/v1', subresource: 'scale', fieldsV1: { 'f:spec': { 'f:replicas': {} } } },
  );
  t.notMatch(
    entries.find(({ manager }) => manager === 'maker'),
    { fieldsV1: { 'f:spec': { 'f:replicas': {} } } },
  );
  const note = (metadata: object) => http.patch(`${path}/web`, 'merge-patch+json', { metadata });
  t.equal((await note({ annotations: { why: 'a test' } })).body.metadata.generation, 3);
  t.equal((await note({ labels: { x: 'y' } })).body.metadata.generation, 3, 'labels do not count');
});

t.test('a namespace that gets its name from the server is labelled with it', async (t) => {
  const { body } = await http.post('/api/v1/namespaces', { metadata: { generateName: 'made-' } });
  t.match(body.metadata.name, /^made-.{5}$/);
  t.same(body.metadata.labels, { 'kubernetes.io/metadata.name': body.metadata.name });
});
