import type { Pod } from '../../apimachinery/types/core-v1.ts';

const MAX_HOSTNAME = 63;

/** The short host name and the domain of a pod; the latter is empty without a `subdomain`. */
export function podHostname(pod: Pod, clusterDomain: string): { hostname: string; domain: string } {
  const { hostname = '', subdomain = '', setHostnameAsFQDN, hostnameOverride } = pod.spec ?? {};
  const name = (hostname === '' ? (pod.metadata?.name ?? '') : hostname).slice(0, MAX_HOSTNAME).replace(/[-.]+$/, '');
  const domain = subdomain === '' ? '' : `${subdomain}.${pod.metadata?.namespace}.svc.${clusterDomain}`;
  if (hostnameOverride !== undefined && hostnameOverride !== '') return { hostname: hostnameOverride, domain: '' };
  if (setHostnameAsFQDN === true && domain !== '') return { hostname: `${name}.${domain}`, domain };
  return { hostname: name, domain };
}

function aliasLines(pod: Pod): string {
  const aliases = pod.spec?.hostAliases ?? [];
  if (aliases.length === 0) return '';
  const lines = aliases.map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join('\t')}\n`);
  return `\n# Entries added by HostAliases.\n${lines.join('')}`;
}

/** The content of a pod's /etc/hosts; `hostFile` is the node's own, which pods on the host's network see. */
export function hostsFile(pod: Pod, podIps: readonly string[], clusterDomain: string, hostFile: string): string {
  if (pod.spec?.hostNetwork === true)
    return `# Kubernetes-managed hosts file (host network).\n${hostFile}${aliasLines(pod)}`;
  const { hostname, domain } = podHostname(pod, clusterDomain);
  const short = hostname.split('.')[0] ?? hostname;
  const own = podIps.map((ip) => (domain === '' ? `${ip}\t${hostname}\n` : `${ip}\t${short}.${domain}\t${short}\n`));
  return `# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
${own.join('')}${aliasLines(pod)}`;
}
