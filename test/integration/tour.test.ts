import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { createTestNode, eventually, requireRoot } from './cluster/test-node.ts';

/** The README's tour, with real kubectl, containerd, CNI and nftables: what a user does in the first five minutes. */
requireRoot();
t.setTimeout(300_000);
t.jobs = 1;

const manifest = readFileSync(fileURLToPath(new URL('../../docs/examples/web.yaml', import.meta.url)), 'utf8');
const node = createTestNode(t);
const { namespace } = node;

const curl = (url: string): Promise<string> => namespace.exec(['curl', '-sS', '--max-time', '5', url]);

/** The names of the pods that answer `url`, asked often enough that each of a few pods is met. */
async function answeringPods(url: string): Promise<Set<string>> {
  const answers = new Set<string>();
  for (let attempt = 0; attempt < 60; attempt++) answers.add((await curl(url)).match(/web-[\w-]+/)?.[0] ?? 'no pod');
  return answers;
}

const podNames = async (): Promise<string[]> =>
  (await node.kubectl(['get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].metadata.name}'])).split(' ').sort();

await t.test('the node becomes Ready', async (t) => {
  await node.start();
  t.match(await node.kubectl(['get', 'nodes']), new RegExp(`NAME +STATUS +ROLES +AGE +VERSION\n${node.name} +Ready `));
  t.match(await node.kubectl(['version']), /Server Version: v1\.36/);
  for (const name of ['default', 'kube-node-lease', 'kube-public', 'kube-system'])
    t.match(await node.kubectl(['get', 'namespaces']), new RegExp(`^${name} +Active`, 'm'));
});

await t.test('a Deployment, its Services and a ConfigMap are applied and roll out', async (t) => {
  const applied = await node.kubectl(['apply', '-f', '-'], { input: manifest });
  t.equal(
    applied,
    'configmap/web created\ndeployment.apps/web created\nservice/web created\nservice/web-outside created\n',
  );
  t.match(
    await node.kubectl(['rollout', 'status', 'deployment/web', '--timeout=90s']),
    'deployment "web" successfully rolled out',
  );
  t.match(await node.kubectl(['get', 'deployment', 'web']), /web +3\/3 +3 +3 /);
  t.equal((await podNames()).length, 3);
  t.equal(
    await node.kubectl(['apply', '-f', '-'], { input: manifest }),
    'configmap/web unchanged\ndeployment.apps/web unchanged\nservice/web unchanged\nservice/web-outside unchanged\n',
  );
});

await t.test('the cluster IP and the node port reach every pod', async (t) => {
  const clusterIp = await node.kubectl(['get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}']);
  t.match(clusterIp, /^10\.(9[6-9]|1[01]\d)\./);
  const pods = await podNames();
  t.same([...(await answeringPods(`http://${clusterIp}/`))].sort(), pods);
  t.same([...(await answeringPods(`http://${namespace.address}:30080/`))].sort(), pods);
});

await t.test('describe, logs and exec', async (t) => {
  const [pod = ''] = await podNames();
  const described = await node.kubectl(['describe', 'pod', pod]);
  for (const line of [
    /^Status: +Running$/m,
    /^ +Ready +True/m,
    /Normal +Scheduled .*Successfully assigned default\//,
    /Normal +Pulled .*Container image "balsa\.local\/demo:v1" already present on machine/,
    /Normal +Started /,
  ])
    t.match(described, line);
  t.equal(await node.kubectl(['exec', pod, '--', 'sh', '-c', 'echo $GREETING']), 'Hello from Balsa\n');
  t.equal(
    await node.kubectl(['exec', '-i', pod, '--', 'sh', '-c', 'cat; exit 0'], { input: 'through stdin' }),
    'through stdin',
  );
  const failed = await node.tryKubectl(['exec', pod, '--', 'sh', '-c', 'exit 7']);
  t.equal(failed.code, 7);
  await node.kubectl(['exec', pod, '--', 'sh', '-c', 'echo to the log > /proc/1/fd/1']);
  await eventually('the line in the log', async () => (await node.kubectl(['logs', pod])).includes('to the log'));
});

await t.test('a service name resolves and answers inside a pod', async (t) => {
  const [pod = ''] = await podNames();
  t.match(
    await node.kubectl(['exec', pod, '--', 'wget', '-qO-', 'http://web.default.svc.cluster.local/']),
    /hello from web-/,
  );
  t.match(await node.kubectl(['exec', pod, '--', 'wget', '-qO-', 'http://web/']), /hello from web-/);
  t.match(
    await node.kubectl(['exec', pod, '--', 'nslookup', 'kubernetes.default.svc.cluster.local']),
    /Address: *(\d+: )?10\.96\.0\.1\b/,
  );
});

await t.test('scale, rolling update, undo', async (t) => {
  await node.kubectl(['scale', 'deployment/web', '--replicas=5']);
  await eventually('five pods ready', async () => /web +5\/5 /.test(await node.kubectl(['get', 'deployment', 'web'])));
  await node.kubectl(['scale', 'deployment/web', '--replicas=2']);
  await eventually('two pods left', async () => (await podNames()).length === 2);
  await node.kubectl(['set', 'image', 'deployment/web', 'web=balsa.local/demo:v2']);
  await node.kubectl(['rollout', 'status', 'deployment/web', '--timeout=90s']);
  await eventually('v2 answers', async () => (await curl(`http://${namespace.address}:30080/`)).includes('(v2)'));
  t.match(await node.kubectl(['rollout', 'history', 'deployment/web']), /REVISION +CHANGE-CAUSE\n1 .*\n2 /);
  t.equal(await node.kubectl(['rollout', 'undo', 'deployment/web']), 'deployment.apps/web rolled back\n');
  await node.kubectl(['rollout', 'status', 'deployment/web', '--timeout=90s']);
  await eventually('v1 answers', async () => (await curl(`http://${namespace.address}:30080/`)).includes('(v1)'));
});

await t.test('balsactl speaks the control API', async (t) => {
  const status = await node.balsactl('status');
  t.equal(status.code, 0, status.stderr);
  t.match(status.stdout, new RegExp(`${node.name} +Ready`));
  t.match((await node.balsactl('get', 'deploy')).stdout, /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +2\/2/);
  const [pod = ''] = await podNames();
  t.equal((await node.balsactl('logs', pod, '--tail', '1')).code, 0);
  const missing = await node.balsactl('get', 'pods', 'nobody');
  t.equal(missing.code, 3);
  t.match(missing.stderr, 'pods "nobody" not found');
});

await t.test('deleting the Deployment removes its pods, and the Service then refuses', async (t) => {
  const deleted = await node.kubectl(['delete', '-f', '-', '--wait=true'], { input: manifest });
  t.match(
    deleted,
    /^configmap "web" deleted.*\ndeployment\.apps "web" deleted.*\nservice "web" deleted.*\nservice "web-outside" deleted/,
  );
  await eventually('no pod is left', async () => (await node.kubectl(['get', 'pods', '-o', 'name'])) === '');
  await t.rejects(curl(`http://${namespace.address}:30080/`));
});

await t.test('it stops in order', async (t) => {
  t.equal(await node.stop(), 0);
});
