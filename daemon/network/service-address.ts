import { isNetlinkError, loadNetlink, type Netlink } from '../proxy/netlink.ts';

/** Holds addresses of Services that this node answers itself, such as the cluster DNS. */
export const serviceLinkName = 'balsa-services';

/** Makes a Service's address one of this host, on a link of its own, so that a process here can listen on it. */
export async function addServiceAddress(address: string, netlink: Netlink = loadNetlink()): Promise<void> {
  const index = await ensureServiceLink(netlink);
  await netlink.addressReplace({ index, address, prefixLength: address.includes(':') ? 128 : 32 });
}

export async function removeServiceLink(netlink: Netlink = loadNetlink()): Promise<void> {
  const link = (await netlink.links()).find((candidate) => candidate.name === serviceLinkName);
  if (link !== undefined) await netlink.linkDelete(link.index);
}

export async function ensureServiceLink(netlink: Netlink): Promise<number> {
  const find = async () => (await netlink.links()).find((link) => link.name === serviceLinkName);
  let link = await find();
  if (link === undefined) {
    await createLink(netlink);
    link = await find();
  }
  if (link === undefined) throw new Error(`the link ${serviceLinkName} vanished`);
  if ((link.flags & 1) === 0) await netlink.linkSet({ index: link.index, up: true });
  return link.index;
}

/** A bridge without ports does for kernels that have no dummy links. */
async function createLink(netlink: Netlink): Promise<void> {
  try {
    await netlink
      .linkAdd({ name: serviceLinkName, kind: 'dummy' })
      .catch((error: unknown) =>
        isNetlinkError(error, 'EOPNOTSUPP')
          ? netlink.linkAdd({ name: serviceLinkName, kind: 'bridge' })
          : Promise.reject(error),
      );
  } catch (error) {
    // Another part of the daemon was quicker.
    if (!isNetlinkError(error, 'EEXIST')) throw error;
  }
}
