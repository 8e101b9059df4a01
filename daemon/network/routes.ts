import { createHash } from 'node:crypto';
import type { Node } from '../apimachinery/types/core-v1.ts';
import { isNetlinkError, type Link, type Netlink, type RouteChange } from '../proxy/netlink.ts';
import { parsePrefix } from '../proxy/nftables/addresses.ts';
import { ensureServiceLink } from './service-address.ts';
import { isOnLink, type Uplink } from './uplink.ts';

/** `RTPROT_*` value that marks routes as ours: those of others are never touched. */
const routeProtocol = 98;
const vxlanName = 'balsa-vxlan';
const vxlanId = 1;
/** The kernel's own default, which the field uses for pod networks; IANA's 4789 is often taken by the fabric below. */
const vxlanPort = 8472;
/** Outer Ethernet, IPv4, UDP and VXLAN headers. */
const vxlanOverhead = 50;

export function podCidrsOf(node: Node): string[] {
  const cidrs = node.spec?.podCIDRs ?? [];
  if (cidrs.length > 0) return cidrs;
  return node.spec?.podCIDR === undefined || node.spec.podCIDR === '' ? [] : [node.spec.podCIDR];
}

export function internalIpsOf(node: Node): string[] {
  return (node.status?.addresses ?? [])
    .filter((address) => address.type === 'InternalIP')
    .map((address) => address.address);
}

export interface RoutesOptions {
  readonly netlink: Netlink;
  readonly own: Node;
  readonly all: readonly Node[];
  readonly uplink: Uplink;
  readonly serviceCidrs: readonly string[];
}

/**
 * Ways to the pods of all other nodes: directly by the node's address where it is on our link, else through a VXLAN tunnel.
 * Ways to nodes that are gone are removed. `overhead`: bytes by which the tunnel shortens what fits a packet.
 */
export async function syncRoutes(options: RoutesOptions): Promise<{ overhead: number }> {
  const { netlink, own, all, uplink } = options;
  const ownIp = internalIpsOf(own).find((ip) => !ip.includes(':'));
  const peers = all
    .filter((node) => node.metadata?.name !== own.metadata?.name)
    .flatMap((node) => {
      const ips = internalIpsOf(node);
      return podCidrsOf(node).flatMap((cidr) => {
        const ip = ips.find((candidate) => candidate.includes(':') === cidr.includes(':'));
        return ip === undefined ? [] : [{ cidr, ip }];
      });
    });
  const tunnelled = peers.filter((peer) => !isOnLink(uplink, peer.ip) && !peer.ip.includes(':'));
  const wanted = new Map<string, RouteChange>();
  for (const { cidr, ip } of peers) {
    if (isOnLink(uplink, ip)) wanted.set(cidr, routeTo(cidr, ip, uplink.index));
  }
  if (tunnelled.length > 0 && ownIp !== undefined) {
    const link = await ensureTunnel(netlink, ownIp, podCidrsOf(own), uplink);
    for (const { cidr, ip } of tunnelled) {
      // The far end's address inside the tunnel is the first of its pod CIDR; its link address follows from its node address.
      const gateway = networkAddress(cidr);
      await netlink.neighbourReplace({
        family: 'ip',
        index: link.index,
        address: gateway,
        linkAddress: tunnelLinkAddress(ip),
      });
      await netlink.neighbourReplace({
        family: 'bridge',
        index: link.index,
        address: ip,
        linkAddress: tunnelLinkAddress(ip),
      });
      wanted.set(cidr, { ...routeTo(cidr, gateway, link.index), onLink: true });
    }
    await removeStaleNeighbours(netlink, link, new Set(tunnelled.map((peer) => tunnelLinkAddress(peer.ip))));
  }
  for (const [cidr, route] of await serviceRoutes(netlink, options.serviceCidrs, internalIpsOf(own))) {
    wanted.set(cidr, route);
  }
  await applyRoutes(netlink, wanted);
  return { overhead: tunnelled.length > 0 ? vxlanOverhead : 0 };
}

/**
 * Processes of this node reach Services before their packets are translated, so there must be a way: without one, a host that
 * has no default route could not even begin to connect. It also keeps what is not translated from leaving the host.
 */
