import type { Logger } from '../log/logger.ts';
import { IptablesBackend } from './iptables/iptables-backend.ts';
import { IpvsBackend } from './ipvs/ipvs-backend.ts';
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

const backends: Readonly<Record<RuleBackend['name'], (options: BackendOptions) => RuleBackend>> = {
  nftables: (options) => new NftablesBackend(options),
  iptables: (options) => new IptablesBackend(options),
  ipvs: (options) => new IpvsBackend(options),
};

/** The backend asked for; for `auto` the first that this kernel can do. Rules of the others are removed. */
export async function selectBackend(mode: ProxyMode, options: BackendOptions): Promise<RuleBackend> {
  const name = mode === 'auto' ? ((await hasNftables(options.netlink)) ? 'nftables' : 'iptables') : mode;
  const create = backends[name];
  for (const [other, createOther] of Object.entries(backends)) {
    if (other !== name) await removeRules(createOther(options), options.logger);
  }
  return create(options);
}

export async function cleanupBackends(netlink: Netlink, logger: Logger): Promise<void> {
  for (const create of Object.values(backends)) {
    await removeRules(create({ netlink, logger, clusterPodCidrs: [], nodeIps: [] }), logger);
  }
}

/** A backend whose programs or kernel parts are missing has left nothing to remove. */
async function removeRules(backend: RuleBackend, logger: Logger): Promise<void> {
  try {
    await backend.cleanup();
  } catch (error) {
    logger.debug({ err: error, backend: backend.name }, 'nothing of this backend to remove');
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
