import { type ChannelCredentials, Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  AuthenticateRequest,
  AuthenticateResponse,
  CompactionRequest,
  CompactionResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  type LeaseKeepAliveResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  MemberListRequest,
  MemberListResponse,
  type SnapshotResponse,
  StatusRequest,
  StatusResponse,
} from '../../proto/generated/etcd/messages.ts';
import { LeaseClient, MaintenanceClient, WatchClient } from '../../proto/generated/etcd/rpc.ts';
import type { Logger } from '../log/logger.ts';
import {
  decodeDeleteRange,
  decodePut,
  decodeRange,
  decodeTxn,
  encodeDeleteRange,
  encodePut,
  encodeRange,
  encodeTxn,
} from './etcd-messages.ts';
import { ExternalWatches } from './external-watch.ts';
import type {
  DeleteRangeRequest,
  KeyValue,
  LeaseStatus,
  Member,
  PutRequest,
  RangeRequest,
  RangeResult,
  Store,
  StoreErrorCode,
  StoreStatus,
  TxnRequest,
  TxnResult,
  Watcher,
  WatchHandler,
  WatchRequest,
} from './store.ts';
import { StoreError } from './store.ts';
import { storeError, storeErrorTable } from './store-error-table.ts';

export interface ExternalStoreOptions {
  /** `host:port` or URLs; several are tried in turn. */
  readonly endpoints: readonly string[];
  /** PEM. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
  readonly credentials?: { readonly user: string; readonly password: string };
  /** Milliseconds one request may take (default 7000). */
  readonly timeout?: number;
  readonly logger: Logger;
}

const codesByMessage = new Map(
  Object.entries(storeErrorTable).map(([code, { message }]) => [message, code as StoreErrorCode]),
);
const codesByStatus = new Map<number, StoreErrorCode>([
  [status.UNAVAILABLE, 'unavailable'],
  [status.DEADLINE_EXCEEDED, 'timeout'],
  [status.INVALID_ARGUMENT, 'invalid_argument'],
  [status.RESOURCE_EXHAUSTED, 'too_many_requests'],
  [status.DATA_LOSS, 'corrupt'],
]);

/** What a failed call means in the seam's terms: by etcd's words, else by the status. */
export function asStoreError(error: ServiceError): StoreError {
  const code = codesByMessage.get(error.details) ?? codesByStatus.get(error.code) ?? 'unavailable';
  return new StoreError(code, error.details || error.message);
}

type Encoder<T> = (message: T) => Buffer;
const asBuffer: Encoder<Uint8Array> = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const asIs = (bytes: Buffer) => bytes;

/** Calls on one channel, with a user's token where there is one. */
class EtcdChannel {
  readonly client: Client;
  readonly lease: LeaseClient;
  readonly watch: WatchClient;
  readonly maintenance: MaintenanceClient;
  metadata = new Metadata();
  readonly #options: ExternalStoreOptions;

  constructor(options: ExternalStoreOptions) {
    this.#options = options;
    const { tls } = options;
    const channel: ChannelCredentials =
      tls === undefined
        ? credentials.createInsecure()
        : credentials.createSsl(
            Buffer.from(tls.ca),
            tls.key === undefined ? null : Buffer.from(tls.key),
            tls.cert === undefined ? null : Buffer.from(tls.cert),
          );
    const settings = {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
    };
    const hosts = options.endpoints.map((endpoint) => endpoint.replace(/^https?:\/\//, '').replace(/\/$/, ''));
    const addresses = hosts.every((host) => /^[\d.]+:\d+$/.test(host));
    // Several numeric addresses are one target, which moves on when one fails; a name is resolved to all its addresses.
    const target = addresses ? `ipv4:${hosts.join(',')}` : (hosts[0] ?? '');
    this.client = new Client(target, channel, settings);
    const shared = { ...settings, channelOverride: this.client.getChannel() };
    this.lease = new LeaseClient(target, channel, shared);
    this.watch = new WatchClient(target, channel, shared);
    this.maintenance = new MaintenanceClient(target, channel, shared);
  }

  async authenticate(): Promise<void> {
    const { credentials: login } = this.#options;
    if (login === undefined) return;
    const request = AuthenticateRequest.encode({ name: login.user, password: login.password }).finish();
    const response = await this.#once('/etcdserverpb.Auth/Authenticate', request);
    this.metadata = new Metadata();
    this.metadata.set('token', AuthenticateResponse.decode(response).token);
  }

  /** An encoded request to an encoded response. A token that has run out is renewed once. */
  async call(path: string, request: Uint8Array): Promise<Buffer> {
    try {
      return await this.#once(path, request);
    } catch (error) {
      const { code } = error as ServiceError;
      if (code !== status.UNAUTHENTICATED || this.#options.credentials === undefined) {
        throw asStoreError(error as ServiceError);
      }
      await this.authenticate();
      return this.#once(path, request).catch((again: ServiceError) => {
        throw asStoreError(again);
      });
    }
  }

  #once(path: string, request: Uint8Array): Promise<Buffer> {
    const deadline = Date.now() + (this.#options.timeout ?? 7000);
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(path, asBuffer, asIs, request, this.metadata, { deadline }, (error, response) => {
        if (error !== null) reject(error);
        else resolve(response!);
      });
    });
  }

  close(): void {
    this.lease.close();
    this.watch.close();
    this.maintenance.close();
    this.client.close();
  }
}

/**
 * The `Store` seam on an etcd v3 cluster that stands elsewhere. Nobody leads in it as far as this process is concerned:
 * `isLeader` is true on every node that uses it, unless `leadership` decides otherwise.
 */
export class ExternalStore implements Store {
  readonly #channel: EtcdChannel;
  readonly #watches: ExternalWatches;

