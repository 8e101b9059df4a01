import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../log/logger.ts';
import { EmbeddedStore, etcdVersion, maxRequestBytes } from './embedded-store.ts';
import { etcdMethods } from './etcd/services.ts';
import { startGrpcServer } from './grpc/server.ts';
import { deriveClusterId, deriveMemberId, type Identity, loadIdentity, randomToken, saveIdentity } from './identity.ts';
import type { MembershipChanges } from './membership.ts';
import { openStore } from './native.ts';
import { RaftThread } from './raft-thread.ts';
import type { Store } from './store.ts';

/** PEM certificates; `ca` is what the other side must show a certificate of. */
export interface StoreTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export interface Listen {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Without it connections are in the clear, as tests have them. */
  readonly tls?: StoreTls;
}

export interface EmbeddedStoreOptions {
  /** Where everything is kept; made if absent. */
  readonly dataDir: string;
  readonly nodeName: string;
  /** What distinguishes a new cluster from others made of the same names; random if absent. All members must say the same. */
  readonly clusterToken?: string;
  /** Serves etcd's API to clients. */
  readonly clientListen?: Listen;
  /** Serves the other members. */
  readonly peerListen?: Listen;
  /** Where other members and clients find this one; from the listeners if absent. */
  readonly peerUrls?: readonly string[];
  readonly clientUrls?: readonly string[];
  /** The members of a new cluster, this one too; this one alone if absent. Used at the first start only. */
  readonly initialMembers?: readonly { readonly name: string; readonly peerUrls: readonly string[] }[];
  /** Join a cluster that has added this member: what its MemberAdd answered. Used at the first start only. */
  readonly join?: {
    readonly memberId: number;
    readonly clusterId: bigint;
    readonly members: readonly { readonly id: number; readonly name: string; readonly peerUrls: readonly string[] }[];
  };
  /** Seconds of history kept; 0: all of it (default 300). */
  readonly autoCompaction?: number;
  /** Milliseconds (default 100 and 1000). */
  readonly heartbeatInterval?: number;
  readonly electionTimeout?: number;
  readonly reads?: 'quorum' | 'lease';
  /** Bytes on disk beyond which no writes are taken (default 2 GiB). */
  readonly quotaBytes?: number;
  readonly logger: Logger;
  /** The store can do nothing any more; the process should end. Throws in the background if absent. */
  readonly onFatal?: (error: Error) => void;
}

