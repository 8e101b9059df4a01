import t from 'tap';
import type { Pod, ResourceQuota } from '../../apimachinery/types/core-v1.ts';
import { limitranges, pods, resourcequotas, serviceaccounts, services } from '../../apimachinery/types/resources.ts';
import { startTestingServer } from '../testing-server.ts';

const server = await startTestingServer();
t.teardown(() => server.stop());
const client = server.api.clientFor({ name: 'admin', groups: ['system:masters'] });
const namespace = 'default';
const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: Error) => error.message,
  );
const pod = (name: string, resources?: object) =>
  ({
    metadata: { namespace, name },
    spec: { containers: [{ name: 'c', image: 'i', ...(resources && { resources }) }] },
  }) as Pod;

t.before(async () => {
  await client.create(serviceaccounts, { metadata: { namespace, name: 'default' } });
});

/** A quota as the controller leaves it after its first count. */
async function quota(name: string, hard: Record<string, string>, used: Record<string, string>): Promise<void> {
  await client.create(resourcequotas, { metadata: { namespace, name }, spec: { hard } });
  await client.patch(
    resourcequotas,
    { namespace, name },
    { status: { hard, used } },
    { type: 'merge', subresource: 'status' },
  );
}
const used = async (name: string) =>
  ((await client.get(resourcequotas, { namespace, name })) as ResourceQuota).status?.used;

t.test('a quota lets through what it has left, also when many ask at once', async (t) => {
  await quota('few', { pods: '3' }, { pods: '0' });
  const outcomes = await Promise.all([1, 2, 3, 4, 5].map((n) => outcome(client.create(pods, pod(`p${n}`)))));
  t.equal(outcomes.filter((text) => text === 'done').length, 3);
  t.same(await used('few'), { pods: '3' });
  t.equal(
    await outcome(client.create(pods, pod('more'))),
    'pods "more" is forbidden: exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3',
  );
  await client.delete(resourcequotas, { namespace, name: 'few' });
});

t.test('a quota of amounts wants them stated', async (t) => {
  await quota(
    'amounts',
    { 'requests.cpu': '1', 'limits.memory': '1Gi' },
    { 'requests.cpu': '0', 'limits.memory': '0' },
  );
  t.equal(
    await outcome(client.create(pods, pod('unstated'))),
    'pods "unstated" is forbidden: failed quota: amounts: must specify limits.memory for: c; requests.cpu for: c',
  );
  const resources = { requests: { cpu: '600m' }, limits: { memory: '100Mi' } };
  t.equal(await outcome(client.create(pods, pod('first', resources))), 'done');
  t.same(await used('amounts'), { 'requests.cpu': '600m', 'limits.memory': '100Mi' });
  t.equal(
    await outcome(client.create(pods, pod('second', resources))),
    'pods "second" is forbidden: exceeded quota: amounts, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1',
  );
  await client.delete(resourcequotas, { namespace, name: 'amounts' });
});

t.test('an update that takes more is charged', async (t) => {
  await quota('ports', { 'services.nodeports': '0', services: '5' }, { 'services.nodeports': '0', services: '0' });
  const service = await client.create(services, {
    metadata: { namespace, name: 's' },
    spec: { ports: [{ port: 80 }] },
  });
  const text = await outcome(client.update(services, { ...service, spec: { ...service.spec, type: 'NodePort' } }));
  t.match(
    text,
    'exceeded quota: ports, requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0',
  );
  await client.delete(resourcequotas, { namespace, name: 'ports' });
});

t.test('limit ranges fill in what is missing and refuse what is out of range', async (t) => {
  const limits = [
    { type: 'Container', default: { memory: '64Mi' }, defaultRequest: { cpu: '50m' }, max: { memory: '128Mi' } },
  ];
  await client.create(limitranges, { metadata: { namespace, name: 'range' }, spec: { limits } });
  const filled = await client.create(pods, pod('filled'));
  t.match(filled.spec.containers[0]!.resources, { limits: { memory: '64Mi' }, requests: { cpu: '50m' } });
  t.match(filled.metadata.annotations, {
    'kubernetes.io/limit-ranger':
      'LimitRanger plugin set: cpu, memory request for container c; memory limit for container c',
  });
  t.equal(
    await outcome(client.create(pods, pod('greedy', { limits: { memory: '1Gi' } }))),
    'pods "greedy" is forbidden: [maximum memory usage per Container is 128Mi, but limit is 1Gi, maximum memory usage per Container is 128Mi, but request is 1Gi]',
  );
});
