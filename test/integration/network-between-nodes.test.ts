import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { cni } from './network-lab/cni.ts';
import { Agent, run } from './network-lab/lab.ts';
import { inPrivateNetwork } from './network-lab/private-network.ts';

/** `near` shares a link with `first`; `far` is behind a router. */
const nodes = [
  { name: 'first', ip: '192.0.2.1', gateway: '192.0.2.254', podCidr: '10.244.1.0/24', link: 'one' },
  { name: 'near', ip: '192.0.2.2', gateway: '192.0.2.254', podCidr: '10.244.2.0/24', link: 'one' },
  { name: 'far', ip: '203.0.113.3', gateway: '203.0.113.254', podCidr: '10.244.3.0/24', link: 'two' },
] as const;

if (inPrivateNetwork(t, import.meta.url)) {
  const directory = mkdtempSync(path.join(tmpdir(), 'balsa-nodes-'));
  const processes: ChildProcess[] = [];
  const agents: Agent[] = [];
  t.teardown(async () => {
    for (const one of processes) one.kill('SIGKILL');
    await Promise.all(agents.map((agent) => agent.stop()));
    rmSync(directory, { recursive: true, force: true });
  });

  // The test's own namespace is the router between two links.
  run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  for (const [link, address] of [
    ['one', '192.0.2.254/24'],
    ['two', '203.0.113.254/24'],
  ] as const) {
    run('ip', 'link', 'add', link, 'type', 'bridge');
    run('ip', 'address', 'add', address, 'dev', link);
    run('ip', 'link', 'set', link, 'up');
  }
  const objects = nodes.map(({ name, ip, podCidr }) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: { podCIDR: podCidr, podCIDRs: [podCidr] },
    status: { addresses: [{ type: 'InternalIP', address: ip }] },
  }));
  const program = fileURLToPath(new URL('network-lab/node-network.ts', import.meta.url));
  for (const { name, ip, gateway, link } of nodes) {
    const namespace = `bn-${name}`;
    run('ip', 'netns', 'add', namespace);
    run('ip', 'link', 'add', name, 'master', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    run('ip', 'link', 'set', name, 'up');
    run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
    run('ip', '-n', namespace, 'address', 'add', `${ip}/24`, 'dev', 'eth0');
    run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
    run('ip', '-n', namespace, 'route', 'add', 'default', 'via', gateway);
    const args = [program, JSON.stringify(objects), name, path.join(directory, name)];
    const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, ...process.execArgv, ...args], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    processes.push(child);
  }
  await Promise.all(processes.map((one) => once(one, 'message')));

  const pods = await Promise.all(
    nodes.map(async ({ name }) => {
      const namespace = `bn-pod-${name}`;
      run('ip', 'netns', 'add', namespace);
      run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
      const { ips } = cni(path.join(directory, name, 'net.d'), 'ADD', namespace, [], `bn-${name}`);
      const agent = await Agent.start(name, namespace);
      agents.push(agent);
      await agent.listen(8080, 'TCP', '::');
      return { agent, ip: ips[0]!.address.split('/')[0]! };
    }),
  );

  await t.test('every pod reaches every pod under its own address', async (t) => {
    for (const from of pods) {
      for (const to of pods) {
        const reply = await from.agent.request(to.ip, 8080);
        t.same([reply.name, reply.client], [to.agent.name, from.ip], `${from.agent.name} to ${to.agent.name}`);
      }
    }
  });

  await t.test('nodes reach pods of other nodes, and pods other nodes', async (t) => {
    const node = await Agent.start('node', 'bn-first');
    agents.push(node);
    await node.listen(9000, 'TCP', '0.0.0.0');
    for (const to of pods) t.equal((await node.request(to.ip, 8080)).name, to.agent.name);
    for (const from of pods) {
      const reply = await from.agent.request('192.0.2.1', 9000);
      // Routers need not know pods: across one, a pod comes under its node's address.
      t.same([reply.name, reply.client], ['node', from.agent.name === 'far' ? '203.0.113.3' : from.ip]);
    }
  });

  await t.test('the way is direct on one link and a tunnel across the router', async (t) => {
    t.match(run('ip', '-n', 'bn-first', 'route', 'get', '10.244.2.9'), /via 192\.0\.2\.2 dev eth0/);
    t.match(run('ip', '-n', 'bn-first', 'route', 'get', '10.244.3.9'), /dev balsa-vxlan/);
    t.match(run('ip', '-n', 'bn-pod-far', 'link', 'show', 'eth0'), /mtu 1450/);
  });
}
