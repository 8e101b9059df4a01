import { protocolNumbers } from '../nftables/elements.ts';
import {
  externalEndpoints,
  type IpFamily,
  internalEndpoints,
  type RuleEndpoint,
  type ServicePortRule,
} from '../service-rules.ts';

/** One address and port of the kernel's table of virtual services. */
export interface VirtualService {
  readonly protocol: number;
  readonly address: string;
  readonly port: number;
  /** Seconds a client stays with its endpoint; 0: it does not. */
  readonly persistence: number;
  readonly endpoints: readonly RuleEndpoint[];
}

/** What packets to one address and port need besides being sent on. */
export interface FrontendPolicy {
  readonly family: IpFamily;
  readonly protocol: number;
  readonly address: string;
  readonly port: number;
  /** `outside`: for clients that are no pods. */
  readonly masquerade: 'never' | 'outside' | 'always';
  /** Without endpoints: what becomes of a connection. */
  readonly withoutEndpoints: 'reject' | 'drop' | undefined;
  /** CIDRs that may use it; undefined: all. */
  readonly sources: readonly string[] | undefined;
}

export interface IpvsRules {
  readonly services: ReadonlyMap<string, VirtualService>;
  readonly frontends: readonly FrontendPolicy[];
  /** Addresses that this host must have for packets to them to get to IPVS. */
  readonly addresses: ReadonlySet<string>;
  /** Endpoints on this node, which may be their own clients. */
  readonly localEndpoints: readonly { readonly family: IpFamily; readonly ip: string }[];
}

/**
 * The rules as IPVS can do them. It cannot tell clients apart: under an external Local policy pods and the node itself use this node's
 * endpoints too. Node ports answer on the addresses given, not on localhost.
 */
export function ipvsRules(rules: Iterable<ServicePortRule>, nodeAddresses: readonly string[]): IpvsRules {
  const services = new Map<string, VirtualService>();
  const frontends: FrontendPolicy[] = [];
  const addresses = new Set<string>();
  const local = new Map<string, IpFamily>();
  for (const rule of rules) {
    const protocol = protocolNumbers[rule.protocol];
    const withoutEndpoints = rule.hasAnyEndpoints ? 'drop' : 'reject';
    const add = (
      address: string,
      port: number,
      endpoints: readonly RuleEndpoint[],
      masquerade: FrontendPolicy['masquerade'],
      sources?: readonly string[],
    ) => {
      const key = `${protocol} ${address} ${port}`;
      // Of two Services that claim one address and port, the first has it.
      if (services.has(key)) return;
      services.set(key, { protocol, address, port, persistence: rule.affinitySeconds, endpoints });
      frontends.push({
        family: rule.family,
        protocol,
        address,
        port,
        masquerade,
        withoutEndpoints: endpoints.length === 0 ? withoutEndpoints : undefined,
        sources,
      });
    };
    add(rule.clusterIp, rule.port, internalEndpoints(rule), 'outside');
    addresses.add(rule.clusterIp);
    const outside = externalEndpoints(rule);
    const masquerade = rule.externalLocal ? 'never' : 'always';
    for (const ip of rule.externalIps) {
      add(ip, rule.port, outside, masquerade);
      addresses.add(ip);
    }
    for (const ip of rule.loadBalancerIps) {
      add(ip, rule.port, outside, masquerade, rule.sourceRanges.length > 0 ? [...rule.sourceRanges, ip] : undefined);
      addresses.add(ip);
    }
    if (rule.nodePort !== 0) {
      for (const address of nodeAddresses) {
        if (address.includes(':') === (rule.family === 'ip6')) add(address, rule.nodePort, outside, masquerade);
      }
    }
    for (const endpoint of [...rule.clusterEndpoints, ...rule.localEndpoints]) {
      if (endpoint.local) local.set(endpoint.ip, rule.family);
    }
  }
  for (const address of nodeAddresses) addresses.delete(address);
  return { services, frontends, addresses, localEndpoints: [...local].map(([ip, family]) => ({ ip, family })) };
}
