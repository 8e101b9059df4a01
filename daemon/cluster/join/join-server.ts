import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  type ClusterSettings,
  type JoinAgentRequest,
  type JoinAgentResponse,
  type JoinServer as JoinHandlers,
  type JoinServerRequest,
  type JoinServerResponse,
  JoinService,
} from '../../../proto/generated/balsa/join/v1/join.ts';
import { isApiError } from '../../apimachinery/api-error.ts';
import { endpointslices, nodes } from '../../apimachinery/types/resources.ts';
import type { ApiClient } from '../../client/api-client.ts';
import type { Config } from '../../config/config.ts';
import type { Logger } from '../../log/logger.ts';
import type { RunningStore } from '../../store/embedded.ts';
import { GrpcError } from '../../store/grpc/status.ts';
import type { Member } from '../../store/store.ts';
import { sign } from '../pki/certificate.ts';
import { type AgentLeafRow, agentLeafRows, authorityRows } from '../pki/layout.ts';
import { leafDays, type Pki } from '../pki/pki.ts';
import { apiServersOf } from './api-servers.ts';
import { admittedRole } from './bootstrap-tokens.ts';
import type { TokenRole } from './token.ts';

export interface JoinServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly config: Config;
  readonly pki: Pki;
  /** May read Secrets in kube-system, Nodes and EndpointSlices. */
  readonly client: ApiClient;
  readonly store: RunningStore;
  readonly logger: Logger;
}

/** A refusal that the node's user is to read. */
class Refusal extends Error {
  readonly code: status;
  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

class Joins {
  readonly #options: JoinServerOptions;

  constructor(options: JoinServerOptions) {
    this.#options = options;
  }

  async agent(request: JoinAgentRequest): Promise<JoinAgentResponse> {
    await this.#admit('agent', request);
    const { pki } = this.#options;
    const certificates = await Promise.all(
      request.requests.map(async ({ name, csr }) => {
        const row: AgentLeafRow | undefined = agentLeafRows.find((candidate) => candidate.name === name);
        if (row === undefined) throw new Refusal(status.INVALID_ARGUMENT, `no agent has a certificate ${name}`);
        const leaf = {
          commonName: row.commonName(request.nodeName),
          organizations: row.organizations,
          names: row.serves ? [request.nodeName, request.nodeIp] : [],
          usages: row.serves ? (['server', 'client'] as const) : (['client'] as const),
          days: leafDays,
        };
        try {
          return { name, cert: await sign(pki.authorities.ca, csr, leaf, new Date()) };
        } catch (error) {
          throw new Refusal(status.INVALID_ARGUMENT, `certificate request ${name}: ${(error as Error).message}`);
        }
      }),
    );
    return { settings: await this.#settings(), ca: pki.authorities.ca.cert, certificates };
  }

  async server(request: JoinServerRequest): Promise<JoinServerResponse> {
    await this.#admit('server', request);
    const { membership, store, clusterId } = this.#options.store;
    // What a join left behind that was cut off: a member that has never started.
    for (const member of await store.members()) {
      if (!member.peerUrls.includes(request.peerUrl)) continue;
      if (member.name !== '')
        throw new Refusal(
          status.ALREADY_EXISTS,
          `${request.peerUrl} is that of the member ${member.name}: if it is gone for good, \`balsactl member remove ${member.name}\` first`,
        );
      await membership.remove(member.id);
    }
    let added: Member;
    try {
      added = await membership.add([request.peerUrl], true);
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      // Most often: another server is still a learner.
      throw new Refusal(
        status.FAILED_PRECONDITION,
        `${error.message.replace(/^etcdserver: /, '')}; see \`balsactl member list\``,
      );
    }
    const members = (await store.members()).map(({ id, name, peerUrls }) => ({ id, name, peerUrls: [...peerUrls] }));
    return { settings: await this.#settings(), memberId: added.id, clusterId, members, files: this.#files() };
  }

  /** Refuses who holds no fitting token, and names and addresses by which a node could pass for another or for a server. */
  async #admit(role: TokenRole, node: { token: string; nodeName: string; nodeIp: string }): Promise<void> {
    const { client, pki, logger } = this.#options;
    const token = await admittedRole(client, node.token);
    if (token === undefined) {
      logger.warn({ node: node.nodeName, address: node.nodeIp }, 'a join without a good token was refused');
      throw new Refusal(
        status.UNAUTHENTICATED,
        'the token is not known or has expired: make another with `balsactl token create`',
      );
    }
    if (token.role !== role && token.role !== 'server')
      throw new Refusal(
        status.PERMISSION_DENIED,
        `this token is for an agent: make one with \`balsactl token create --role ${role}\``,
      );
    const { nodeName, nodeIp } = node;
    if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(nodeName) || nodeName.length > 253)
      throw new Refusal(status.INVALID_ARGUMENT, `node name ${JSON.stringify(nodeName)} is not a DNS-1123 subdomain`);
    if (isIP(nodeIp) === 0) throw new Refusal(status.INVALID_ARGUMENT, `node address ${nodeIp} is not an IP address`);
    const ours = [pki.leaves.apiserver, pki.leaves.control].map(({ cert }) => new X509Certificate(cert));
    if (ours.some((certificate) => certificate.checkHost(nodeName) !== undefined))
      throw new Refusal(status.ALREADY_EXISTS, `the name ${nodeName} is a server's: choose another with --node-name`);
    if (ours.some((certificate) => certificate.checkIP(nodeIp) !== undefined))
      throw new Refusal(status.ALREADY_EXISTS, `the address ${nodeIp} is a server's: say your own with --node-ip`);
    for (const present of (await client.list(nodes)).items) {
      const ready = present.status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True');
      if (present.metadata?.name === nodeName && ready)
        throw new Refusal(
          status.ALREADY_EXISTS,
          `a node ${nodeName} is in the cluster and Ready: choose another --node-name, or delete that node first`,
        );
      const addresses = (present.status?.addresses ?? []).map(({ address }) => address);
      if (present.metadata?.name !== nodeName && addresses.includes(nodeIp))
        throw new Refusal(status.ALREADY_EXISTS, `the address ${nodeIp} is that of the node ${present.metadata?.name}`);
    }
    logger.info({ node: nodeName, address: nodeIp, role, token: token.id }, 'a node joins');
  }

