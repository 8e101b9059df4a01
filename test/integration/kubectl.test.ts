import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { createTestNode, eventually, kubectls, requireRoot } from './cluster/test-node.ts';

/** The commands people use every day, with every kubectl there is: the current one, and Debian's, which is years old. */
requireRoot();
t.setTimeout(300_000);
t.jobs = 1;

const manifest = readFileSync(fileURLToPath(new URL('../../docs/examples/web.yaml', import.meta.url)), 'utf8');
const node = createTestNode(t);
await node.start();
t.ok(kubectls.length > 0, 'there is a kubectl');

for (const { name, program } of kubectls) {
  const kubectl = (args: readonly string[], input?: string): Promise<string> =>
    node.kubectl(args, { program, ...(input === undefined ? {} : { input }) });

  await t.test(`${name} kubectl: a Deployment's life`, async (t) => {
    t.match(await kubectl(['apply', '-f', '-'], manifest), /^configmap\/web created\ndeployment\.apps\/web created\n/);
    t.match(await kubectl(['rollout', 'status', 'deployment/web', '--timeout=90s']), 'successfully rolled out');
    t.match(await kubectl(['get', 'pods', '-o', 'wide']), /(web-\S+ +1\/1 +Running +0 +\S+ +10\.244\.\S+ .*\n){3}/);
    t.match(await kubectl(['describe', 'deployment', 'web']), /NewReplicaSet: +web-\S+ \(3\/3 replicas created\)/);
    t.match(await kubectl(['describe', 'service', 'web']), /Endpoints: +10\.244\.\d+\.\d+:8080,/);
    t.match(
      await kubectl(['describe', 'node', node.name]),
      /Ready +True .*KubeletReady +kubelet is posting ready status/,
    );
    t.match(await kubectl(['get', 'deployment', 'web', '-o', 'yaml']), /^apiVersion: apps\/v1\nkind: Deployment\n/m);
    t.match(await kubectl(['explain', 'deployment.spec.replicas']), /replicas\s+<integer>|FIELD: replicas <integer>/);
    const [pod = ''] = (await kubectl(['get', 'pods', '-o', 'name'])).split('\n');
    t.equal(await kubectl(['exec', '-i', pod, '--', 'cat'], 'through stdin'), 'through stdin');
    t.equal((await node.tryKubectl(['exec', pod, '--', 'sh', '-c', 'exit 9'], { program })).code, 9);
    await kubectl(['exec', pod, '--', 'sh', '-c', 'echo seen by logs > /proc/1/fd/1']);
    await eventually('the line in the log', async () => (await kubectl(['logs', pod])).includes('seen by logs'));
    t.equal(await kubectl(['scale', 'deployment/web', '--replicas=1']), 'deployment.apps/web scaled\n');
    await eventually(
      'one pod is left',
      async () => (await kubectl(['get', 'pods', '--no-headers'])).split('\n').length === 2,
    );
    await kubectl(['label', 'deployment', 'web', 'seen=yes']);
    await kubectl(['annotate', 'deployment', 'web', 'note=kept']);
    await kubectl([
      'patch',
      'deployment',
      'web',
      '--type=json',
      '-p',
      '[{"op":"add","path":"/metadata/labels/more","value":"x"}]',
    ]);
    t.match(await kubectl(['get', 'deployment', '-l', 'seen=yes,more=x', '-o', 'name']), 'deployment.apps/web');
    t.match(await kubectl(['get', 'events', '--field-selector=reason=ScalingReplicaSet']), 'Scaled down replica set');
    await kubectl(['delete', '-f', '-'], manifest);
    await eventually('no pod is left', async () => (await kubectl(['get', 'pods', '-o', 'name'])) === '');
  });

  await t.test(`${name} kubectl: attach, one-off pods, jobs`, async (t) => {
    const ran = await node.tryKubectl(
      ['run', '-i', '--rm', 'once', '--image=balsa.local/demo:v1', '--restart=Never', '--', 'sh'],
      { program, input: 'echo said on stdin; exit 0\n' },
    );
    t.match(ran.stdout, 'said on stdin');
    await kubectl(['create', 'job', 'once', '--image=balsa.local/demo:v1', '--', 'sh', '-c', 'echo done']);
    await kubectl(['wait', '--for=condition=complete', 'job/once', '--timeout=60s']);
    t.equal(await kubectl(['logs', 'job/once']), 'done\n');
    await kubectl(['delete', 'job', 'once']);
    t.equal(await kubectl(['auth', 'can-i', 'create', 'pods']), 'yes\n');
    const denied = await node.tryKubectl(['get', 'pods', '--as=nobody'], { program });
    t.match(
      denied.stderr,
      'Error from server (Forbidden): pods is forbidden: User "nobody" cannot list resource "pods" in API group "" in the namespace "default"',
    );
  });
}
