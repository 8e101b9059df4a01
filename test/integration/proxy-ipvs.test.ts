import { pino } from 'pino';
import t from 'tap';
import { IpvsBackend } from '../../daemon/proxy/ipvs/ipvs-backend.ts';
import { loadNetlink } from '../../daemon/proxy/netlink.ts';
import { Lab, nodeIp, podCidr, podCidr6, run } from './network-lab/lab.ts';
import { inPrivateNetwork } from './network-lab/private-network.ts';
import { proxyContract } from './network-lab/proxy-contract.ts';

const logger = pino({ level: process.env['BALSA_LOG_LEVEL'] ?? 'silent' }, pino.destination(2));

if (inPrivateNetwork(t, import.meta.url)) {
  const netlink = loadNetlink();
  if ((await netlink.ipvsServices()) === null) {
    t.comment('this kernel has no IPVS: scripts/test-in-qemu.mjs runs this test under one that has');
    const backend = new IpvsBackend({ netlink, logger, clusterPodCidrs: [podCidr], nodeIps: [nodeIp] });
    await t.rejects(backend.sync({ ports: new Map() }), new Error('this kernel has no IPVS'));
  } else {
    const lab = await Lab.create(3);
    t.teardown(() => lab.stop());
    const options = { netlink, logger, clusterPodCidrs: [podCidr, podCidr6], nodeIps: [nodeIp] };
    const limits = { seesLocalhost: false, tellsClientsApart: false };
    await proxyContract(t, lab, netlink, () => new IpvsBackend(options), limits);
    t.equal(run('nft', 'list', 'ruleset'), '', 'no table is left');
    t.same(await netlink.ipvsServices(), [], 'no virtual service is left');
  }
}
