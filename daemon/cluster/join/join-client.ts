import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ClientUnaryCall, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  type ClusterSettings,
  type JoinAgentResponse,
  JoinClient,
  type JoinServerResponse,
} from '../../../proto/generated/balsa/join/v1/join.ts';
import type { Config } from '../../config/config.ts';
import { optionRows } from '../../config/options.ts';
import { parseOption } from '../../config/parse.ts';
import type { Logger } from '../../log/logger.ts';
import { createSigningRequest } from '../pki/certificate.ts';
import { agentLeafRows } from '../pki/layout.ts';
import { writePair, writeSecretFile } from '../pki/pki.ts';
import { authorityOf } from './authority-check.ts';
import { type ClusterConfig, type Membership, readMembership, writeMembership } from './membership-file.ts';
import { parseToken } from './token.ts';

/** A join waits for a change of the store's members, which needs a quorum. */
const deadlineMs = 30_000;
const defaultJoinPort = 6441;

function parseAddress(text: string): { host: string; port: number } {
  let url: URL;
  try {
    url = new URL(`balsa://${text}`);
  } catch {
    throw new Error(`--join: ${JSON.stringify(text)} is not <host>[:<port>]`);
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? defaultJoinPort : Number(url.port) };
}

/** What a server says is read by the same rules as what a user writes. */
function readSettings(settings: ClusterSettings): ClusterConfig {
  const { apiServers: _, ...written } = settings;
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(written)) {
    const row = optionRows.find((candidate) => candidate.name === name);
    if (row !== undefined) values[name] = parseOption(row, `the server's ${name}`, value);
  }
  return values as unknown as ClusterConfig;
}

const pkiDir = (config: Config): string => join(config.dataDir, 'pki');

async function joinAsAgent(config: Config, call: Caller, token: string): Promise<Membership> {
  const made = await Promise.all(
    agentLeafRows.map(async ({ name, commonName }) => ({
      name,
      ...(await createSigningRequest(commonName(config.nodeName))),
    })),
  );
  const reply = await call<JoinAgentResponse>((client, done) =>
    client.joinAgent(
      {
        token,
        nodeName: config.nodeName,
        nodeIp: config.nodeIp,
        requests: made.map(({ name, csr }) => ({ name, csr })),
      },
      new Metadata(),
      { deadline: Date.now() + deadlineMs },
      done,
    ),
  );
  if (reply.settings === undefined) throw new Error('the server names no settings of the cluster');
  for (const { name, key } of made) {
    const cert = reply.certificates.find((certificate) => certificate.name === name)?.cert;
    if (cert === undefined) throw new Error(`the server sent no certificate ${name}: is it of an older version?`);
    writePair(pkiDir(config), name, { cert, key });
  }
  writeSecretFile(join(pkiDir(config), 'ca.crt'), reply.ca);
  return {
    role: config.role,
    nodeName: config.nodeName,
    nodeIp: config.nodeIp,
    settings: readSettings(reply.settings),
    apiServers: reply.settings.apiServers,
  };
}

async function joinAsServer(config: Config, call: Caller, token: string): Promise<Membership> {
  const reply = await call<JoinServerResponse>((client, done) =>
    client.joinServer(
      {
        token,
        nodeName: config.nodeName,
        nodeIp: config.nodeIp,
        peerUrl: `https://${config.nodeIp}:${config.storePeerPort}`,
      },
      new Metadata(),
      { deadline: Date.now() + deadlineMs },
      done,
    ),
  );
  if (reply.settings === undefined) throw new Error('the server names no settings of the cluster');
  for (const { path, text } of reply.files) {
    if (!/^([a-z-]+\/)?[a-z-]+\.(crt|key|pub)$/.test(path))
      throw new Error(`the server names a file ${JSON.stringify(path)} that is none of ours`);
    writeSecretFile(join(pkiDir(config), path), text);
  }
  return {
    role: config.role,
    nodeName: config.nodeName,
    nodeIp: config.nodeIp,
    settings: readSettings(reply.settings),
    apiServers: reply.settings.apiServers,
    store: {
      memberId: Number(reply.memberId),
      clusterId: String(reply.clusterId),
      members: reply.members.map(({ id, name, peerUrls }) => ({ id: Number(id), name, peerUrls })),
    },
  };
}

type Caller = <Out>(
  send: (client: JoinClient, done: (error: ServiceError | null, reply: Out) => void) => ClientUnaryCall,
) => Promise<Out>;

async function enrol(config: Config, logger: Logger): Promise<Membership> {
  const token = parseToken(config.token);
  const address = parseAddress(config.join);
  const ca = await authorityOf(address, token.authorityHash);
  const client = new JoinClient(`${address.host}:${address.port}`, credentials.createSsl(Buffer.from(ca)), {
    'grpc.ssl_target_name_override': 'balsa-control',
  });
  const call: Caller = (send) =>
    new Promise((resolve, reject) => {
      send(client, (error, reply) => (error === null ? resolve(reply) : reject(new Error(error.details))));
    });
  try {
    logger.info({ server: config.join, role: config.role }, 'joining');
    const secret = `${token.id}.${token.secret}`;
    return await (config.role.includes('server')
      ? joinAsServer(config, call, secret)
      : joinAsAgent(config, call, secret));
  } finally {
    client.close();
  }
}

/**
 * The cluster this node belongs to by having joined it: from its data directory, or, at the first start, by joining now as
 * the configuration says. Undefined when it has a cluster of its own. Throws an Error that says what to do.
 */
export async function joinedCluster(config: Config, logger: Logger): Promise<Membership | undefined> {
  const known = readMembership(config.dataDir);
  if (known !== undefined) {
    for (const name of ['nodeName', 'nodeIp'] as const)
      if (known[name] !== config[name])
        throw new Error(
          `this node joined its cluster with the ${name} ${known[name]}, and now has ${config[name]}: say --${name === 'nodeName' ? 'node-name' : 'node-ip'} ${known[name]}, or run balsad --clean and join again`,
        );
    return known;
  }
  if (config.join === '') {
    if (config.role.includes('server')) return undefined;
    throw new Error('an agent needs a cluster: balsad join <server> --token <token>');
  }
  if (existsSync(join(config.dataDir, 'store')))
    throw new Error(
      `${config.dataDir} holds a cluster of its own: run balsad --clean first, or choose another --data-dir`,
    );
  if (config.token === '')
    throw new Error('--join needs a --token: make one with `balsactl token create` on a server of the cluster');
  let membership: Membership;
  try {
    membership = await enrol(config, logger);
  } catch (error) {
    throw new Error(`cannot join ${config.join}: ${(error as Error).message}`);
  }
  // Last: with this file the node counts as joined.
  writeMembership(config.dataDir, membership);
  logger.info({ apiServers: membership.apiServers }, 'joined');
  return membership;
}
