import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Switch } from './cluster/namespace.ts';
import { eventually, requireRoot } from './cluster/test-node.ts';

/** An address moves between hosts of one link: a third host that knew the old place is told of the new one. */
requireRoot();

const wires = new Switch(`balsa-an-${process.pid % 10_000}`, `10.78.${process.pid % 250}`);
const [old, heir, client] = ['a', 'b', 'c'].map((name) => wires.plug(`balsa-an-${name}-${process.pid % 10_000}`));
if (old === undefined || heir === undefined || client === undefined) throw new Error('three hosts were plugged in');
t.teardown(() => {
  for (const host of [old, heir, client]) host.destroy();
  wires.destroy();
});

const netlinkModule = fileURLToPath(new URL('../../daemon/proxy/netlink.ts', import.meta.url));
const linkOf = async (host: typeof client): Promise<{ ifindex: number; address: string }> =>
  JSON.parse(await host.exec(['ip', '-j', 'link', 'show', 'eth0']))[0];
const known = async (address: string): Promise<string | undefined> =>
  JSON.parse(await client.exec(['ip', '-j', 'neigh', 'show', address]))[0]?.lladdr;

for (const address of [`${wires.prefix}.200`, 'fd00::200'])
  await t.test(address, async (t) => {
    const [from, to] = [await linkOf(old), await linkOf(heir)];
    // What has just been learnt is otherwise not replaced for a second.
    await client.exec(['sh', '-c', 'echo 0 > /proc/sys/net/ipv4/neigh/eth0/locktime']);
    await client.exec(['ip', '-6', 'addr', 'replace', 'fd00::3/64', 'dev', 'eth0', 'nodad']);
    await client.exec(['ip', 'neigh', 'replace', address, 'lladdr', from.address, 'dev', 'eth0', 'nud', 'stale']);
    t.equal(await known(address), from.address);
    await heir.exec([
      'ip',
      'addr',
      'add',
      `${address}/${address.includes(':') ? '128' : '32'}`,
      'dev',
      'eth0',
      'nodad',
    ]);
    const announce = `import(${JSON.stringify(netlinkModule)}).then(({ loadNetlink }) => loadNetlink().addressAnnounce(${JSON.stringify({ index: to.ifindex, address })}))`;
    await heir.exec([process.execPath, '--import=tsx', '-e', announce]);
    await eventually('the neighbour learns it', async () => (await known(address)) === to.address, 10_000);
  });
