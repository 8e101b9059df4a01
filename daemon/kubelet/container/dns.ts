import { readFile } from 'node:fs/promises';
import type { DNSConfig } from '../../../proto/generated/cri/runtime/v1/api.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';

const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARACTERS = 2048;

export interface ClusterDns {
  readonly servers: readonly string[];
  readonly domain: string;
}

/** The settings in a resolv.conf(5). */
export function parseResolvConf(text: string): DNSConfig {
  const config: DNSConfig = { servers: [], searches: [], options: [] };
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && values[0] !== undefined) config.servers.push(values[0]);
    // The last of these lines wins.
    else if (keyword === 'search' || keyword === 'domain') config.searches = values;
    else if (keyword === 'options') config.options.push(...values);
  }
  return config;
}

const RESOLVED_UPSTREAM = '/run/systemd/resolve/resolv.conf';

/**
 * The node's own resolv.conf, for pods that use it. Where that names only a resolver on the loopback interface
 * (systemd-resolved), which pods cannot reach, the resolvers behind it.
 */
export async function hostDns(): Promise<DNSConfig> {
  const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
  const own = parseResolvConf(await read('/etc/resolv.conf'));
  if (!own.servers.every((server) => server.startsWith('127.') || server === '::1')) return own;
  const upstream = parseResolvConf(await read(RESOLVED_UPSTREAM));
  return upstream.servers.length > 0 ? upstream : own;
}

const unique = (items: readonly string[]): string[] => [...new Set(items)];

function withinLimits(config: DNSConfig): DNSConfig {
  const searches: string[] = [];
  for (const search of config.searches.slice(0, MAX_SEARCHES)) {
    if ([...searches, search].join(' ').length > MAX_SEARCH_CHARACTERS) break;
    searches.push(search);
  }
  return { ...config, servers: config.servers.slice(0, MAX_NAMESERVERS), searches };
}

/** What a pod's resolv.conf says, by its `dnsPolicy` and `dnsConfig`. `host` is the node's own. */
export function podDns(pod: Pod, cluster: ClusterDns, host: DNSConfig): DNSConfig {
  const { dnsPolicy = 'ClusterFirst', dnsConfig, hostNetwork = false } = pod.spec ?? {};
  const usesCluster =
    cluster.servers.length > 0 &&
    (dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork));
  let base: DNSConfig;
  if (dnsPolicy === 'None') base = { servers: [], searches: [], options: [] };
  else if (usesCluster) {
    const { domain } = cluster;
    const searches = [`${pod.metadata?.namespace}.svc.${domain}`, `svc.${domain}`, domain];
    base = {
      servers: [...cluster.servers],
      searches: unique([...searches, ...host.searches]),
      options: ['ndots:5'],
    };
  } else base = { ...host, servers: host.servers.length === 0 ? ['127.0.0.1'] : host.servers };
  const options = new Map(base.options.map((option) => [option.split(':')[0], option]));
  for (const { name, value } of dnsConfig?.options ?? [])
    options.set(name ?? '', value === undefined || value === '' ? (name ?? '') : `${name}:${value}`);
  return withinLimits({
    servers: unique([...base.servers, ...(dnsConfig?.nameservers ?? [])]),
    searches: unique([...base.searches, ...(dnsConfig?.searches ?? [])]),
    options: [...options.values()],
  });
}
