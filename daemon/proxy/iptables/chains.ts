import { createHash } from 'node:crypto';
import {
  externalEndpoints,
  type IpFamily,
  internalEndpoints,
  type RuleEndpoint,
  type ServicePortRule,
} from '../service-rules.ts';

/** Chains of one table with their rules, as `iptables-restore` reads them. */
export type TableRules = Map<string, string[]>;

export interface ChainOptions {
  readonly family: IpFamily;
  readonly clusterCidr: string | undefined;
  readonly nodeIps: readonly string[];
}

export interface IptablesRules {
  readonly filter: TableRules;
  readonly nat: TableRules;
}

/** Rules that lead from the kernel's own chains to ours. First in its chain. */
export interface Jump {
  readonly table: 'filter' | 'nat';
  readonly from: string;
  readonly match: readonly string[];
  readonly to: string;
}

const isNew = ['-m', 'conntrack', '--ctstate', 'NEW'];
export const jumps: readonly Jump[] = [
  { table: 'nat', from: 'PREROUTING', match: [], to: 'KUBE-SERVICES' },
  { table: 'nat', from: 'OUTPUT', match: [], to: 'KUBE-SERVICES' },
  { table: 'nat', from: 'POSTROUTING', match: [], to: 'KUBE-POSTROUTING' },
  { table: 'filter', from: 'INPUT', match: isNew, to: 'KUBE-EXTERNAL-SERVICES' },
  { table: 'filter', from: 'INPUT', match: isNew, to: 'KUBE-PROXY-FIREWALL' },
  { table: 'filter', from: 'INPUT', match: [], to: 'KUBE-FIREWALL' },
  { table: 'filter', from: 'FORWARD', match: [], to: 'KUBE-FORWARD' },
  { table: 'filter', from: 'FORWARD', match: isNew, to: 'KUBE-SERVICES' },
  { table: 'filter', from: 'FORWARD', match: isNew, to: 'KUBE-EXTERNAL-SERVICES' },
  { table: 'filter', from: 'FORWARD', match: isNew, to: 'KUBE-PROXY-FIREWALL' },
  { table: 'filter', from: 'OUTPUT', match: isNew, to: 'KUBE-SERVICES' },
  { table: 'filter', from: 'OUTPUT', match: isNew, to: 'KUBE-EXTERNAL-SERVICES' },
  { table: 'filter', from: 'OUTPUT', match: isNew, to: 'KUBE-PROXY-FIREWALL' },
  { table: 'filter', from: 'OUTPUT', match: [], to: 'KUBE-FIREWALL' },
];

const mark = '0x4000';

/**
 * The chains kube-proxy makes, by its names, so that what people know of them holds: `KUBE-SERVICES` leads by address to a
 * `KUBE-SVC-` (all endpoints), `KUBE-SVL-` (this node's) or `KUBE-EXT-` (from outside) chain, and that to the `KUBE-SEP-` chain of an endpoint.
 */
export function iptablesRules(rules: Iterable<ServicePortRule>, options: ChainOptions): IptablesRules {
  const writer = new ChainWriter(options);
  for (const rule of rules) writer.add(rule);
  return writer.finish();
}

class ChainWriter {
  readonly #options: ChainOptions;
  readonly #nat: TableRules = new Map();
  readonly #filter: TableRules = new Map();