  constructor(options: ExternalStoreOptions) {
    this.#channel = new EtcdChannel(options);
    this.#watches = new ExternalWatches(() => this.#channel.watch.watch(this.#channel.metadata), options.logger);
  }

  /** Logs in, if there is a user to log in as, and makes sure that somebody answers. */
  async connect(): Promise<void> {
    await this.#channel.authenticate();
    await this.status();
  }

  async range(request: RangeRequest): Promise<RangeResult> {
    return decodeRange(await this.#channel.call('/etcdserverpb.KV/Range', encodeRange(request)));
  }

  async put(request: PutRequest): Promise<{ revision: number; prevKv?: KeyValue }> {
    return decodePut(await this.#channel.call('/etcdserverpb.KV/Put', encodePut(request)));
  }

  async deleteRange(
    request: DeleteRangeRequest,
  ): Promise<{ revision: number; deleted: number; prevKvs: readonly KeyValue[] }> {
    const response = await this.#channel.call('/etcdserverpb.KV/DeleteRange', encodeDeleteRange(request));
    return decodeDeleteRange(response);
  }

  async txn(request: TxnRequest): Promise<TxnResult> {
    return decodeTxn(await this.#channel.call('/etcdserverpb.KV/Txn', encodeTxn(request)));
  }

  async watch(request: WatchRequest, handler: WatchHandler): Promise<Watcher> {
    if (request.key.length === 0) throw storeError('empty_key');
    return this.#watches.start(request, handler);
  }

  async compact(revision: number): Promise<void> {
    const request = CompactionRequest.encode({ revision: BigInt(revision), physical: false }).finish();
    CompactionResponse.decode(await this.#channel.call('/etcdserverpb.KV/Compact', request));
  }

  async leaseGrant(ttlSeconds: number, id = 0n): Promise<{ id: bigint; ttl: number }> {
    const request = LeaseGrantRequest.encode({ TTL: BigInt(Math.trunc(ttlSeconds)), ID: id }).finish();
    const response = LeaseGrantResponse.decode(await this.#channel.call('/etcdserverpb.Lease/LeaseGrant', request));
    return { id: response.ID, ttl: Number(response.TTL) };
  }

  async leaseRevoke(id: bigint): Promise<void> {
    const request = LeaseRevokeRequest.encode({ ID: id }).finish();
    LeaseRevokeResponse.decode(await this.#channel.call('/etcdserverpb.Lease/LeaseRevoke', request));
  }

  leaseKeepAlive(id: bigint): Promise<{ ttl: number }> {
    return new Promise((resolve, reject) => {
      const call = this.#channel.lease.leaseKeepAlive(this.#channel.metadata, { deadline: Date.now() + 7000 });
      call.on('data', (response: LeaseKeepAliveResponse) => {
        call.end();
        const ttl = Number(response.TTL);
        if (ttl <= 0) reject(storeError('lease_not_found'));
        else resolve({ ttl });
      });
      call.on('error', (error: ServiceError) => reject(asStoreError(error)));
      call.write({ ID: id });
    });
  }

  async leaseTimeToLive(id: bigint, keys: boolean): Promise<LeaseStatus> {
    const request = LeaseTimeToLiveRequest.encode({ ID: id, keys }).finish();
    const response = LeaseTimeToLiveResponse.decode(
      await this.#channel.call('/etcdserverpb.Lease/LeaseTimeToLive', request),
    );
    return { id, ttl: Number(response.TTL), grantedTtl: Number(response.grantedTTL), keys: response.keys };
  }

  async leases(): Promise<readonly bigint[]> {
    const request = LeaseLeasesRequest.encode({}).finish();
    const response = await this.#channel.call('/etcdserverpb.Lease/LeaseLeases', request);
    return LeaseLeasesResponse.decode(response).leases.map(({ ID }) => ID);
  }

  async *snapshot(): AsyncIterable<Buffer> {
    const call = this.#channel.maintenance.snapshot({}, this.#channel.metadata);
    try {
      for await (const response of call as AsyncIterable<SnapshotResponse>) yield response.blob;
    } catch (error) {
      throw asStoreError(error as ServiceError);
    } finally {
      call.cancel();
    }
  }

  async members(): Promise<readonly Member[]> {
    const request = MemberListRequest.encode({ linearizable: true }).finish();
    const response = await this.#channel.call('/etcdserverpb.Cluster/MemberList', request);
    return MemberListResponse.decode(response).members.map((member) => ({
      id: member.ID,
      name: member.name,
      peerUrls: member.peerURLs,
      clientUrls: member.clientURLs,
      isLearner: member.isLearner,
    }));
  }

  async status(): Promise<StoreStatus> {
    const request = StatusRequest.encode({}).finish();
    const response = StatusResponse.decode(await this.#channel.call('/etcdserverpb.Maintenance/Status', request));
    return {
      version: response.version,
      clusterId: response.header?.clusterId ?? 0n,
      memberId: response.header?.memberId ?? 0n,
      revision: Number(response.header?.revision ?? 0n),
      // Not told by etcd.
      compactRevision: 0,
      leader: response.leader,
      raftIndex: Number(response.raftIndex),
      raftTerm: Number(response.raftTerm),
      raftAppliedIndex: Number(response.raftAppliedIndex),
      dbSize: Number(response.dbSize),
      dbSizeInUse: Number(response.dbSizeInUse),
      isLearner: response.isLearner,
      errors: response.errors,
    };
  }

  isLeader(): boolean {
    return true;
  }

  onLeadership(_listener: (leader: boolean) => void): () => void {
    return () => {};
  }

  async stop(): Promise<void> {
    this.#watches.close();
    this.#channel.close();
  }
}
