import { existsSync } from 'node:fs';
import t from 'tap';
import { createTestNode, eventually, requireRoot } from './cluster/test-node.ts';

/** What survives: an orderly stop, kill -9 at random moments of a rolling update, and kill -9 of containerd. */
requireRoot();
t.setTimeout(300_000);
t.jobs = 1;

const node = createTestNode(t);

const deployment = (version: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: survivor }
spec:
  replicas: 3
  selector: { matchLabels: { app: survivor } }
  template:
    metadata: { labels: { app: survivor } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: balsa.local/demo:${version}
          readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 }
`;

interface RunningContainer {
  readonly pod: string;
  readonly id: string;
}

/** Containers that really run, from containerd itself: nothing that the API says can hide a leak here. */
async function runningContainers(): Promise<RunningContainer[]> {
  const socket = await node.namespace.exec([
    'sh',
    '-c',
    `find ${node.runDir} /run/balsa-* -name containerd.sock 2>/dev/null | head -1`,
  ]);
  const listed = await node.namespace.exec(['ctr', '-a', socket.trim(), '-n', 'k8s.io', 'tasks', 'list']);
  const running = listed
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s+/))
    .filter(([, , state]) => state === 'RUNNING')
    .map(([id = '']) => id);
  const containers = await Promise.all(
    running.map(async (id) => {
      const info = JSON.parse(
        await node.namespace.exec(['ctr', '-a', socket.trim(), '-n', 'k8s.io', 'containers', 'info', id]),
      ) as { Labels: Record<string, string> };
      return { id, kind: info.Labels['io.cri-containerd.kind'], pod: info.Labels['io.kubernetes.pod.name'] ?? '' };
    }),
  );
  return containers.filter(({ kind }) => kind === 'container');
}

const podNames = async (): Promise<string[]> =>
  (await node.kubectl(['get', 'pods', '-l', 'app=survivor', '-o', 'jsonpath={.items[*].metadata.name}']))
    .split(' ')
    .sort();

await t.test('pods live through an orderly stop and are adopted by the next start', async (t) => {
  await node.start();
  await node.kubectl(['apply', '-f', '-'], { input: deployment('v1') });
  await node.kubectl(['rollout', 'status', 'deployment/survivor', '--timeout=90s']);
  const before = await runningContainers();
  t.equal(before.length, 3);
  t.equal(await node.stop(), 0);
  await node.start();
  t.same((await podNames()).sort(), before.map(({ pod }) => pod).sort());
  const ready = await eventually('three pods ready again', async () =>
    /survivor +3\/3 /.test(await node.kubectl(['get', 'deployment', 'survivor'])),
  );
  t.ok(ready);
  t.same(
    (await runningContainers()).map(({ id }) => id).sort(),
    before.map(({ id }) => id).sort(),
    'the very same containers',
  );
  t.match(
    await node.kubectl(['get', 'pods', '-l', 'app=survivor', '--no-headers']),
    /^(\S+ +1\/1 +Running +0 .*\n){3}$/,
  );
});

await t.test('kill -9 at random moments of a rolling update: it completes, nothing leaks or runs twice', async (t) => {
  for (const [round, version] of ['v2', 'v1', 'v2'].entries()) {
    await node.kubectl(['apply', '-f', '-'], { input: deployment(version) });
    const wait = Math.floor(Math.random() * 2500);
    t.comment(`round ${round}: killed after ${wait} ms`);
    await new Promise((resolve) => setTimeout(resolve, wait));
    await node.kill();
    await node.start();
    await node.kubectl(['rollout', 'status', 'deployment/survivor', '--timeout=90s']);
    const pods = await eventually('only the new pods are left', async () => {
      const names = await podNames();
      return names.length === 3 && names;
    });
    const containers = await eventually('one container for each pod', async () => {
      const running = await runningContainers();
      return running.length === 3 && running;
    });
    t.same(containers.map(({ pod }) => pod).sort(), pods);
    t.match(
      await node.kubectl(['get', 'pods', '-l', 'app=survivor', '-o', 'jsonpath={.items[*].spec.containers[0].image}']),
      `balsa.local/demo:${version}`,
    );
  }
});

await t.test('containerd dies: it is started again, pods are still there', async (t) => {
  const before = (await runningContainers()).map(({ id }) => id).sort();
  const pid = (
    await node.namespace.exec(['sh', '-c', `pgrep -f '^(\\S*/)?containerd .*${node.directory}' | head -1`])
  ).trim();
  t.match(pid, /^\d+$/);
  process.kill(Number(pid), 'SIGKILL');
  await eventually('containerd answers again', async () => (await runningContainers()).length === 3);
  t.same((await runningContainers()).map(({ id }) => id).sort(), before);
  await node.kubectl(['scale', 'deployment/survivor', '--replicas=4']);
  await node.kubectl(['rollout', 'status', 'deployment/survivor', '--timeout=90s']);
});

await t.test('--clean removes everything', async (t) => {
  t.equal(await node.stop(), 0);
  const [program = '', args = []] = [
    process.execPath,
    ['dist/balsad.js', '--clean', `--data-dir=${node.dataDir}`, `--run-dir=${node.runDir}`, `--node-name=${node.name}`],
  ];
  await node.namespace.exec([program, ...args]);
  t.equal((await node.namespace.exec(['nft', 'list', 'tables'])).includes('balsa'), false);
  t.equal((await node.namespace.exec(['ip', '-o', 'link'])).includes('balsa0'), false);
  t.same(node.ownProcesses(), []);
  t.notOk(existsSync(node.dataDir));
  t.notOk(existsSync(node.runDir));
});
