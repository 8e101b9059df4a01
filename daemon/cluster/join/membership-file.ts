import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config/options.ts';
import { writeSecretFile } from '../pki/pki.ts';

/** Settings that are the cluster's, not the node's: a node that joins takes them over. */
export type ClusterConfig = Pick<
  Config,
  'podCidr' | 'nodeCidrMaskSize' | 'serviceCidr' | 'nodePortRange' | 'clusterDomain' | 'clusterDns'
>;

/** What a joined node knows of its cluster, kept in its data directory: with it, a restart needs no token. */
export interface Membership {
  readonly role: Config['role'];
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly settings: ClusterConfig;
  /** Addresses of the Kubernetes API, brought up to date as servers come and go. */
  readonly apiServers: readonly string[];
  /** Of a server: as whom it takes part in the store. Identifiers are decimal. */
  readonly store?: {
    readonly memberId: number;
    readonly clusterId: string;
    readonly members: readonly { readonly id: number; readonly name: string; readonly peerUrls: readonly string[] }[];
  };
}

const fileOf = (dataDir: string): string => join(dataDir, 'cluster.json');

/** Undefined on a node that has joined none: it has, or will make, a cluster of its own. */
export function readMembership(dataDir: string): Membership | undefined {
  const file = fileOf(dataDir);
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Membership;
  } catch (error) {
    throw new Error(`${file} is damaged (${(error as Error).message}): run balsad --clean and join again`);
  }
}

export function writeMembership(dataDir: string, membership: Membership): void {
  writeSecretFile(fileOf(dataDir), `${JSON.stringify(membership, undefined, 2)}\n`);
}
