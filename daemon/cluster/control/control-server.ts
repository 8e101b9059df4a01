import { X509Certificate } from 'node:crypto';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import {
  type ControlServer,
  ControlService,
  type LogsRequest,
} from '../../../proto/generated/balsa/control/v1/control.ts';
import { ApiError, apiError } from '../../apimachinery/api-error.ts';
import type { Identity } from '../../client/api-client.ts';
import type { Logger } from '../../log/logger.ts';
import type { RunningStore } from '../../store/embedded.ts';
import { GrpcError } from '../../store/grpc/status.ts';
import { StoreError } from '../../store/store.ts';
import { createToken, deleteToken, listTokens } from '../join/bootstrap-tokens.ts';
import { authorityHash, formatToken } from '../join/token.ts';
import { promoteMember, removeMember, transferLeader } from './members.ts';
import { applyObjects, deleteObjects, getObjects, patchObject, watchObjects } from './objects.ts';
import { createRestCallers, type RestCaller, type RestEndpoint } from './rest-caller.ts';
import { clusterStatus } from './status.ts';

export interface ControlServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string };
  readonly api: RestEndpoint;
  readonly store: RunningStore;
  /** Where nodes join, `<host>:<port>`. */
  readonly joinAddress: string;
  readonly version: string;
  readonly logger: Logger;
}

/** HTTP status of the Kubernetes API to the gRPC code that means the same. */
const grpcCodes: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  409: status.ABORTED,
  410: status.OUT_OF_RANGE,
  422: status.INVALID_ARGUMENT,
  429: status.RESOURCE_EXHAUSTED,
  503: status.UNAVAILABLE,
  504: status.DEADLINE_EXCEEDED,
};

function toServiceError(error: unknown, logger: Logger): Partial<ServiceError> {
  if (error instanceof ApiError) return { code: grpcCodes[error.code] ?? status.UNKNOWN, details: error.message };
  if (error instanceof GrpcError || error instanceof StoreError)
    return { code: status.FAILED_PRECONDITION, details: error.message.replace(/^etcdserver: /, '') };
  logger.error({ err: error }, 'a control call failed');
  return { code: status.INTERNAL, details: error instanceof Error ? error.message : String(error) };
}

interface AuthenticatedCall {
  getAuthContext(): { sslPeerCertificate?: { subject: { CN?: string | string[]; O?: string | string[] } } };
}

/** The caller is the subject of its certificate, as the Kubernetes API reads it. */
function callerIdentity(call: AuthenticatedCall): Identity {
  const subject = call.getAuthContext().sslPeerCertificate?.subject;
  const name = [subject?.CN ?? []].flat()[0];
  if (name === undefined)
    throw new ApiError({
      code: 401,
      reason: 'Unauthorized',
      message: 'the client certificate names no user',
      metadata: {},
    });
  return { name, groups: [...[subject?.O ?? []].flat(), 'system:authenticated'] };
}

async function* podLogs(caller: RestCaller, request: LogsRequest, signal: AbortSignal): AsyncIterable<Buffer> {
  const path = `/api/v1/namespaces/${encodeURIComponent(request.namespace || 'default')}/pods/${encodeURIComponent(request.pod)}/log`;
  const query = {
    container: request.container || undefined,
    follow: request.follow ? 'true' : undefined,
    previous: request.previous ? 'true' : undefined,
    timestamps: request.timestamps ? 'true' : undefined,
    tailLines: request.tailLines?.toString(),
    sinceSeconds: request.sinceSeconds?.toString(),
  };
  const { body } = await caller.stream({ method: 'GET', path, query, accept: '*/*', signal });
  for await (const chunk of body) yield chunk as Buffer;
}

