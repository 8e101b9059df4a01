import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { nodes } from './apimachinery/types/resources.ts';
import type { ApiClient, Identity } from './client/api-client.ts';
import { createHttpsClient } from './client/https-client.ts';
import { type Membership, writeMembership } from './cluster/join/membership-file.ts';
import { followServers } from './cluster/join/server-list.ts';
import type { KeyPair } from './cluster/pki/certificate.ts';
import { type AgentLeafName, agentLeafRows } from './cluster/pki/layout.ts';
import { readAuthority, readPair } from './cluster/pki/pki.ts';
import type { Config } from './config/config.ts';
import { startDns } from './dns/dns.ts';
import type { Containerd } from './kubelet/containerd.ts';
import { startKubelet } from './kubelet/kubelet.ts';
import { startAnnouncer } from './loadbalancer/announcer.ts';
import type { Logger } from './log/logger.ts';
import { startNetwork } from './network/network.ts';
import { startNetworkPolicy } from './network/policy/network-policy.ts';
import { startProxy } from './proxy/proxy.ts';

export interface Role {
  stop(): Promise<void>;
}

export type Started = <R extends Role>(name: string, role: R) => R;

/** How the parts of an agent reach the API, each as itself, and what the kubelet shows to those who reach it. */
export interface AgentAccess {
  readonly clients: Readonly<Record<AgentLeafName, ApiClient>>;
  readonly serving: KeyPair;
  /** PEM of the authority that signs what components show each other. */
  readonly ca: string;
}

const serviceAccount = (name: string): Identity => ({
  name: `system:serviceaccount:kube-system:${name}`,
  groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
});

/** On a server: in this process, and nothing to connect to. */
export function localAccess(
  config: Config,
  clientFor: (identity: Identity) => ApiClient,
  serving: KeyPair,
  ca: string,
): AgentAccess {
  return {
    clients: {
      kubelet: clientFor({
        name: `system:node:${config.nodeName}`,
        groups: ['system:nodes', 'system:authenticated'],
      }),
      'kube-proxy': clientFor({ name: 'system:kube-proxy', groups: ['system:authenticated'] }),
      coredns: clientFor(serviceAccount('coredns')),
      'balsa-network': clientFor(serviceAccount('balsa-network')),
    },
    serving,
    ca,
  };
}

/** On a node that has joined: over HTTPS to any of the servers, with the certificates that it was given. */
export function remoteAccess(config: Config, membership: Membership, logger: Logger, started: Started): AgentAccess {
  const directory = join(config.dataDir, 'pki');
  const ca = readAuthority(directory, 'ca');
  const servers = [...membership.apiServers];
  const clientWith = (pair: KeyPair) => createHttpsClient({ servers, ca, ...pair, userAgent: 'balsad', logger });
  const pairs = Object.fromEntries(
    agentLeafRows.map(({ name }) => {
      const pair = readPair(directory, name);
      if (pair === undefined)
        throw new Error(`${join(directory, name)}.crt or .key is missing: run balsad --clean and join again`);
      return [name, pair];
    }),
  ) as Record<AgentLeafName, KeyPair>;
  const clients = {
    kubelet: clientWith(pairs.kubelet),
    'kube-proxy': clientWith(pairs['kube-proxy']),
    coredns: clientWith(pairs.coredns),
    'balsa-network': clientWith(pairs['balsa-network']),
  };
  started('api clients', {
    async stop() {
      for (const client of Object.values(clients)) client.close();
    },
  });
  started(
    'server list',
    followServers({
      client: clients['kube-proxy'],
      servers,
      onChange: (apiServers) => writeMembership(config.dataDir, { ...membership, apiServers }),
      logger,
    }),
  );
  return { clients, serving: pairs.kubelet, ca };
}

/** How long a node may take to become Ready before the log says, each time that long, what it waits for. */
const readyPatienceMs = 10_000;

/** Resolves when the API says this node is Ready, however long that takes: whoever waits reads why in the log. */
async function nodeReady(client: ApiClient, name: string, logger: Logger): Promise<void> {
  let complainAt = Date.now() + readyPatienceMs;
  for (;;) {
    let waitsFor: string | undefined;
    try {
      const node = await client.get(nodes, { name });
      const ready = node.status?.conditions?.find((condition) => condition.type === 'Ready');
      if (ready?.status === 'True') return;
      waitsFor = ready?.message;
    } catch (error) {
      waitsFor = error instanceof Error ? error.message : String(error);
    }
    if (Date.now() >= complainAt) {
      logger.warn({ node: name, waitsFor }, 'the node is not Ready yet');
      complainAt = Date.now() + readyPatienceMs;
    }
    await delay(50);
  }
}

/** The roles of a node that runs pods; resolves when the node is Ready. */
export async function startAgent(
  config: Config,
  access: AgentAccess,
  containerd: Promise<Containerd> | undefined,
  log: (name: string) => Logger,
  started: Started,
): Promise<void> {
  const { clients, serving, ca } = access;
  const runtime = containerd === undefined ? undefined : await containerd;
  if (runtime !== undefined) started('containerd', { stop: () => runtime.stop() });
  started(
    'kubelet',
    await startKubelet({
      client: clients.kubelet,
      nodeName: config.nodeName,
      nodeIp: config.nodeIp,
      dataDir: config.dataDir,
      runtimeEndpoint: runtime?.endpoint ?? config.containerRuntimeEndpoint,
      serving: { host: config.bindAddress, port: config.kubeletPort, ...serving, clientCa: ca },
      clusterDns: [config.clusterDns],
      clusterDomain: config.clusterDomain,
      logger: log('kubelet'),
    }),
  );
  const [network, policy, proxy, dns] = await Promise.all([
    startNetwork({
      client: clients.kubelet,
      nodeName: config.nodeName,
      dataDir: config.dataDir,
      cniConfDir: join(config.dataDir, 'cni/net.d'),
      cniBinDir: config.cniBinDir,
      clusterPodCidr: config.podCidr,
      serviceCidr: config.serviceCidr,
      logger: log('network'),
    }),
    startNetworkPolicy({
      client: clients['balsa-network'],
      nodeName: config.nodeName,
      logger: log('network-policy'),
    }),
    startProxy({
      client: clients['kube-proxy'],
      nodeName: config.nodeName,
      nodeIps: [config.nodeIp],
      clusterPodCidr: config.podCidr,
      backend: config.proxyMode,
      health: { host: config.bindAddress, port: config.proxyHealthPort },
      logger: log('proxy'),
    }),
    startDns({
      client: clients.coredns,
      listen: { host: config.clusterDns, port: 53 },
      clusterDomain: config.clusterDomain,
      logger: log('dns'),
    }),
  ]);
  started('network', network);
  started('network-policy', policy);
  started('proxy', proxy);
  started('dns', dns);
  if (config.loadBalancerPool.length > 0)
    started(
      'announcer',
      await startAnnouncer({
        client: clients['kube-proxy'],
        nodeName: config.nodeName,
        nodeIps: [config.nodeIp],
        pool: config.loadBalancerPool,
        logger: log('announcer'),
      }),
    );
  await nodeReady(clients.kubelet, config.nodeName, log('node'));
}