  async #settings(): Promise<ClusterSettings> {
    const { config, client } = this.#options;
    const slices = await client.list(endpointslices, { namespace: 'default' });
    const own = `https://${config.nodeIp.includes(':') ? `[${config.nodeIp}]` : config.nodeIp}:${config.apiPort}`;
    return {
      podCidr: config.podCidr,
      nodeCidrMaskSize: config.nodeCidrMaskSize,
      serviceCidr: config.serviceCidr,
      nodePortRange: `${config.nodePortRange.from}-${config.nodePortRange.to}`,
      clusterDomain: config.clusterDomain,
      clusterDns: config.clusterDns,
      // This one answers, whatever the endpoints say.
      apiServers: [...new Set([own, ...apiServersOf(slices.items)])],
    };
  }

  #files(): { path: string; text: string }[] {
    const { authorities, serviceAccount } = this.#options.pki;
    return [
      ...authorityRows.flatMap(({ name }) => [
        // The key goes first: a certificate without its key would look complete.
        { path: `${name}.key`, text: authorities[name].key },
        { path: `${name}.crt`, text: authorities[name].cert },
      ]),
      { path: 'sa.key', text: serviceAccount.privateKey },
      { path: 'sa.pub', text: serviceAccount.publicKey },
    ];
  }
}

/** Serves `balsa.join.v1`: TLS, with the authority in the chain, and no client certificate: a token admits the caller. */
export async function startJoinServer(options: JoinServerOptions): Promise<{ port: number; stop(): Promise<void> }> {
  const { listen, pki, logger } = options;
  const joins = new Joins(options);
  const unary =
    <In, Out>(handle: (request: In) => Promise<Out>) =>
    (call: ServerUnaryCall<In, Out>, callback: sendUnaryData<Out>): void => {
      handle(call.request).then(
        (reply) => callback(null, reply),
        (error: unknown) => {
          if (error instanceof Refusal) return callback({ code: error.code, details: error.message });
          logger.error({ err: error }, 'a join failed');
          const details = error instanceof Error ? error.message : String(error);
          callback({ code: isApiError(error) ? status.UNAVAILABLE : status.INTERNAL, details });
        },
      );
    };
  const handlers: JoinHandlers = {
    joinAgent: unary((request: JoinAgentRequest) => joins.agent(request)),
    joinServer: unary((request: JoinServerRequest) => joins.server(request)),
  };
  const server = new Server({ 'grpc.max_receive_message_length': 256 * 1024 });
  server.addService(JoinService, handlers);
  const { cert, key } = pki.leaves.control;
  const chain = { cert_chain: Buffer.from(`${cert}${pki.authorities.ca.cert}`), private_key: Buffer.from(key) };
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      `${listen.host}:${listen.port}`,
      ServerCredentials.createSsl(null, [chain], false),
      (error, bound) => (error === null ? resolve(bound) : reject(error)),
    ),
  );
  logger.info({ port }, 'nodes may join');
  return {
    port,
    async stop() {
      server.forceShutdown();
    },
  };
}
