import type { Netlink } from '../proxy/netlink.ts';
import { type Prefix, parsePrefix, prefixContains } from '../proxy/nftables/addresses.ts';

/** The link that leads to the other nodes. */
export interface Uplink {
  readonly index: number;
  readonly mtu: number;
  /** Networks that it reaches directly. */
  readonly onLink: readonly Prefix[];
}

const mainTable = 254;
const loopbackIndex = 1;
const defaultMtu = 1500;

/** The link that has one of the node's addresses, else that of the default route. */
export async function uplinkOf(netlink: Netlink, nodeIps: readonly string[]): Promise<Uplink> {
  const [links, addresses, routes] = await Promise.all([netlink.links(), netlink.addresses(), netlink.routes()]);
  const own = addresses.find((address) => address.index !== loopbackIndex && nodeIps.includes(address.address));
  const standard = routes.find((route) => route.table === mainTable && route.prefixLength === 0 && route.index > 0);
  const index = own?.index ?? standard?.index;
  const link = links.find((candidate) => candidate.index === index);
  if (link === undefined) return { index: 0, mtu: defaultMtu, onLink: [] };
  const onLink = addresses
    .filter((address) => address.index === link.index)
    .flatMap((address) => parsePrefix(`${address.address}/${address.prefixLength}`) ?? []);
  return { index: link.index, mtu: link.mtu, onLink };
}

export function isOnLink(uplink: Uplink, ip: string): boolean {
  return uplink.onLink.some((prefix) => prefixContains(prefix, ip));
}