async function serviceRoutes(
  netlink: Netlink,
  cidrs: readonly string[],
  nodeIps: readonly string[],
): Promise<[string, RouteChange][]> {
  if (cidrs.length === 0) return [];
  const index = await ensureServiceLink(netlink);
  const held = new Set((await netlink.addresses()).map((address) => address.address));
  return cidrs.map((cidr) => {
    const { destination, prefixLength } = splitCidr(cidr);
    const source = nodeIps.find((ip) => held.has(ip) && ip.includes(':') === cidr.includes(':'));
    const route = { destination, prefixLength, index, protocol: routeProtocol };
    return [cidr, source === undefined ? route : { ...route, source }];
  });
}

export async function removeRoutes(netlink: Netlink): Promise<void> {
  await applyRoutes(netlink, new Map());
  const tunnel = (await netlink.links()).find((link) => link.name === vxlanName);
  if (tunnel !== undefined) await netlink.linkDelete(tunnel.index);
}

function routeTo(cidr: string, gateway: string, index: number): RouteChange {
  const { destination, prefixLength } = splitCidr(cidr);
  return { destination, prefixLength, gateway, index, protocol: routeProtocol };
}

async function applyRoutes(netlink: Netlink, wanted: ReadonlyMap<string, RouteChange>): Promise<void> {
  const present = (await netlink.routes()).filter((route) => route.protocol === routeProtocol);
  const nameOf = (route: RouteChange) => `${route.destination}/${route.prefixLength}`;
  const wantedNames = new Map([...wanted.values()].map((route) => [nameOf(route), route]));
  for (const route of present) {
    const want = wantedNames.get(nameOf(route));
    if (want !== undefined && want.gateway === route.gateway && want.index === route.index) {
      wantedNames.delete(nameOf(route));
    } else if (want === undefined) {
      await netlink.routeDelete(route).catch((error: unknown) => {
        if (!isNetlinkError(error, 'ESRCH')) throw error;
      });
    }
  }
  for (const route of wantedNames.values()) await netlink.routeReplace(route);
}

/** The tunnel as it should be: a VXLAN link's identity cannot be changed, so one that differs is made anew. */
async function ensureTunnel(
  netlink: Netlink,
  ownIp: string,
  podCidrs: readonly string[],
  uplink: Uplink,
): Promise<Link> {
  const find = async () => (await netlink.links()).find((link) => link.name === vxlanName);
  let link = await find();
  if (link !== undefined && (link.vxlanLocal !== ownIp || link.vxlanId !== vxlanId || link.vxlanPort !== vxlanPort)) {
    await netlink.linkDelete(link.index);
    link = undefined;
  }
  if (link === undefined) {
    await netlink.linkAdd({
      name: vxlanName,
      kind: 'vxlan',
      mtu: uplink.mtu - vxlanOverhead,
      address: tunnelLinkAddress(ownIp),
      vxlanId,
      vxlanPort,
      vxlanLocal: ownIp,
      ...(uplink.index > 0 && { vxlanLink: uplink.index }),
    });
    link = await find();
    if (link === undefined) throw new Error(`the link ${vxlanName} vanished`);
  }
  const cidr = podCidrs.find((candidate) => !candidate.includes(':'));
  if (cidr !== undefined) {
    await netlink.addressReplace({ index: link.index, address: networkAddress(cidr), prefixLength: 32 });
  }
  if ((link.flags & 1) === 0) await netlink.linkSet({ index: link.index, up: true });
  return link;
}

async function removeStaleNeighbours(netlink: Netlink, link: Link, wanted: ReadonlySet<string>): Promise<void> {
  for (const family of ['ip', 'bridge'] as const) {
    for (const neighbour of await netlink.neighbours(family)) {
      if (neighbour.index !== link.index || neighbour.linkAddress === '' || neighbour.address === '') continue;
      if (wanted.has(neighbour.linkAddress)) continue;
      await netlink.neighbourDelete({ ...neighbour, family }).catch((error: unknown) => {
        if (!isNetlinkError(error, 'ENOENT')) throw error;
      });
    }
  }
}

/** A locally administered link address that every node can compute for every other. */
function tunnelLinkAddress(ip: string): string {
  const digest = createHash('sha256').update(`${vxlanName} ${ip}`).digest();
  return ['02', ...[...digest.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

function networkAddress(cidr: string): string {
  return [...parsePrefix(cidr)!.first].join('.');
}

function splitCidr(cidr: string): { destination: string; prefixLength: number } {
  const [destination = '', length = '0'] = cidr.split('/');
  return { destination, prefixLength: Number(length) };
}
