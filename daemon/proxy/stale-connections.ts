import type { ConntrackTuple, Netlink } from './netlink.ts';
import type { IpFamily, ServicePortRule, ServiceRules } from './service-rules.ts';

const udp = 17;

/**
 * UDP has no end of a connection: a client that keeps sending from one port stays with an endpoint that is gone, or with
 * the untranslated address of a Service that had no endpoints. Forgets such connections of the rules that changed.
 * Yields how many.
 */
export async function forgetStaleConnections(
  netlink: Netlink,
  before: ServiceRules,
  desired: ServiceRules,
  nodeIps: readonly string[],
): Promise<Map<IpFamily, number>> {
  const forgotten = new Map<IpFamily, number>();
  for (const family of ['ip', 'ip6'] as const) {
    const changed = changedUdpRules(before, desired, family);
    if (changed.length === 0) continue;
    const targets = allowedTargets(changed, desired, family);
    const stale: ConntrackTuple[] = [];
    for (const { original, reply } of await netlink.conntrackList(family, udp)) {
      const allowed =
        targets.get(frontend(original.destination, original.destinationPort)) ??
        (nodeIps.includes(original.destination) || original.destination.startsWith('127.')
          ? targets.get(frontend('', original.destinationPort))
          : undefined);
      // The reply comes from the endpoint.
      if (allowed !== undefined && !allowed.has(frontend(reply.source, reply.sourcePort))) stale.push(original);
    }
    if (stale.length > 0) forgotten.set(family, await netlink.conntrackDelete(stale));
  }
  return forgotten;
}

function changedUdpRules(before: ServiceRules, desired: ServiceRules, family: IpFamily): ServicePortRule[] {
  const changed: ServicePortRule[] = [];
  for (const rule of before.ports.values()) {
    if (rule.protocol === 'UDP' && rule.family === family && desired.ports.get(rule.key) !== rule) changed.push(rule);
  }
  for (const rule of desired.ports.values()) {
    if (rule.protocol === 'UDP' && rule.family === family && !before.ports.has(rule.key)) changed.push(rule);
  }
  return changed;
}

/** For each address and port that a changed rule serves or served: the endpoints it now leads to, none if it is gone. */
function allowedTargets(
  changed: readonly ServicePortRule[],
  desired: ServiceRules,
  family: IpFamily,
): Map<string, Set<string>> {
  const targets = new Map<string, Set<string>>();
  for (const rule of changed) for (const key of frontendsOf(rule)) targets.set(key, new Set());
  for (const rule of desired.ports.values()) {
    if (rule.protocol !== 'UDP' || rule.family !== family) continue;
    for (const key of frontendsOf(rule)) {
      const allowed = targets.get(key);
      if (allowed === undefined) continue;
      for (const { ip, port } of [...rule.clusterEndpoints, ...rule.localEndpoints]) allowed.add(frontend(ip, port));
    }
  }
  return targets;
}

function frontendsOf(rule: ServicePortRule): string[] {
  const addresses = [rule.clusterIp, ...rule.externalIps, ...rule.loadBalancerIps];
  const keys = addresses.map((address) => frontend(address, rule.port));
  return rule.nodePort === 0 ? keys : [...keys, frontend('', rule.nodePort)];
}

/** An empty address stands for every address of the node. */
function frontend(address: string, port: number): string {
  return `${address} ${port}`;
}
