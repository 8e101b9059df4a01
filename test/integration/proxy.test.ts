import { pino } from 'pino';
import t from 'tap';
import { IptablesBackend } from '../../daemon/proxy/iptables/iptables-backend.ts';
import { loadNetlink } from '../../daemon/proxy/netlink.ts';
import { NftablesBackend } from '../../daemon/proxy/nftables/nftables-backend.ts';
import { Lab, nodeIp, podCidr, podCidr6, run } from './network-lab/lab.ts';
import { inPrivateNetwork } from './network-lab/private-network.ts';
import { proxyContract } from './network-lab/proxy-contract.ts';

const logger = pino({ level: process.env['BALSA_LOG_LEVEL'] ?? 'silent' }, pino.destination(2));

if (inPrivateNetwork(t, import.meta.url)) {
  const netlink = loadNetlink();
  const lab = await Lab.create(3);
  t.teardown(() => lab.stop());
  const options = { netlink, logger, clusterPodCidrs: [podCidr, podCidr6], nodeIps: [nodeIp] };

  await t.test('nftables', async (t) => {
    await proxyContract(t, lab, netlink, () => new NftablesBackend(options));
    t.equal(run('nft', 'list', 'ruleset'), '', 'no table is left');
  });

  for (const variant of ['legacy', 'nft'] as const) {
    await t.test(`iptables-${variant}`, async (t) => {
      await proxyContract(t, lab, netlink, () => new IptablesBackend({ ...options, variant }));
      t.notMatch(run(`iptables-${variant}-save`), /KUBE-/, 'no chain is left');
    });
  }
}
