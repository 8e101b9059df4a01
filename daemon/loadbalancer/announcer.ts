import { createHash } from 'node:crypto';
import type { Node, Service } from '../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import { endpointslices, nodes, services } from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';
import { createSharedInformers } from '../client/shared-informers.ts';
import type { Logger } from '../log/logger.ts';
import { uplinkOf } from '../network/uplink.ts';
import { isNetlinkError, loadNetlink, type Netlink } from '../proxy/netlink.ts';
import { SyncLoop } from '../proxy/sync-loop.ts';
import { AddressPool } from './address-pool.ts';
import { addressesOf, wantsAddress } from './load-balancer-class.ts';

export interface AnnouncerOptions {
  /** Acts as `system:kube-proxy`. */
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly nodeIps: readonly string[];
  readonly pool: readonly string[];
  readonly netlink?: Netlink;
  readonly logger: Logger;
}

const serviceNameLabel = 'kubernetes.io/service-name';
const excludeLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';

/** Nodes that load balancers may send traffic to, by name. */
export function eligibleNodes(all: readonly Node[]): string[] {
  return all
    .filter(
      (node) =>
        node.metadata.deletionTimestamp === undefined &&
        node.metadata.labels?.[excludeLabel] === undefined &&
        node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true,
    )
    .flatMap((node) => node.metadata.name ?? []);
}

/**
 * The one node that answers for an address: every node comes to the same result, addresses spread over the nodes, and when a
 * node goes, only its own addresses move (rendezvous hashing).
 */
export function announcingNode(address: string, candidates: readonly string[]): string | undefined {
  const weight = (name: string): string => createHash('sha256').update(`${address} ${name}`).digest('hex');
  return [...candidates].sort((a, b) => (weight(a) < weight(b) ? 1 : -1))[0];
}

/** Nodes that may announce a Service: with `externalTrafficPolicy: Local`, those with an endpoint that serves. */
export function candidatesFor(
  service: Service,
  slices: readonly EndpointSlice[],
  eligible: readonly string[],
): readonly string[] {
  if (service.spec.externalTrafficPolicy !== 'Local') return eligible;
  const local = new Set(
    slices
      .flatMap((slice) => slice.endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ nodeName }) => nodeName ?? []),
  );
  return eligible.filter((name) => local.has(name));
}

/**
 * Holds the addresses of LoadBalancer Services that this node is to answer for, on the link that leads to the other nodes. The
 * kernel answers ARP and neighbour solicitations for them, and neighbours are told when one moves here; the service proxy sends on
 * what arrives.
 */
export async function startAnnouncer(options: AnnouncerOptions): Promise<{ stop(): Promise<void> }> {
  const { client, logger, nodeName, nodeIps } = options;
  const netlink = options.netlink ?? loadNetlink();
  const pool = new AddressPool(options.pool);
  const informers = createSharedInformers(client, logger);
  const serviceInformer = informers.informer(services);
  const sliceInformer = informers.informer(endpointslices);
  const nodeInformer = informers.informer(nodes);
  let synced = false;
  sliceInformer.addIndex('service', (slice) => {
    const name = slice.metadata.labels?.[serviceNameLabel];
    return name === undefined ? [] : [`${slice.metadata.namespace}/${name}`];
  });

  const wanted = (): Set<string> => {
    const eligible = eligibleNodes(nodeInformer.lister.list());
    const own = new Set<string>();
    for (const service of serviceInformer.lister.list()) {
      if (!wantsAddress(service)) continue;
      const key = `${service.metadata.namespace}/${service.metadata.name}`;
      const candidates = candidatesFor(service, sliceInformer.lister.byIndex('service', key), eligible);
      for (const address of addressesOf(service))
        if (pool.includes(address) && announcingNode(address, candidates) === nodeName) own.add(address);
    }
    return own;
  };
  const hold = async (addresses: ReadonlySet<string>): Promise<void> => {
    const uplink = await uplinkOf(netlink, nodeIps);
    if (uplink.index === 0)
      throw new Error('no link leads to other hosts: load-balancer addresses cannot be announced');
    const missing = new Set(addresses);
    for (const held of await netlink.addresses()) {
      const { address, index, prefixLength } = held;
      // The pool's addresses with a full prefix are ours, whichever run of the daemon added them.
      if (!pool.includes(address) || nodeIps.includes(address) || prefixLength !== fullPrefix(address)) continue;
      if (index === uplink.index && missing.delete(address)) continue;
      logger.info({ address }, 'withdrawing a load-balancer address');
      await netlink.addressDelete({ index, address, prefixLength }).catch((error: unknown) => {
        if (!isNetlinkError(error, 'EADDRNOTAVAIL')) throw error;
      });
    }
    for (const address of missing) {
      logger.info({ address }, 'announcing a load-balancer address');
      await netlink.addressReplace({ index: uplink.index, address, prefixLength: fullPrefix(address) });
      // Neighbours that do not hear of it find out when their own entry has expired.
      await netlink
        .addressAnnounce({ index: uplink.index, address })
        .catch((error: unknown) => logger.warn({ err: error, address }, 'the address is held but not announced'));
    }
  };
  const loop = new SyncLoop({
    sync: async () => {
      if (synced) await hold(wanted());
    },
    minInterval: 50,
    maxInterval: 30_000,
    logger,
  });
  const changed = (): void => loop.request();
  const handler = { onAdd: changed, onUpdate: changed, onDelete: changed };
  const stops = [
    serviceInformer.addHandler(handler),
    sliceInformer.addHandler(handler),
    nodeInformer.addHandler(handler),
  ];
  await informers.start();
  synced = true;
  changed();
  return {
    async stop() {
      // Services go on without the daemon, and so do their addresses.
      for (const stop of stops) stop();
      await loop.stop();
      await informers.stop();
    },
  };
}

/** Takes back every address of the pool that a run of the daemon added to this host. */
export async function removeAnnouncedAddresses(
  entries: readonly string[],
  nodeIps: readonly string[],
  netlink: Netlink = loadNetlink(),
): Promise<void> {
  const pool = new AddressPool(entries);
  for (const { index, address, prefixLength } of await netlink.addresses())
    if (pool.includes(address) && !nodeIps.includes(address) && prefixLength === fullPrefix(address))
      await netlink.addressDelete({ index, address, prefixLength });
}

const fullPrefix = (address: string): number => (address.includes(':') ? 128 : 32);
