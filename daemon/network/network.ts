import path from 'node:path';
import type { Node } from '../apimachinery/types/core-v1.ts';
import { nodes } from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';
import type { SharedInformers } from '../client/informer.ts';
import { createSharedInformers } from '../client/shared-informers.ts';
import type { Logger } from '../log/logger.ts';
import { loadNetlink, type Netlink } from '../proxy/netlink.ts';
import { SyncLoop } from '../proxy/sync-loop.ts';
import { writeCniConfig } from './cni-config.ts';
import { applyMasquerade, removeMasquerade } from './masquerade.ts';
import { removeNetworkPolicy } from './policy/network-policy.ts';
import { internalIpsOf, podCidrsOf, removeRoutes, syncRoutes } from './routes.ts';
import { removeServiceLink } from './service-address.ts';
import { applySysctls } from './sysctls.ts';
import { isOnLink, uplinkOf } from './uplink.ts';

export interface NetworkOptions {
  readonly client: ApiClient;
  /** Shared with the other parts of this process; absent: informers of its own. */
  readonly informers?: SharedInformers;
  readonly nodeName: string;
  readonly dataDir: string;
  /** Directory that the container runtime reads CNI configurations from. */
  readonly cniConfDir: string;
  readonly cniBinDir: string;
  /** One CIDR, or two separated by a comma in a dual-stack cluster. */
  readonly clusterPodCidr: string;
  /** As the above; absent: the node has a way to Services only by its default route. */
  readonly serviceCidr?: string;
  readonly netlink?: Netlink;
  readonly logger: Logger;
}

export interface Network {
  /** Resolves once pods of this node can have a network. */
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

/**
 * The pod network of this node, in the network namespace of this process: once the node has its pod CIDR, the CNI
 * configuration, forwarding, masquerading and the ways to the other nodes' pods. All of it stays when it stops.
 */
export async function startNetwork(options: NetworkOptions): Promise<Network> {
  const { client, nodeName, logger } = options;
  const netlink = options.netlink ?? loadNetlink();
  const clusterPodCidrs = options.clusterPodCidr.split(',');
  const serviceCidrs = options.serviceCidr?.split(',') ?? [];
  const informers = options.informers ?? createSharedInformers(client, logger);
  const nodeInformer = informers.informer(nodes);
  let markReady: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    markReady = resolve;
  });
  let masqueraded: string | undefined;
  let synced = false;

  const sync = async (): Promise<void> => {
    if (!synced) return;
    const all = nodeInformer.lister.list();
    const own = all.find((node) => node.metadata?.name === nodeName);
    const podCidrs = own === undefined ? [] : podCidrsOf(own);
    if (own === undefined || podCidrs.length === 0) return;
    const changed = await applySysctls(families(podCidrs));
    if (changed.length > 0) logger.info({ changed }, 'kernel settings changed');
    const uplink = await uplinkOf(netlink, internalIpsOf(own));
    // Routers on the way to other nodes may drop what comes from addresses they do not know.
    const keepSourceTo = all
      .flatMap(internalIpsOf)
      .filter((ip) => isOnLink(uplink, ip))
      .sort();
    if (masqueraded !== keepSourceTo.join()) {
      await applyMasquerade(netlink, clusterPodCidrs, keepSourceTo);
      masqueraded = keepSourceTo.join();
    }
    const { overhead } = await syncRoutes({ netlink, own, all, uplink, serviceCidrs });
    const written = await writeCniConfig({
      confDir: options.cniConfDir,
      ipamDir: path.join(options.dataDir, 'cni/networks'),
      podCidrs,
      mtu: uplink.mtu - overhead,
    });
    if (written) logger.info({ podCidrs, mtu: uplink.mtu - overhead }, 'pod network configured');
    markReady();
  };
  const loop = new SyncLoop({ sync, minInterval: 50, maxInterval: 60_000, logger });
  const unsubscribe = nodeInformer.addHandler({
    onAdd: () => loop.request(),
    onUpdate: (node, old) => {
      if (identity(node) !== identity(old)) loop.request();
    },
    onDelete: () => loop.request(),
  });
  const started = informers.start().then(
    () => {
      synced = true;
      loop.request();
    },
    (error: unknown) => logger.error({ err: error }, 'the network cannot read Nodes'),
  );
  return {
    ready,
    async stop() {
      unsubscribe();
      if (options.informers === undefined) await informers.stop();
      await started;
      await loop.stop();
    },
  };
}

/** Takes away what the network made in this network namespace; links of pods go with the pods. */
export async function removeNetwork(_logger: Logger): Promise<void> {
  const netlink = loadNetlink();
  await removeNetworkPolicy(netlink);
  await removeMasquerade(netlink);
  await removeRoutes(netlink);
  await removeServiceLink(netlink);
}

/** What of a node the network depends on: nodes are updated every few seconds, and mostly it is not this. */
function identity(node: Node): string {
  return `${podCidrsOf(node).join()} ${internalIpsOf(node).join()}`;
}

function families(cidrs: readonly string[]): ('ip' | 'ip6')[] {
  return [...new Set(cidrs.map((cidr) => (cidr.includes(':') ? 'ip6' : 'ip')))];
}
