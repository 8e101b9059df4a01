import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const cniBinDir = process.env['BALSA_CNI_BIN_DIR'] ?? '/usr/lib/cni';

export interface CniResult {
  readonly ips: readonly { readonly address: string }[];
}

/** Calls the plugins of the configuration one after another, as the container runtime does. */
export function cni(
  confDir: string,
  command: 'ADD' | 'DEL',
  container: string,
  portMappings: object[] = [],
  /** Namespace of the node; absent: that of the test. */
  node?: string,
): CniResult {
  const configFile = readdirSync(confDir).find((name) => name.endsWith('.conflist'))!;
  const config = JSON.parse(readFileSync(path.join(confDir, configFile), 'utf8')) as {
    name: string;
    cniVersion: string;
    plugins: { type: string }[];
  };
  let previous: CniResult | undefined;
  const plugins = command === 'ADD' ? config.plugins : [...config.plugins].reverse();
  for (const plugin of plugins) {
    const input = {
      name: config.name,
      cniVersion: config.cniVersion,
      ...plugin,
      ...(previous !== undefined && { prevResult: previous }),
      ...(plugin.type === 'portmap' && { runtimeConfig: { portMappings } }),
    };
    const program = path.join(cniBinDir, plugin.type);
    const [file = '', ...args] = node === undefined ? [program] : ['ip', 'netns', 'exec', node, program];
    const output = execFileSync(file, args, {
      input: JSON.stringify(input),
      encoding: 'utf8',
      env: {
        ...process.env,
        CNI_COMMAND: command,
        CNI_CONTAINERID: container,
        CNI_NETNS: `/run/netns/${container}`,
        CNI_IFNAME: 'eth0',
        CNI_PATH: cniBinDir,
      },
    });
    if (output !== '') previous = JSON.parse(output) as CniResult;
  }
  return previous ?? { ips: [] };
}
