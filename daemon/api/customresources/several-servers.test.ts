import t from 'tap';
import { MemoryStore } from '../../store/memory.ts';
import { type Answer, TestingHttp } from '../testing-http.ts';
import { startTestingServer } from '../testing-server.ts';

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const gears = '/apis/example.com/v1/gears';

const definition = {
  metadata: { name: 'gears.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Cluster',
    names: { plural: 'gears', kind: 'Gear' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', properties: { teeth: { type: 'integer', default: 8 } } } },
      },
    ],
  },
};

t.test('a definition made at one server is served by all, and by those that come later', async (t) => {
  const store = new MemoryStore();
  const first = await startTestingServer({ store });
  const second = await startTestingServer({ store });
  const http = new TestingHttp(first);
  const other = new TestingHttp(second);
  const established = async (client: TestingHttp) => {
    for await (const { object } of client.watch(`${crds}?watch=true`)) {
      const crd: Answer['body'] = object;
      const conditions: { type: string; status: string }[] = crd.status?.conditions ?? [];
      if (conditions.some(({ type, status }) => type === 'Established' && status === 'True')) return;
    }
  };
  t.equal((await http.post(crds, definition)).code, 201);
  await established(http);
  await established(other);
  t.equal((await http.post(gears, { metadata: { name: 'one' } })).body.teeth, 8);
  // The other server installs on its own: it is asked until it has, as any client of several servers would.
  let answer = await other.get(`${gears}/one`);
  while (answer.code === 404) answer = await other.get(`${gears}/one`);
  t.equal(answer.body.teeth, 8);
  t.equal((await other.patch(`${gears}/one`, 'merge-patch+json', { teeth: 9 })).code, 200);
  t.equal((await http.get(`${gears}/one`)).body.teeth, 9);
  await Promise.all([http.close(), other.close()]);
  await first.stop();
  await second.stop();

  const third = await startTestingServer({ store });
  const late = new TestingHttp(third);
  t.equal((await late.get(`${gears}/one`)).body.teeth, 9, 'served from the first moment on');
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  t.match((await late.get('/apis', { accept })).text, '"resource":"gears"');
  await late.close();
  await third.stop();
});
