import fc from 'fast-check';
import { pino } from 'pino';
import t from 'tap';
import { IptablesBackend } from '../../daemon/proxy/iptables/iptables-backend.ts';
import { loadNetlink } from '../../daemon/proxy/netlink.ts';
import { NftablesBackend } from '../../daemon/proxy/nftables/nftables-backend.ts';
import { rulesOf, type ServiceFixture } from './network-lab/fixtures.ts';
import { Lab, nodeIp, podCidr, podCidr6, run } from './network-lab/lab.ts';
import { inPrivateNetwork } from './network-lab/private-network.ts';
import { proxyContract } from './network-lab/proxy-contract.ts';

const logger = pino({ level: process.env['BALSA_LOG_LEVEL'] ?? 'silent' }, pino.destination(2));

/** The kernel's ruleset without the numbers it gives, and without the order that it keeps sets and chains in. */
function ruleset(): string {
  const listed = JSON.parse(run('nft', '--json', 'list', 'ruleset'), (key, value: unknown) => {
    if (key === 'handle') return undefined;
    return key === 'elem' && Array.isArray(value) ? value.map((one) => JSON.stringify(one)).sort() : value;
  }) as { nftables: Record<string, { family?: string; chain?: string }>[] };
  const objects: string[] = [];
  const rules = new Map<string, string>();
  for (const object of listed.nftables) {
    const { rule } = object;
    if (rule === undefined) objects.push(JSON.stringify(object));
    else
      rules.set(
        `${rule.family} ${rule.chain}`,
        `${rules.get(`${rule.family} ${rule.chain}`) ?? ''}\n${JSON.stringify(rule)}`,
      );
  }
  return [...objects, ...[...rules].map((entry) => entry.join(' '))].sort().join('\n');
}

interface Fixture {
  readonly pods: number[];
  readonly remote: number[];
  readonly nodePort: number;
  readonly externalIp: string;
  readonly sticky: number;
  readonly local: boolean;
  readonly ranges: string[];
  readonly six: boolean;
}

