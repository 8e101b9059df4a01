import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

export interface CniConfigOptions {
  /** Directory the runtime reads. */
  readonly confDir: string;
  /** Where the address allocator keeps which pod has which address. */
  readonly ipamDir: string;
  /** This node's parts of the cluster's pod CIDRs, one for each IP family. */
  readonly podCidrs: readonly string[];
  readonly mtu: number;
}

/** First in the alphabet wins: our file comes before those that packages leave behind. */
const fileName = '05-balsa.conflist';

/**
 * The network configuration of the pods. Each pod hangs on a link of its own (`ptp`) rather than on a shared bridge: traffic
 * between two pods of this node is routed, so that Services and network policy see it without bridge netfilter, and a pod
 * reaches itself through a Service without hairpin ports.
 */
export function cniConfig({ ipamDir, podCidrs, mtu }: CniConfigOptions): object {
  return {
    cniVersion: '1.0.0',
    name: 'balsa',
    plugins: [
      {
        type: 'ptp',
        mtu,
        ipMasq: false,
        ipam: {
          type: 'host-local',
          dataDir: ipamDir,
          ranges: podCidrs.map((subnet) => [{ subnet }]),
          routes: podCidrs.map((subnet) => ({ dst: subnet.includes(':') ? '::/0' : '0.0.0.0/0' })),
        },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    ],
  };
}

/** Writes the configuration in one step; false: it already says this. */
export async function writeCniConfig(options: CniConfigOptions): Promise<boolean> {
  const file = path.join(options.confDir, fileName);
  const content = `${JSON.stringify(cniConfig(options), undefined, 2)}\n`;
  const current = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (current === content) return false;
  await mkdir(options.confDir, { recursive: true });
  await mkdir(options.ipamDir, { recursive: true });
  const temporary = `${file}.new`;
  await writeFile(temporary, content);
  await rename(temporary, file);
  return true;
}
