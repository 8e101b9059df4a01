import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import type { Node } from '../../daemon/apimachinery/types/core-v1.ts';
import { nodes } from '../../daemon/apimachinery/types/resources.ts';
import { FakeClient } from '../../daemon/client/fake-client.ts';
import { type Network, removeNetwork, startNetwork } from '../../daemon/network/network.ts';
import { loadNetlink } from '../../daemon/proxy/netlink.ts';
import { cni, cniBinDir } from './network-lab/cni.ts';
import { Agent, run } from './network-lab/lab.ts';
import { inPrivateNetwork } from './network-lab/private-network.ts';

const logger = pino({ level: process.env['BALSA_LOG_LEVEL'] ?? 'silent' }, pino.destination(2));

function node(name: string, ip: string, podCIDR?: string): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: podCIDR === undefined ? {} : { podCIDR, podCIDRs: [podCIDR] },
    status: { addresses: [{ type: 'InternalIP', address: ip }] },
  };
}

async function addPod(
  confDir: string,
  name: string,
  portMappings: object[] = [],
): Promise<{ agent: Agent; ip: string }> {
  run('ip', 'netns', 'add', name);
  run('ip', '-n', name, 'link', 'set', 'lo', 'up');
  const { ips } = cni(confDir, 'ADD', name, portMappings);
  const agent = await Agent.start(name, name);
  await agent.listen(8080);
  return { agent, ip: ips[0]!.address.split('/')[0]! };
}

if (inPrivateNetwork(t, import.meta.url)) {
  const netlink = loadNetlink();
  const directory = mkdtempSync(path.join(tmpdir(), 'balsa-network-'));
  const confDir = path.join(directory, 'net.d');
  const agents: Agent[] = [];
  const running: Network[] = [];
  t.teardown(async () => {
    await Promise.all(agents.map((agent) => agent.stop()));
    rmSync(directory, { recursive: true, force: true });
  });
  run('ip', 'netns', 'add', 'bn-world');
  run(
    'ip',
    'link',
    'add',
    'uplink',
    'mtu',
    '1400',
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'mtu',
    '1400',
    'netns',
    'bn-world',
  );
  run('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'uplink');
  run('ip', 'link', 'set', 'uplink', 'up');
  run('ip', '-n', 'bn-world', 'address', 'add', '192.0.2.100/24', 'dev', 'eth0');
  run('ip', '-n', 'bn-world', 'link', 'set', 'eth0', 'up');
  const world = await Agent.start('world', 'bn-world');
  agents.push(world);
  await world.listen(80);

  const client = new FakeClient();
  const start = async (cluster = client) => {
    const network = await startNetwork({
      client: cluster,
      nodeName: 'node0',
      dataDir: directory,
      cniConfDir: confDir,
      cniBinDir,
      clusterPodCidr: '10.244.0.0/16',
      serviceCidr: '10.96.0.0/12',
      netlink,
      logger,
    });
    running.push(network);
    return network;
  };
  const configuration = () => readFileSync(path.join(confDir, '05-balsa.conflist'), 'utf8');

  await t.test('waits for the pod CIDR, then configures the pod network with the MTU of the uplink', async (t) => {
    await client.create(nodes, node('node0', '192.0.2.1'));
    const network = await start();
    const before = await client.get(nodes, { name: 'node0' });
    await client.update(nodes, { ...before, spec: { podCIDR: '10.244.3.0/24', podCIDRs: ['10.244.3.0/24'] } });
    await network.ready;
    const { plugins } = JSON.parse(configuration()) as { plugins: { type: string; mtu?: number; ipam?: object }[] };
    t.same(
      plugins.map((plugin) => plugin.type),
      ['ptp', 'portmap'],
    );
    t.equal(plugins[0]!.mtu, 1400);
    t.match(plugins[0]!.ipam, { type: 'host-local', ranges: [[{ subnet: '10.244.3.0/24' }]] });
    t.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim(), '1');
    t.match(run('ip', 'route', 'show', '10.96.0.0/12'), /dev balsa-services proto 98 .*src 192\.0\.2\.1/);
  });

  await t.test(
    'pods get addresses and reach each other, the node, themselves by host port, and the world',
    async (t) => {
      const a = await addPod(confDir, 'bn-a', [{ hostPort: 18_080, containerPort: 8080, protocol: 'tcp' }]);
      const b = await addPod(confDir, 'bn-b');
      agents.push(a.agent, b.agent);
      t.match(a.ip, /^10\.244\.3\./);
      const node = await Agent.start('node');
      agents.push(node);
      await node.listen(9000);
      t.match(await a.agent.request(b.ip, 8080), { name: 'bn-b', client: a.ip });
      t.match(await node.request(a.ip, 8080), { name: 'bn-a' });
      t.match(await a.agent.request('192.0.2.1', 9000), { name: 'node', client: a.ip });
      t.match(
        await a.agent.request('192.0.2.100', 80),
        { name: 'world', client: '192.0.2.1' },
        'under the address of the node',
      );
      t.match(await world.request('192.0.2.1', 18_080), { name: 'bn-a' }, 'host port');
      t.match(await node.request('127.0.0.1', 18_080), { name: 'bn-a' }, 'host port on localhost');
      t.match(run('ip', '-n', 'bn-a', 'link', 'show', 'eth0'), /mtu 1400/);
      cni(confDir, 'DEL', 'bn-b');
      t.notOk((await a.agent.request(b.ip, 8080, { timeout: 300 })).name);
    },
  );

  await t.test('a restart changes nothing', async (t) => {
    const before = configuration();
    const rules = run('nft', 'list', 'table', 'ip', 'balsa-network');
    await running.pop()!.stop();
    await (await start()).ready;
    t.equal(configuration(), before);
    t.equal(run('nft', 'list', 'table', 'ip', 'balsa-network'), rules);
  });

  await t.test(
    'ways to other nodes: direct on the same link, through VXLAN elsewhere; gone with the node',
    async (t) => {
      await running.pop()!.stop();
      await client.create(nodes, node('node1', '192.0.2.7', '10.244.7.0/24'));
      await client.create(nodes, node('node2', '203.0.113.9', '10.244.9.0/24'));
      await (await start()).ready;
      t.match(run('ip', 'route', 'show', 'proto', '98'), /10\.244\.7\.0\/24 via 192\.0\.2\.7 dev uplink/);
      t.match(
        run('ip', 'route', 'show', 'proto', '98'),
        /10\.244\.9\.0\/24 via 10\.244\.9\.0 dev balsa-vxlan .*onlink/,
      );
      t.match(run('bridge', 'fdb', 'show', 'dev', 'balsa-vxlan'), /dst 203\.0\.113\.9 self permanent/);
      t.equal((JSON.parse(configuration()) as { plugins: { mtu: number }[] }).plugins[0]!.mtu, 1350);
      await running.pop()!.stop();
      await client.delete(nodes, { name: 'node1' });
      await client.delete(nodes, { name: 'node2' });
      await (await start()).ready;
      t.notMatch(run('ip', 'route', 'show', 'proto', '98'), /10\.244\./);
    },
  );

  await t.test('removal leaves nothing', async (t) => {
    await running.pop()!.stop();
    await removeNetwork(logger);
    t.notMatch(run('nft', 'list', 'tables'), /balsa/);
    t.notMatch(run('ip', 'link'), /balsa/);
    t.equal(run('ip', 'route', 'show', 'proto', '98'), '');
  });
}