if (inPrivateNetwork(t, import.meta.url)) {
  const netlink = loadNetlink();
  const lab = await Lab.create(3);
  t.teardown(() => lab.stop());
  const options = { netlink, logger, clusterPodCidrs: [podCidr, podCidr6], nodeIps: [nodeIp] };

  await t.test('nftables', async (t) => {
    await proxyContract(t, lab, netlink, () => new NftablesBackend(options));
    t.equal(run('nft', 'list', 'ruleset'), '', 'no table is left');
  });

  await t.test('nftables: change by change leads to the table that writing anew makes', async (t) => {
    const fixture = fc.record({
      pods: fc.subarray([0, 1, 2]),
      remote: fc.subarray([0, 1, 2]),
      nodePort: fc.constantFrom(0, 30_080, 30_081),
      externalIp: fc.constantFrom('', '198.51.100.1', '198.51.100.2'),
      sticky: fc.constantFrom(0, 10, 20),
      local: fc.boolean(),
      ranges: fc.subarray(['192.0.2.0/24', '10.0.0.0/8', '10.1.0.0/16']),
      six: fc.boolean(),
    });
    const state = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fixture, { maxKeys: 4 });
    const rulesIn = (services: Record<string, Fixture>) =>
      rulesOf(
        ...Object.entries(services).map(([name, value], index): ServiceFixture => {
          const { pods, remote, nodePort, externalIp, sticky, local, ranges, six } = value;
          return {
            name,
            pods,
            remote,
            loadBalancerIps: externalIp === '' || six ? [] : [externalIp],
            spec: {
              clusterIP: six ? `fd00:10:96::${index + 1}` : `10.96.3.${index + 1}`,
              ports: [{ port: 80, protocol: 'TCP', ...(nodePort !== 0 && { nodePort }) }],
              ...(sticky > 0 && {
                sessionAffinity: 'ClientIP',
                sessionAffinityConfig: { clientIP: { timeoutSeconds: sticky } },
              }),
              ...(local && { externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' }),
              loadBalancerSourceRanges: ranges,
            },
          };
        }),
      );
    await fc.assert(
      fc.asyncProperty(fc.array(state, { minLength: 1, maxLength: 6 }), async (states) => {
        const backend = new NftablesBackend(options);
        for (const one of states) await backend.sync(rulesIn(one));
        const changed = ruleset();
        const anew = new NftablesBackend(options);
        // Two Services may want one address and port: who was first keeps it, which a fresh start cannot know.
        const applied = await anew.sync(rulesIn(states.at(-1)!));
        return applied.conflicts.length > 0 || ruleset() === changed;
      }),
      { numRuns: 40 },
    );
    await new NftablesBackend(options).cleanup();
    t.equal(run('nft', 'list', 'ruleset'), '');
  });

  await t.test('nftables: IPv6, and ports of a cluster IP that no Service has', async (t) => {
    const backend = new NftablesBackend(options);
    const six = { clusterIP: 'fd00:10:96::1', ports: [{ port: 80, protocol: 'TCP', nodePort: 30_080 }] };
    await backend.sync(
      rulesOf({ name: 'six', spec: six, pods: [0, 1] }, { name: 'four', spec: { clusterIP: '10.96.1.1' }, pods: [0] }),
    );
    const both = ['pod0', 'pod1'];
    t.same(await lab.node.whoAnswers('fd00:10:96::1', 80), both);
    t.same(await lab.pods[0]!.whoAnswers('fd00:10:96::1', 80), both);
    t.same(await lab.outside.whoAnswers('fd00:10:96::1', 80), both);
    t.same(await lab.outside.whoAnswers('2001:db8::1', 30_080), both);
    for (const agent of [lab.node, lab.pods[0]!, lab.outside]) {
      t.same(await agent.request('10.96.1.1', 81), { error: 'ECONNREFUSED' }, agent.name);
      t.same(await agent.request('fd00:10:96::1', 81), { error: 'ECONNREFUSED' }, agent.name);
    }
    await backend.sync(rulesOf({ name: 'six', spec: six, pods: [] }));
    t.same(await lab.pods[0]!.request('fd00:10:96::1', 80), { error: 'ECONNREFUSED' });
    await backend.cleanup();
  });

  await t.test('nftables: a restart keeps the affinity of clients', async (t) => {
    const sticky: ServiceFixture = {
      name: 'web',
      pods: [0, 1, 2],
      spec: { clusterIP: '10.96.1.1', sessionAffinity: 'ClientIP' },
    };
    await new NftablesBackend(options).sync(rulesOf(sticky));
    const { name } = await lab.outside.request('10.96.1.1', 80);
    for (let round = 0; round < 5; round++) {
      await new NftablesBackend(options).sync(rulesOf(sticky));
      t.same(await lab.outside.whoAnswers('10.96.1.1', 80, 4), [name]);
    }
    await new NftablesBackend(options).cleanup();
  });

  await t.test('a transaction that fails says which operation, and changes nothing', async (t) => {
    const table = { family: 'ip', table: 'balsa-test' } as const;
    const failing = netlink.nftablesCommit([
      { operation: 'addTable', ...table },
      { operation: 'addChain', ...table, chain: 'one' },
      { operation: 'deleteChain', ...table, chain: 'two' },
    ]);
    await t.rejects(failing, { code: 'ENOENT', operation: 2 });
    t.equal(run('nft', 'list', 'ruleset'), '');
    await t.rejects(netlink.nftablesCommit([{ operation: 'nonsense' as 'addTable', ...table }]), TypeError);
  });

  for (const variant of ['legacy', 'nft'] as const) {
    await t.test(`iptables-${variant}`, async (t) => {
      await proxyContract(t, lab, netlink, () => new IptablesBackend({ ...options, variant }));
      t.notMatch(run(`iptables-${variant}-save`), /KUBE-/, 'no chain is left');
    });
  }
}