  constructor(options: ChainOptions) {
    this.#options = options;
    const six = options.family === 'ip6';
    this.#nat.set('KUBE-SERVICES', []);
    this.#nat.set('KUBE-NODEPORTS', []);
    this.#nat.set('KUBE-MARK-MASQ', [`-j MARK --or-mark ${mark}`]);
    this.#nat.set('KUBE-POSTROUTING', [
      `-m mark ! --mark ${mark}/${mark} -j RETURN`,
      `-j MARK --xor-mark ${mark}`,
      '-j MASQUERADE --random-fully',
    ]);
    this.#filter.set('KUBE-SERVICES', []);
    this.#filter.set('KUBE-EXTERNAL-SERVICES', []);
    this.#filter.set('KUBE-PROXY-FIREWALL', []);
    // Without this, `route_localnet` would open the host's loopback services to its neighbours (CVE-2020-8558).
    this.#filter.set(
      'KUBE-FIREWALL',
      six ? [] : ['! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP'],
    );
    this.#filter.set('KUBE-FORWARD', [
      `-m mark --mark ${mark}/${mark} -j ACCEPT`,
      '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ]);
  }

  add(rule: ServicePortRule): void {
    const name = `${rule.namespace}/${rule.name}${rule.portName === '' ? '' : `:${rule.portName}`}`;
    const protocol = rule.protocol.toLowerCase();
    const hash = hashOf(`${name}${protocol}`);
    const chains = { cluster: `KUBE-SVC-${hash}`, local: `KUBE-SVL-${hash}`, external: `KUBE-EXT-${hash}` };
    const to = (ip: string, port = rule.port) => `-d ${ip} -p ${protocol} -m ${protocol} --dport ${port}`;
    const endpointless = rule.hasAnyEndpoints ? 'DROP' : 'REJECT';
    this.#addSpreading(
      rule,
      name,
      chains.cluster,
      rule.clusterEndpoints,
      rule.internalLocal ? undefined : to(rule.clusterIp),
    );
    this.#addSpreading(
      rule,
      name,
      chains.local,
      rule.localEndpoints,
      rule.internalLocal ? to(rule.clusterIp) : undefined,
    );

    const comment = (text: string) => `-m comment --comment "${text}"`;
    if (internalEndpoints(rule).length > 0) {
      const chain = rule.internalLocal ? chains.local : chains.cluster;
      this.#push(this.#nat, 'KUBE-SERVICES', `${comment(`${name} cluster IP`)} ${to(rule.clusterIp)} -j ${chain}`);
    } else {
      this.#push(
        this.#filter,
        'KUBE-SERVICES',
        `${comment(`${name} has no endpoints`)} ${to(rule.clusterIp)} -j ${endpointless}`,
      );
    }

    const externalIps = [...new Set(rule.externalIps)];
    const balancerIps = [...new Set(rule.loadBalancerIps)].filter((ip) => !externalIps.includes(ip));
    if (externalIps.length + balancerIps.length === 0 && rule.nodePort === 0) return;
    const reachable = rule.clusterEndpoints.length + externalEndpoints(rule).length > 0;
    if (reachable) this.#nat.set(chains.external, this.#externalRules(rule, chains));
    const outside = (match: string, text: string, target: string) => {
      if (reachable) this.#push(this.#nat, 'KUBE-SERVICES', `${comment(text)} ${match} -j ${target}`);
      if (externalEndpoints(rule).length === 0) {
        this.#push(
          this.#filter,
          'KUBE-EXTERNAL-SERVICES',
          `${comment(`${name} has no endpoints`)} ${match} -j ${endpointless}`,
        );
      }
    };
    for (const ip of externalIps) outside(to(ip), `${name} external IP`, chains.external);
    for (const ip of balancerIps) {
      const restricted = rule.sourceRanges.length > 0 && reachable;
      if (restricted) this.#addFirewall(rule, `KUBE-FW-${hash}`, chains.external, to(ip), ip);
      outside(to(ip), `${name} loadbalancer IP`, restricted ? `KUBE-FW-${hash}` : chains.external);
    }
    if (rule.nodePort !== 0) {
      const match = `-p ${protocol} -m ${protocol} --dport ${rule.nodePort}`;
      if (reachable) this.#push(this.#nat, 'KUBE-NODEPORTS', `${comment(name)} ${match} -j ${chains.external}`);
      if (externalEndpoints(rule).length === 0) {
        const local = `-m addrtype --dst-type LOCAL ${match}`;
        this.#push(
          this.#filter,
          'KUBE-EXTERNAL-SERVICES',
          `${comment(`${name} has no endpoints`)} ${local} -j ${endpointless}`,
        );
      }
    }
  }

  finish(): IptablesRules {
    this.#push(this.#nat, 'KUBE-SERVICES', '-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS');
    return { filter: this.#filter, nat: this.#nat };
  }

  #externalRules(rule: ServicePortRule, chains: { cluster: string; local: string }): string[] {
    if (!rule.externalLocal) return ['-j KUBE-MARK-MASQ', `-j ${chains.cluster}`];
    const rules: string[] = [];
    if (rule.clusterEndpoints.length > 0) {
      if (this.#options.clusterCidr !== undefined) rules.push(`-s ${this.#options.clusterCidr} -j ${chains.cluster}`);
      rules.push('-m addrtype --src-type LOCAL -j KUBE-MARK-MASQ', `-m addrtype --src-type LOCAL -j ${chains.cluster}`);
    }
    if (rule.localEndpoints.length > 0) rules.push(`-j ${chains.local}`);
    return rules;
  }

  /** `clusterMatch`: what matches the cluster IP, when its traffic is spread by this chain. */
  #addSpreading(
    rule: ServicePortRule,
    name: string,
    chain: string,
    endpoints: readonly RuleEndpoint[],
    clusterMatch: string | undefined,
  ): void {
    if (endpoints.length === 0) return;
    const rules: string[] = [];
    if (clusterMatch !== undefined && this.#options.clusterCidr !== undefined) {
      rules.push(`! -s ${this.#options.clusterCidr} ${clusterMatch} -j KUBE-MARK-MASQ`);
    }
    const named = endpoints.map((endpoint) => ({ endpoint, chain: this.#endpointChain(rule, name, endpoint) }));
    if (rule.affinitySeconds > 0) {
      for (const { chain: endpointChain } of named) {
        const recent = `-m recent --name ${endpointChain} --rcheck --seconds ${rule.affinitySeconds} --reap`;
        rules.push(`${recent} -j ${endpointChain}`);
      }
    }
    named.forEach(({ chain: endpointChain }, index) => {
      const left = named.length - index;
      const probability = (1 / left).toFixed(10);
      rules.push(
        left > 1
          ? `-m statistic --mode random --probability ${probability} -j ${endpointChain}`
          : `-j ${endpointChain}`,
      );
    });
    this.#nat.set(chain, rules);
  }

  #endpointChain(rule: ServicePortRule, name: string, { ip, port }: RuleEndpoint): string {
    const protocol = rule.protocol.toLowerCase();
    const target = ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
    const chain = `KUBE-SEP-${hashOf(`${name}${protocol}${target}`)}`;
    const remember = rule.affinitySeconds > 0 ? `-m recent --name ${chain} --set ` : '';
    this.#nat.set(chain, [
      `-s ${ip} -j KUBE-MARK-MASQ`,
      `-p ${protocol} ${remember}-m ${protocol} -j DNAT --to-destination ${target}`,
    ]);
    return chain;
  }

  #addFirewall(rule: ServicePortRule, chain: string, to: string, match: string, ip: string): void {
    const rules = this.#nat.get(chain) ?? [];
    for (const range of rule.sourceRanges) rules.push(`-s ${range} ${match} -j ${to}`);
    // Where the balancer's address is also one of this host, the host's own requests to it come from that address.
    rules.push(`-s ${ip} ${match} -j ${to}`);
    this.#nat.set(chain, [...new Set(rules)]);
    this.#push(this.#filter, 'KUBE-PROXY-FIREWALL', `${match} -j DROP`);
  }

  #push(table: TableRules, chain: string, rule: string): void {
    table.get(chain)!.push(rule);
  }
}

/** kube-proxy's way to a chain name of at most 28 characters. */
function hashOf(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const digest = createHash('sha256').update(text).digest();
  let bits = 0n;
  for (const byte of digest.subarray(0, 10)) bits = (bits << 8n) | BigInt(byte);
  let name = '';
  for (let index = 0; index < 16; index++) name += alphabet[Number((bits >> BigInt(75 - index * 5)) & 31n)];
  return name;
}
