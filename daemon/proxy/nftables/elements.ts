import {
  externalEndpoints,
  internalEndpoints,
  type Protocol,
  type RuleEndpoint,
  type ServicePortRule,
} from '../service-rules.ts';
import { addressBytes, parsePrefix, prefixContains } from './addresses.ts';
import { hostOrder } from './expressions.ts';
import {
  chooseChain,
  externalChain,
  externalLocalChain,
  internalChain,
  rememberChain,
  rememberNodePortChain,
} from './service-chains.ts';
import type { SetName } from './table.ts';

/**
 * One element of a set or map. Keys and data are bytes in a string (`latin1`), which makes them good map keys; the value of
 * an element of a verdict map is the chain to go to, or `drop`. The key of an interval is its first and its last key.
 */
export interface Element {
  readonly set: SetName;
  readonly key: string;
  readonly value: string;
  /**
   * The address and port it serves, of which a rule has all elements or none: those of two rules would not fit together. Empty: shared.
   */
  readonly frontend: string;
}

export const protocolNumbers: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** Everything one rule puts into the table of its family. */
export function elementsOf(rule: ServicePortRule, nodeIps: readonly string[]): Element[] {
  const elements: Element[] = [];
  let serving = '';
  const add = (set: SetName, key: string, value = '') => elements.push({ set, key, value, frontend: serving });
  const port = portKey(rule.protocol, rule.port);
  const sticky = rule.affinitySeconds > 0;

  const spread = (map: SetName, key: string, endpoints: readonly RuleEndpoint[]) => {
    endpoints.forEach((endpoint, slot) => {
      add(map, key + latin1(hostOrder(slot)), endpointData(endpoint));
    });
  };

  // The cluster IP.
  const internal = internalEndpoints(rule);
  const clusterKey = address(rule.clusterIp) + port;
  add('cluster-ips', address(rule.clusterIp));
  serving = clusterKey;
  const internalMap = rule.internalLocal ? 'local-endpoints' : 'endpoints';
  const chooseInternal = chooseChain(internalMap, internal.length, sticky);
  if (sticky) add('sticky-services', clusterKey, rememberChain(rule.affinitySeconds));
  if (chooseInternal !== undefined) {
    add('service-ips', clusterKey, internalChain(chooseInternal));
    spread(internalMap, clusterKey, internal);
  } else {
    add('no-endpoint-services', clusterKey, verdictWithoutEndpoints(rule));
  }

  // What is reached from outside.
  const external = externalEndpoints(rule);
  const frontend = (key: string, verdicts: SetName, cluster: SetName, local: SetName, withoutEndpoints: SetName) => {
    serving = key;
    const chooseCluster = chooseChain(cluster, rule.clusterEndpoints.length, sticky);
    if (rule.externalLocal) {
      const chooseLocal = chooseChain(local, rule.localEndpoints.length, sticky);
      if (chooseCluster !== undefined || chooseLocal !== undefined) {
        add(verdicts, key, externalLocalChain(chooseLocal, chooseCluster));
        spread(cluster, key, rule.clusterEndpoints);
        spread(local, key, rule.localEndpoints);
      }
    } else if (chooseCluster !== undefined) {
      add(verdicts, key, externalChain(chooseCluster));
      spread(cluster, key, rule.clusterEndpoints);
    }
    if (sticky) {
      if (verdicts === 'service-ips') add('sticky-services', key, rememberChain(rule.affinitySeconds));
      else add('sticky-nodeports', key, rememberNodePortChain(rule.affinitySeconds));
    }
    if (external.length === 0) add(withoutEndpoints, key, verdictWithoutEndpoints(rule));
  };
  for (const ip of new Set([...rule.externalIps, ...rule.loadBalancerIps])) {
    frontend(address(ip) + port, 'service-ips', 'endpoints', 'local-endpoints', 'no-endpoint-services');
  }
  if (rule.nodePort !== 0) {
    frontend(
      portKey(rule.protocol, rule.nodePort),
      'service-nodeports',
      'nodeport-endpoints',
      'nodeport-local-endpoints',
      'no-endpoint-nodeports',
    );
  }

  // Who may use the load balancer.
  if (rule.sourceRanges.length > 0) {
    for (const ip of rule.loadBalancerIps) {
      const key = address(ip) + port;
      serving = key;
      add('firewalled', key);
      for (const [first, last] of allowedSources(rule, ip, nodeIps)) {
        add('firewall-allowed', key + first + key + last);
      }
    }
  }

  // A pod that reaches itself through a Service must not see its own address as the client's: it would answer itself directly.
  serving = '';
  const local = [...rule.clusterEndpoints, ...rule.localEndpoints].filter((endpoint) => endpoint.local);
  for (const ip of new Set(local.map((endpoint) => endpoint.ip))) add('hairpin', address(ip) + address(ip));
  return elements;
}

/** Keys that the `affinity` maps may hold for the rule, without the client's address, and the endpoints they may lead to. */
export function affinityTargets(rule: ServicePortRule): {
  services: string[];
  nodePorts: string[];
  targets: Set<string>;
} {
  const port = portKey(rule.protocol, rule.port);
  return {
    services: [rule.clusterIp, ...rule.externalIps, ...rule.loadBalancerIps].map((ip) => address(ip) + port),
    nodePorts: rule.nodePort === 0 ? [] : [portKey(rule.protocol, rule.nodePort)],
    targets: new Set([...rule.clusterEndpoints, ...rule.localEndpoints].map(endpointData)),
  };
}

function verdictWithoutEndpoints(rule: ServicePortRule): string {
  return rule.hasAnyEndpoints ? 'drop' : 'reject';
}

/** Disjoint ranges, since the kernel refuses overlapping intervals. */
function allowedSources(rule: ServicePortRule, ip: string, nodeIps: readonly string[]): [string, string][] {
  const prefixes = rule.sourceRanges.flatMap((range) => parsePrefix(range) ?? []);
  const ranges = prefixes.map((prefix): [string, string] => [latin1(prefix.first), latin1(prefix.last)]);
  // Where the balancer's address is also one of this host, the host's own requests to it come from that address.
  if (prefixes.some((prefix) => nodeIps.some((nodeIp) => prefixContains(prefix, nodeIp)))) {
    ranges.push([address(ip), address(ip)]);
  }
  // Prefixes nest or are apart: keep those that no other holds.
  return [...new Map(ranges.map((range) => [range.join(), range])).values()].filter(
    ([first, last], _, all) => !all.some(([f, l]) => (f !== first || l !== last) && f <= first && l >= last),
  );
}

function endpointData(endpoint: RuleEndpoint): string {
  return address(endpoint.ip) + portField(endpoint.port);
}

function portKey(protocol: Protocol, port: number): string {
  return String.fromCharCode(protocolNumbers[protocol], 0, 0, 0) + portField(port);
}

/** Network order, padded to a register. */
function portField(port: number): string {
  return String.fromCharCode(port >> 8, port & 0xff, 0, 0);
}

function address(ip: string): string {
  return latin1(addressBytes(ip));
}

function latin1(bytes: Buffer): string {
  return bytes.toString('latin1');
}
