import { readFile, writeFile } from 'node:fs/promises';

/** Kernel settings of this network namespace that pods need. */
const settings = {
  ip: { 'net/ipv4/ip_forward': '1' },
  // Only where pods have IPv6: a forwarding host no longer takes its own address from router advertisements.
  ip6: { 'net/ipv6/conf/all/forwarding': '1' },
} as const;

/** Yields the names of those changed. */
export async function applySysctls(families: readonly ('ip' | 'ip6')[]): Promise<string[]> {
  const changed: string[] = [];
  for (const family of families) {
    for (const [name, value] of Object.entries(settings[family])) {
      const file = `/proc/sys/${name}`;
      if ((await readFile(file, 'utf8')).trim() === value) continue;
      await writeFile(file, value);
      changed.push(name.replaceAll('/', '.'));
    }
  }
  return changed;
}
