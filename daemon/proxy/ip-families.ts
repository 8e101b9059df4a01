import { existsSync } from 'node:fs';
import type { IpFamily } from './service-rules.ts';

/** The IP families of this kernel: one that was started without IPv6 has no nf_tables family for it either. */
export function ipFamilies(): readonly IpFamily[] {
  return existsSync('/proc/net/if_inet6') ? ['ip', 'ip6'] : ['ip'];
}