export interface RunningStore {
  readonly store: Store;
  /** Where clients are served, once they are. */
  readonly clientAddress: { readonly host: string; readonly port: number } | undefined;
  readonly peerAddress: { readonly host: string; readonly port: number } | undefined;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** Changes of the members; every member takes them and the leader makes them. */
  readonly membership: MembershipChanges;
  /** Resolves when that member leads. Fails with `timeout` when it does not soon. */
  moveLeader(member: bigint): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Opens (or makes) this member's store and begins to take part in its cluster. Resolves once it takes requests; a single
 * member then leads already. Throws when the directory is unusable or an address is taken.
 */
export async function startEmbeddedStore(options: EmbeddedStoreOptions): Promise<RunningStore> {
  const { logger, nodeName, dataDir } = options;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const identity = establish(options);
  const directory = join(dataDir, 'db');
  const native = openStore(directory, options.quotaBytes === undefined ? {} : { quotaBytes: options.quotaBytes });
  native.setIdentity(identity.clusterId, BigInt(identity.memberId));

  let store: EmbeddedStore | undefined;
  let led = false;
  const { peerListen } = options;
  const thread = new RaftThread(
    native,
    {
      dataDir: directory,
      memberId: identity.memberId,
      clusterId: String(identity.clusterId),
      name: nodeName,
      clientUrls: options.clientUrls ?? [],
      heartbeatInterval: options.heartbeatInterval ?? 100,
      electionTimeout: options.electionTimeout ?? 1000,
      reads: options.reads ?? 'quorum',
      autoCompaction: options.autoCompaction ?? 300,
      peer: peerListen && { listen: { host: peerListen.host, port: peerListen.port }, tls: peerListen.tls },
      bootstrap: identity.bootstrap,
      knownPeers: identity.joined ?? [],
      logLevel: logger.level,
    },
    {
      onState: (state) => {
        logger.debug({ role: state.role, leader: state.leader, term: state.term }, 'the member’s state has changed');
        if (state.leading === led) return;
        led = state.leading;
        logger.info({ term: state.term, leading: led }, led ? 'this member leads' : 'this member no longer leads');
        store?.leadershipChanged(led);
      },
      onFatal: (message) => {
        const error = new Error(`the store cannot go on: ${message}`);
        if (options.onFatal === undefined) throw error;
        options.onFatal(error);
      },
      onRemoved: () => logger.warn({}, 'this member has been removed from the cluster'),
    },
    logger,
  );
  store = new EmbeddedStore(native, thread, BigInt(identity.memberId), identity.clusterId);
  const peerAddress = await thread.started;
  // A single member needs nobody: by the time its first read is confirmed it leads.
  const voters = thread.state?.config.voters ?? [];
  if (voters.length === 1 && voters[0] === identity.memberId) await thread.confirmRead();

  const running = store;
  const publishing = new AbortController();
  if (peerListen !== undefined) void publish(running, options, publishing.signal);
  const { clientListen } = options;
  const clients =
    clientListen &&
    (await startGrpcServer({
      host: clientListen.host,
      port: clientListen.port,
      tls: clientListen.tls,
      methods: etcdMethods(running),
      maxMessageBytes: maxRequestBytes + 512 * 1024,
      plain: (path) => plainAnswer(running, path),
      logger,
    }));
  return {
    store,
    clientAddress: clients?.address,
    peerAddress,
    memberId: BigInt(identity.memberId),
    clusterId: identity.clusterId,
    membership: running.membership,
    moveLeader: (member) => running.moveLeader(Number(member)),
    stop: async () => {
      publishing.abort();
      await clients?.stop();
      running.close();
      await thread.stop();
      native.close();
    },
  };
}

/** Who this member is: as it was the last time, or chosen now. */
function establish(options: EmbeddedStoreOptions): Identity {
  const file = join(options.dataDir, 'member.json');
  const known = loadIdentity(file);
  if (known !== undefined) return known;
  const identity = options.join === undefined ? foundCluster(options) : joinCluster(options.join);
  saveIdentity(file, identity);
  return identity;
}

function joinCluster({ memberId, clusterId, members }: NonNullable<EmbeddedStoreOptions['join']>): Identity {
  return { memberId, clusterId, joined: members.map((member) => ({ ...member, clientUrls: [] })) };
}

function foundCluster(options: EmbeddedStoreOptions): Identity {
  const { nodeName } = options;
  const own = { name: nodeName, peerUrls: options.peerUrls ?? listenUrls(options.peerListen) };
  const initial = options.initialMembers ?? [own];
  if (initial.length > 1 && options.clusterToken === undefined) {
    throw new Error('a cluster of several members needs a cluster token, the same on each');
  }
  const token = options.clusterToken ?? randomToken();
  const bootstrap = initial.map(({ name, peerUrls }) => ({
    id: deriveMemberId(name, peerUrls, token),
    name,
    peerUrls,
    // The same on every member; each makes its own known later. A single one may do so at once.
    clientUrls: initial.length === 1 ? (options.clientUrls ?? listenUrls(options.clientListen)) : [],
  }));
  const self = bootstrap.find((member) => member.name === nodeName);
  if (self === undefined) throw new Error(`the initial members do not name this node, ${nodeName}`);
  const ids = bootstrap.map((member) => member.id);
  return { memberId: self.id, clusterId: deriveClusterId(ids, token), bootstrap };
}

function listenUrls(listen: Listen | undefined): string[] {
  if (listen === undefined) return [];
  return [`${listen.tls === undefined ? 'http' : 'https'}://${listen.host}:${listen.port}`];
}

/** Milliseconds between two attempts of a member to make itself known. */
const publishInterval = 500;

/** Tells the cluster this member's name and where its clients find it, which whoever added it could not know. */
async function publish(store: EmbeddedStore, options: EmbeddedStoreOptions, signal: AbortSignal): Promise<void> {
  const clientUrls = options.clientUrls ?? listenUrls(options.clientListen);
  while (!signal.aborted) {
    try {
      const own = (await store.members()).find((member) => member.id === store.memberId);
      const known = own?.name === options.nodeName && own.clientUrls.join() === clientUrls.join();
      if (known) return;
      if (own !== undefined) await store.membership.update(store.memberId, { name: options.nodeName, clientUrls });
    } catch (error) {
      if (!signal.aborted) options.logger.debug({ err: error }, 'could not make this member known yet');
    }
    await new Promise((resolve) => setTimeout(resolve, publishInterval).unref());
  }
}

/** What etcd answers to plain requests on its client port. */
function plainAnswer(store: EmbeddedStore, path: string): { status: number; body: string } | undefined {
  if (path === '/version') {
    return { status: 200, body: JSON.stringify({ etcdserver: etcdVersion, etcdcluster: etcdVersion }) };
  }
  if (path !== '/health') return undefined;
  const leader = store.thread.state?.leader ?? 0;
  if (leader !== 0) return { status: 200, body: '{"health":"true","reason":""}' };
  return { status: 503, body: '{"health":"false","reason":"RAFT NO LEADER"}' };
}
