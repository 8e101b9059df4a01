import t from 'tap';
import { createTestNodes, eventually, requireRoot, type TestNode } from './cluster/test-node.ts';

/** A server and an agent: joining, and what then has to work across the two. */
requireRoot();
t.setTimeout(240_000);
t.jobs = 1;

const [server, agent] = createTestNodes(t, 2) as [TestNode, TestNode];

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: spread }
spec:
  replicas: 4
  selector: { matchLabels: { app: spread } }
  template:
    metadata: { labels: { app: spread } }
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: DoNotSchedule
          labelSelector: { matchLabels: { app: spread } }
      containers:
        - name: main
          image: balsa.local/demo:v1
          readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: spread }
spec:
  type: NodePort
  selector: { app: spread }
  ports: [{ port: 80, targetPort: 8080, nodePort: 30090 }]
`;

interface PlacedPod {
  readonly name: string;
  readonly node: string;
  readonly ip: string;
}

async function placedPods(): Promise<PlacedPod[]> {
  const template = '{range .items[*]}{.metadata.name} {.spec.nodeName} {.status.podIP}{"\\n"}{end}';
  const listed = await server.kubectl(['get', 'pods', '-l', 'app=spread', '-o', `jsonpath=${template}`]);
  return listed
    .trim()
    .split('\n')
    .map((line) => {
      const [name = '', node = '', ip = ''] = line.split(' ');
      return { name, node, ip };
    });
}

const podOn = async (node: TestNode): Promise<PlacedPod> => {
  const pod = (await placedPods()).find((candidate) => candidate.node === node.name);
  if (pod === undefined) throw new Error(`no pod on ${node.name}`);
  return pod;
};

const fetchFrom = (pod: PlacedPod, url: string): Promise<string> =>
  server.kubectl(['exec', pod.name, '--', 'wget', '-qO-', url]);

let token = '';
const joinFlags = (with_: string): string[] => [`--join=${server.namespace.address}`, `--token=${with_}`];

await t.test('balsactl makes, lists and deletes tokens', async (t) => {
  await server.start();
  const made = await server.balsactl('token', 'create', '--ttl', '10m', '--description', 'for the test');
  t.equal(made.code, 0, made.stderr);
  token = made.stdout.trim();
  t.match(token, /^[a-z0-9]{6}\.[a-z0-9]{16}@sha256:[0-9a-f]{64}$/);
  t.match(made.stderr, `balsad join ${server.namespace.address}:6441 --token`);
  const spare = (await server.balsactl('token', 'create')).stdout.slice(0, 6);
  t.match(
    (await server.balsactl('token', 'list')).stdout,
    new RegExp(`^${token.slice(0, 6)} +agent +\\w+ +for the test$`, 'm'),
  );
  t.equal((await server.balsactl('token', 'delete', spare)).code, 0);
  t.notMatch((await server.balsactl('token', 'list')).stdout, spare);
  t.equal((await server.balsactl('token', 'delete', spare)).code, 3);
  t.equal((await server.balsactl('token', 'create', '--role', 'king')).code, 1);
});

await t.test('a wrong token, a wrong authority and a server role for an agent token are refused', async (t) => {
  const wrongSecret = token.replace(/\.[^@]+/, '.0000000000000000');
  await t.rejects(agent.start(60_000, joinFlags(wrongSecret)), /cannot join .*: the token is not known or has expired/);
  const wrongHash = token.replace(/[0-9a-f]{64}$/, '0'.repeat(64));
  await t.rejects(agent.start(60_000, joinFlags(wrongHash)), /cannot join .* the hash of its authority differs/);
  await t.rejects(agent.start(60_000, joinFlags('garbage')), /--token: not of the form/);
  await t.rejects(
    agent.start(60_000, [...joinFlags(token), '--role=server,agent']),
    /cannot join .*: this token is for an agent/,
  );
  await t.rejects(agent.start(60_000, ['--role=agent']), /an agent needs a cluster: balsad join/);
});

await t.test('an agent joins and gets pods', async (t) => {
  await agent.start(90_000, joinFlags(token));
  t.match(await server.kubectl(['get', 'nodes']), new RegExp(`^${agent.name} +Ready `, 'm'));
  await server.kubectl(['apply', '-f', '-'], { input: manifest });
  await server.kubectl(['rollout', 'status', 'deployment/spread', '--timeout=90s']);
  const nodes = new Set((await placedPods()).map((pod) => pod.node));
  t.same([...nodes].sort(), [server.name, agent.name].sort());
});

await t.test('pods reach pods and Services across nodes', async (t) => {
  const [here, there] = [await podOn(server), await podOn(agent)];
  t.match(await fetchFrom(here, `http://${there.ip}:8080/`), there.name);
  t.match(await fetchFrom(there, `http://${here.ip}:8080/`), here.name);
  for (const from of [here, there]) {
    const answers = new Set<string>();
    for (let i = 0; i < 12; i++)
      answers.add((await fetchFrom(from, 'http://spread/')).match(/spread-[\w-]+/)?.[0] ?? '');
    const pods = await placedPods();
    const nodes = new Set([...answers].map((name) => pods.find((pod) => pod.name === name)?.node));
    t.equal(nodes.size, 2, `a Service asked from ${from.node} answers from both nodes`);
  }
  for (const node of [server, agent])
    t.match(
      await node.namespace.exec(['curl', '-sS', '--max-time', '5', `http://${node.namespace.address}:30090/`]),
      'spread-',
    );
});

await t.test('logs and exec of a pod on the agent', async (t) => {
  const pod = await podOn(agent);
  t.equal(await server.kubectl(['exec', pod.name, '--', 'hostname']), `${pod.name}\n`);
  await server.kubectl(['exec', pod.name, '--', 'sh', '-c', 'echo to the log > /proc/1/fd/1']);
  await eventually('the line in the log', async () =>
    (await server.kubectl(['logs', pod.name])).includes('to the log'),
  );
});

await t.test('the agent comes back without a token, and its pods live on', async (t) => {
  const before = await podOn(agent);
  t.equal(await agent.stop(), 0);
  await agent.start();
  t.same(await podOn(agent), before);
  const restarts = await server.kubectl([
    'get',
    'pods',
    '-o',
    'jsonpath={.items[*].status.containerStatuses[0].restartCount}',
  ]);
  t.equal(restarts, '0 0 0 0');
  t.match(await fetchFrom(await podOn(server), `http://${before.ip}:8080/`), before.name);
});
