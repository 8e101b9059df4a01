import { ipFamilies } from '../proxy/ip-families.ts';
import type { Netlink, NftablesExpression, NftablesFamily, NftablesOperation } from '../proxy/netlink.ts';
import { type Prefix, parsePrefix } from '../proxy/nftables/addresses.ts';
import {
  accept,
  concatenatedType,
  dataTypes,
  firstRegister,
  hooks,
  inSet,
  masquerade,
  priorities,
  setFlags,
  verdict,
} from '../proxy/nftables/expressions.ts';
import { PacketFields } from '../proxy/nftables/packet-fields.ts';
import { intervalElements } from './intervals.ts';

export const tableName = 'balsa-network';

/**
 * Lets pods reach the world beyond the cluster under the node's address. Packets between pods and to the nodes keep their
 * source. One transaction replaces what was there.
 */
export async function applyMasquerade(
  netlink: Netlink,
  clusterPodCidrs: readonly string[],
  /** Addresses that know the way to the pods: the nodes on our link. */
  keepSourceTo: readonly string[],
): Promise<void> {
  const operations: NftablesOperation[] = [];
  for (const family of ipFamilies()) {
    operations.push(...remove(family));
    const pods = prefixesOf(clusterPodCidrs, family);
    if (pods.length > 0) operations.push(...create(family, pods, prefixesOf(keepSourceTo, family)));
  }
  await netlink.nftablesCommit(operations);
}

export async function removeMasquerade(netlink: Netlink): Promise<void> {
  await netlink.nftablesCommit(ipFamilies().flatMap(remove));
}

function remove(family: NftablesFamily): NftablesOperation[] {
  return [
    { operation: 'addTable', family, table: tableName },
    { operation: 'deleteTable', family, table: tableName },
  ];
}

function create(family: 'ip' | 'ip6', pods: readonly Prefix[], keep: readonly Prefix[]): NftablesOperation[] {
  const length = family === 'ip' ? 4 : 16;
  const chain = 'nat-postrouting';
  const r = firstRegister;
  const fields = new PacketFields(family);
  const multicast = parsePrefix(family === 'ip' ? '224.0.0.0/4' : 'ff00::/8')!;
  const rule = (...expressions: NftablesExpression[]): NftablesOperation => ({
    operation: 'addRule',
    family,
    table: tableName,
    chain,
    expressions,
  });
  const operations: NftablesOperation[] = [
    { operation: 'addTable', family, table: tableName },
    {
      operation: 'addSet',
      family,
      table: tableName,
      set: 'keep-source',
      flags: setFlags.interval,
      keyType: concatenatedType(family === 'ip' ? dataTypes.address4 : dataTypes.address6),
      keyLength: length,
    },
    // Before the host's own source translation, and before the proxy's.
    {
      operation: 'addChain',
      family,
      table: tableName,
      chain,
      type: 'nat',
      hook: hooks.postrouting,
      priority: priorities.sourceNat - 5,
    },
  ];
  const intervals = intervalElements([...pods, ...keep, multicast]);
  operations.push({
    operation: 'addElements',
    family,
    table: tableName,
    set: 'keep-source',
    keyLength: length,
    ...intervals,
  });
  for (const prefix of pods) {
    operations.push(
      rule(...fields.sourceWithin('equal', prefix), fields.destination(r), inSet('keep-source', r), verdict(accept)),
      rule(...fields.sourceWithin('equal', prefix), masquerade),
    );
  }
  return operations;
}

function prefixesOf(cidrs: readonly string[], family: 'ip' | 'ip6'): Prefix[] {
  return cidrs.flatMap((cidr) => {
    const prefix = parsePrefix(cidr);
    return prefix !== undefined && (prefix.first.length === 4) === (family === 'ip') ? [prefix] : [];
  });
}
