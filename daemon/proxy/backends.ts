import type { Logger } from '../log/logger.ts';
import { isNetlinkError, type Netlink } from './netlink.ts';
import { NftablesBackend } from './nftables/nftables-backend.ts';
import type { RuleBackend } from './service-rules.ts';

export type ProxyMode = 'auto' | RuleBackend['name'];

export interface BackendOptions {
  readonly netlink: Netlink;
  readonly logger: Logger;
  readonly clusterPodCidrs: readonly string[];
  readonly nodeIps: readonly string[];
}

const backends: Partial<Record<RuleBackend['name'], (options: BackendOptions) => RuleBackend>> = {
  nftables: (options) => new NftablesBackend(options),
};

/** The backend asked for; for `auto` the first that this kernel can do. Rules of the others are removed. */
export async function selectBackend(mode: ProxyMode, options: BackendOptions): Promise<RuleBackend> {
  const name = mode === 'auto' ? ((await hasNftables(options.netlink)) ? 'nftables' : 'iptables') : mode;
  const create = backends[name];
  if (create === undefined) throw new Error(`the proxy backend '${name}' is not available`);
  return create(options);
}

export async function cleanupBackends(netlink: Netlink, logger: Logger): Promise<void> {
  for (const create of Object.values(backends)) {
    await create({ netlink, logger, clusterPodCidrs: [], nodeIps: [] }).cleanup();
  }
}

async function hasNftables(netlink: Netlink): Promise<boolean> {
  try {
    await netlink.nftablesTable('ip', 'balsa-proxy');
    return true;
  } catch (error) {
    if (isNetlinkError(error)) return false;
    throw error;
  }
}