/** Serves `balsa.control.v1` over mTLS. Every call acts as the certificate's subject, through the Kubernetes API. */
export async function startControlServer(
  options: ControlServerOptions,
): Promise<{ port: number; stop(): Promise<void> }> {
  const { logger, store, version } = options;
  const callers = createRestCallers(options.api);
  const hash = authorityHash(new X509Certificate(options.tls.clientCa));

  const unary =
    <In, Out>(handle: (caller: RestCaller, request: In) => Promise<Out>) =>
    (call: ServerUnaryCall<In, Out>, callback: sendUnaryData<Out>): void => {
      Promise.resolve()
        .then(() => handle(callers.as(callerIdentity(call as unknown as AuthenticatedCall)), call.request))
        .then(
          (reply) => callback(null, reply),
          (error: unknown) => callback(toServiceError(error, logger)),
        );
    };

  /** The store knows no users: its members are the administrators' business. */
  const administrative =
    <In, Out>(handle: (request: In) => Promise<Out>) =>
    (call: ServerUnaryCall<In, Out>, callback: sendUnaryData<Out>): void => {
      unary<In, Out>((_, request) => {
        const { name, groups } = callerIdentity(call as unknown as AuthenticatedCall);
        if (!groups.includes('system:masters'))
          throw apiError('Forbidden', `user ${JSON.stringify(name)} cannot change the members of the store`);
        return handle(request);
      })(call, callback);
    };

  const streaming =
    <In, Out>(handle: (caller: RestCaller, request: In, signal: AbortSignal) => AsyncIterable<Out>) =>
    async (call: ServerWritableStream<In, Out>): Promise<void> => {
      const ended = new AbortController();
      call.on('cancelled', () => ended.abort());
      try {
        for await (const reply of handle(
          callers.as(callerIdentity(call as unknown as AuthenticatedCall)),
          call.request,
          ended.signal,
        ))
          if (!call.write(reply) && !ended.signal.aborted)
            await new Promise((resume) => call.once('drain', resume).once('cancelled', resume));
        call.end();
      } catch (error) {
        if (!ended.signal.aborted) call.emit('error', toServiceError(error, logger));
      }
    };

  const handlers: ControlServer = {
    status: unary((caller) => clusterStatus(caller, store.store, version)),
    get: unary(getObjects),
    watch: streaming(async function* (caller, request, signal) {
      for await (const event of watchObjects(caller, request, signal)) yield { event };
    }),
    apply: streaming(applyObjects),
    patch: unary(patchObject),
    delete: unary(async (caller, request) => ({ objects: await deleteObjects(caller, request) })),
    logs: streaming(async function* (caller, request, signal) {
      for await (const chunk of podLogs(caller, request, signal)) yield { chunk };
    }),
    createToken: unary(async (caller, { role, ttlSeconds, description }) => {
      const made = await createToken(caller, { role, ttlSeconds: Number(ttlSeconds), description });
      return { token: formatToken({ ...made, authorityHash: hash }), address: options.joinAddress };
    }),
    listTokens: unary(async (caller) => ({
      tokens: (await listTokens(caller)).map(({ expires, ...token }) => ({
        ...token,
        expiresUnixSeconds: BigInt(Math.floor((expires?.getTime() ?? 0) / 1000)),
      })),
    })),
    deleteToken: unary(async (caller, { id }) => {
      await deleteToken(caller, id);
      return {};
    }),
    removeMember: administrative(({ member }) => removeMember(store, member)),
    promoteMember: administrative(({ member }) => promoteMember(store, member)),
    transferLeader: administrative(({ member }) => transferLeader(store, member)),
  };

  const server = new Server();
  server.addService(ControlService, handlers);
  const { tls, listen } = options;
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
  const credentials = ServerCredentials.createSsl(Buffer.from(tls.clientCa), [pair], true);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${listen.host}:${listen.port}`, credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  logger.info({ port }, 'control API serving');
  return {
    port,
    async stop() {
      await new Promise<void>((resolve) => {
        const force = setTimeout(() => server.forceShutdown(), 1000);
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      });
      callers.close();
    },
  };
}
