// What Services cost: to write them to the kernel, to change one, and to connect through one when there are many. The peer is kube-proxy's
// way: its chains, by iptables-restore (our own iptables backend), with the legacy and the nf_tables kernel side.
import { pino } from 'pino';
import { IptablesBackend } from '../../daemon/proxy/iptables/iptables-backend.ts';
import { loadNetlink } from '../../daemon/proxy/netlink.ts';
import { NftablesBackend } from '../../daemon/proxy/nftables/nftables-backend.ts';
import { serviceRules } from '../../daemon/proxy/service-port-rules.ts';
import type { RuleBackend, ServicePortRule, ServiceRules } from '../../daemon/proxy/service-rules.ts';
import { type ServiceFixture, serviceOf, sliceOf } from '../integration/network-lab/fixtures.ts';
import { Lab, nodeIp, podCidr } from '../integration/network-lab/lab.ts';
import { enterPrivateNetwork } from '../integration/network-lab/private-network.ts';

enterPrivateNetwork(import.meta.url);

const endpointsPerService = 3;
const secondsOfConnecting = 3;
const changes = 20;
const logger = pino({ level: 'silent' });
const topology = { nodeName: 'node0', zone: '', nodeIps: [nodeIp] };

function services(count: number): Map<string, ServicePortRule> {
  const ports = new Map<string, ServicePortRule>();
  for (let index = 0; index < count; index++) {
    const clusterIp = `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
    // The last one is real; the others lead to pods that are not there.
    const pods =
      index === count - 1 ? [0, 1, 2] : Array.from({ length: endpointsPerService }, (_, n) => n + (index % 80) * 3);
    const fixture: ServiceFixture = { name: `s${index}`, spec: { clusterIP: clusterIp }, pods };
    for (const rule of serviceRules(serviceOf(fixture), [sliceOf(fixture)], topology)) ports.set(rule.key, rule);
  }
  return ports;
}

/** The same with another endpoint behind one Service. */
function changed(rules: ServiceRules, round: number): ServiceRules {
  const ports = new Map(rules.ports);
  const fixture: ServiceFixture = { name: 's5', spec: { clusterIP: '10.96.0.5' }, pods: [round % 200, 201, 202] };
  for (const rule of serviceRules(serviceOf(fixture), [sliceOf(fixture)], topology)) ports.set(rule.key, rule);
  return { ports };
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

const lab = await Lab.create(3);
const options = { logger, clusterPodCidrs: [podCidr], nodeIps: [nodeIp], families: ['ip' as const] };
const netlink = loadNetlink();
const backends: [string, () => RuleBackend][] = [
  ['nftables', () => new NftablesBackend({ ...options, netlink })],
  ['iptables-legacy', () => new IptablesBackend({ ...options, variant: 'legacy' })],
  ['iptables-nft', () => new IptablesBackend({ ...options, variant: 'nft' })],
];
const direct = await lab.pods[0]!.rate(Lab.podIp(1), 8080, secondsOfConnecting);
console.log(`connections without a Service: ${Math.round(direct.perSecond)}/s, median ${direct.median.toFixed(2)} ms`);
console.log(
  ['backend', 'Services', 'write all (ms)', 'change one (ms)', 'connections/s', 'median (ms)', 'p99 (ms)', 'failed']
    .map((heading) => heading.padStart(16))
    .join(''),
);
for (const [name, create] of backends) {
  for (const count of [100, 1000, 10_000]) {
    const backend = create();
    const rules = { ports: services(count) };
    const all = await milliseconds(() => backend.sync(rules));
    const ones: number[] = [];
    for (let round = 0; round < changes; round++)
      ones.push(await milliseconds(() => backend.sync(changed(rules, round))));
    const lastIp = [...rules.ports.values()].at(-1)!.clusterIp;
    const rate = await lab.pods[0]!.rate(lastIp, 80, secondsOfConnecting);
    const row = [
      name,
      count,
      all.toFixed(1),
      median(ones).toFixed(1),
      Math.round(rate.perSecond),
      rate.median?.toFixed(2),
      rate.high?.toFixed(2),
      rate.failed,
    ];
    console.log(row.map((cell) => String(cell).padStart(16)).join(''));
    await backend.cleanup();
  }
}
await lab.stop();
