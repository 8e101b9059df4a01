import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createTestNodes, eventually, requireRoot, type TestNode } from './cluster/test-node.ts';

/** From one server to three, and on without the one that led. */
requireRoot();
t.setTimeout(240_000);
t.jobs = 1;

const [first, second, third, agent] = createTestNodes(t, 4) as [TestNode, TestNode, TestNode, TestNode];
const nodes = [first, second, third];

interface Member {
  readonly name: string;
  readonly isLeader: boolean;
  readonly isLearner: boolean;
}

async function members(asked: TestNode): Promise<readonly Member[]> {
  const { stdout, stderr } = await asked.balsactl('status', '-o', 'json');
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as { members: Member[] }).members;
}

/** All pods on one node: that a node is dead shows only after 40 s, and until then pods would be placed on it too. */
const deployment = (name: string, node: TestNode): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: 2
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      terminationGracePeriodSeconds: 1
      nodeSelector: { kubernetes.io/hostname: ${node.name} }
      containers: [{ name: main, image: 'balsa.local/demo:v1' }]
`;

await t.test('two more servers join', async (t) => {
  await first.start();
  await first.kubectl(['create', 'configmap', 'early', '--from-literal=written=before']);
  const made = await first.balsactl('token', 'create', '--role', 'server');
  t.equal(made.code, 0, made.stderr);
  const token = made.stdout.trim();
  for (const node of [second, third]) {
    await node.start(90_000, [`--join=${first.namespace.address}`, `--token=${token}`, '--role=server,agent']);
    for (const file of ['ca.key', 'etcd/ca.key', 'sa.key'])
      t.equal(statSync(join(node.dataDir, 'pki', file)).mode & 0o777, 0o600, file);
  }
  const all = await members(third);
  t.same(all.map((member) => member.name).sort(), nodes.map((node) => node.name).sort());
  t.notOk(all.some((member) => member.isLearner));
});

await t.test('every server answers, and what one writes the others read', async (t) => {
  for (const node of nodes) {
    t.equal(await node.kubectl(['get', 'configmap', 'early', '-o', 'jsonpath={.data.written}']), 'before');
    await node.kubectl(['create', 'configmap', `from-${node.name}`]);
    const listed = await node.kubectl(['get', 'nodes']);
    for (const other of nodes) t.match(listed, new RegExp(`^${other.name} +Ready `, 'm'));
  }
  for (const node of nodes)
    for (const other of nodes)
      await eventually(
        `${node.name} reads`,
        async () => (await node.tryKubectl(['get', 'configmap', `from-${other.name}`])).code === 0,
      );
});

await t.test('an agent joins at any of them', async (t) => {
  const made = await third.balsactl('token', 'create');
  await agent.start(90_000, [`--join=${second.namespace.address}`, `--token=${made.stdout.trim()}`]);
  t.match(await first.kubectl(['get', 'nodes']), new RegExp(`^${agent.name} +Ready `, 'm'));
});

await t.test('the lead is handed over', async (t) => {
  const moved = await first.balsactl('leader', 'transfer', second.name);
  t.equal(moved.code, 0, moved.stderr);
  t.match((await third.balsactl('member', 'list')).stdout, new RegExp(`^${second.name} +\\w+ +leader`, 'm'));
  await third.kubectl(['apply', '-f', '-'], { input: deployment('handed-over', third) });
  await third.kubectl(['rollout', 'status', 'deployment/handed-over', '--timeout=60s']);
});

/** It is also the server that the agent was talking to. */
await t.test('after kill -9 of the leader writes go on and controllers run elsewhere', async () => {
  await second.kill();
  await eventually('a new leader', async () =>
    (await members(first)).some((m) => m.isLeader && m.name !== second.name),
  );
  await first.kubectl(['apply', '-f', '-'], { input: deployment('after', agent) });
  await eventually('pods of the new deployment', async () =>
    /after +2\/2 /.test(await third.kubectl(['get', 'deployment', 'after'])),
  );
});

await t.test('the dead server is no endpoint of the API any more', async () => {
  const path = 'jsonpath={.endpoints[*].addresses[*]}';
  await eventually('two endpoints', async () => {
    const listed = await third.kubectl(['get', 'endpointslice', 'kubernetes', '-o', path]);
    return listed === [first, third].map((node) => node.namespace.address).join(' ');
  });
});

await t.test('the server that was killed comes back, without a token', async () => {
  await second.start();
  await eventually('it has caught up', async () =>
    /after +2\/2 /.test(await second.kubectl(['get', 'deployment', 'after'])),
  );
});

await t.test('a server is removed from the store', async (t) => {
  await third.stop();
  const removed = await first.balsactl('member', 'remove', third.name);
  t.equal(removed.code, 0, removed.stderr);
  t.same((await members(first)).map((member) => member.name).sort(), [first.name, second.name].sort());
  await first.kubectl(['create', 'configmap', 'after-removal']);
});
