import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import {
  type MessageBatch,
  type MessagesEnd,
  type SnapshotEnd,
  type SnapshotPiece,
  type TransportServer,
  TransportService,
} from '../../proto/generated/raft/transport.ts';
import type { Logger } from '../log/logger.ts';
import type { ConfigState, Message } from './message.ts';
import { PeerLink, type PeerTls } from './peer-link.ts';
import type { PeerHandler, PeerTransport, ReceivedSnapshot } from './transport.ts';
import { fromWire } from './wire-message.ts';

/** A consistent view of the state, being read out. */
export interface StateReader {
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  read(): Promise<Buffer | undefined>;
  close(): void;
}

/** A state being received. */
export interface StateWriter extends ReceivedSnapshot {
  write(piece: Buffer): Promise<void>;
}

export interface PeerOptions {
  readonly id: number;
  readonly clusterId: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: PeerTls | undefined;
  readonly logger: Logger;
  /** The member that messages are for; undefined while it starts. */
  handler(): PeerHandler | undefined;
  /** The state of this moment, and the membership it goes with. */
  takeSnapshot(): { readonly config: ConfigState; readonly snapshot: StateReader };
  installSnapshot(): StateWriter;
  /** Seconds; 0: there is no such lease; -1: this member does not lead. */
  keepAlive(lease: bigint): number;
}

export interface PeerServer extends PeerTransport {
  readonly address: { readonly host: string; readonly port: number };
  /** Renews a lease at another member. */
  keepAlive(to: number, lease: bigint): Promise<number>;
}

/** Listens for the other members, and reaches them, over gRPC with mutual TLS. */
export async function connectPeers(options: PeerOptions): Promise<PeerServer> {
  const transport = new GrpcPeerTransport(options);
  await transport.listen();
  return transport;
}

class GrpcPeerTransport implements PeerServer {
  readonly #options: PeerOptions;
  readonly #server: Server;
  readonly #links = new Map<number, PeerLink>();
  #urls: ReadonlyMap<number, readonly string[]> = new Map();
  /** Snapshots on their way, by peer: one at a time each. */
  readonly #sending = new Set<number>();
  #receivingSnapshot = false;
  #port = 0;

  constructor(options: PeerOptions) {
    this.#options = options;
    this.#server = new Server({
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': 10_000,
    });
    this.#server.addService(TransportService, this.#service());
  }

  get address(): { host: string; port: number } {
    return { host: this.#options.listen.host, port: this.#port };
  }

  async listen(): Promise<void> {
    const { tls, listen } = this.#options;
    const credentials =
      tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(
            Buffer.from(tls.ca),
            [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }],
            true,
          );
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(`${listen.host}:${listen.port}`, credentials, (error, port) => {
        if (error !== null) reject(error);
        else resolve(port);
      });
    });
  }

  setPeers(peers: ReadonlyMap<number, readonly string[]>): void {
    this.#urls = peers;
    for (const [id, link] of this.#links) {
      if (peers.get(id)?.[0] === link.url) continue;
      link.close();
      this.#links.delete(id);
    }
  }

  send(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const byPeer = new Map<number, Message[]>();
    for (const message of messages) {
      if (message.type === 'snapshot') {
        void this.#sendSnapshot(message);
        continue;
      }
      const batch = byPeer.get(message.to);
      if (batch === undefined) byPeer.set(message.to, [message]);
      else batch.push(message);
    }
    for (const [id, batch] of byPeer) {
      if (this.#link(id)?.send(batch) === true) continue;
      // Told later: whoever sends is in the middle of its own work.
      setImmediate(() => this.#options.handler()?.unreachable(id));
    }
  }

  #link(id: number): PeerLink | undefined {
    const known = this.#links.get(id);
    if (known !== undefined) return known;
    const url = this.#urls.get(id)?.[0];
    if (url === undefined) return undefined;
    const { clusterId, tls, logger } = this.#options;
    const unreachable = () => this.#options.handler()?.unreachable(id);
    const link = new PeerLink({ id, url, clusterId, tls, logger, unreachable });
    this.#links.set(id, link);
    return link;
  }

  async #sendSnapshot(message: Message): Promise<void> {
    const { logger, handler, takeSnapshot } = this.#options;
    const { to } = message;
    const link = this.#link(to);
    if (link === undefined || this.#sending.has(to)) {
      setImmediate(() => handler()?.snapshotSent(to, false));
      return;
    }
    this.#sending.add(to);
    let delivered = false;
    const { config, snapshot } = takeSnapshot();
    try {
      // The state may have moved on since the message was made: what is sent is what there is now.
      const metadata = { index: snapshot.appliedIndex, term: snapshot.appliedTerm, config };
      logger.info({ peer: to, index: metadata.index }, 'sending a snapshot');
      await link.sendSnapshot({ ...message, snapshot: { metadata, data: Buffer.alloc(0) } }, piecesOf(snapshot));
      delivered = true;
    } catch (error) {
      logger.warn({ peer: to, err: error }, 'a snapshot could not be sent');
    } finally {
      snapshot.close();
      this.#sending.delete(to);
    }
    handler()?.snapshotSent(to, delivered);
  }

  keepAlive(to: number, lease: bigint): Promise<number> {
    return this.#link(to)?.keepAlive(lease) ?? Promise.resolve(-1);
  }

  async stop(): Promise<void> {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#server.forceShutdown();
  }

  #refuses(metadata: Metadata): { code: number; details: string } | undefined {
    if (metadata.get('balsa-cluster')[0] === this.#options.clusterId) return undefined;
    return { code: status.PERMISSION_DENIED, details: 'this is a member of another cluster' };
  }

  #service(): TransportServer {
    return {
      messages: (call, callback) => this.#receiveMessages(call, callback),
      snapshot: (call, callback) => {
        this.#receiveSnapshot(call).then(
          () => callback(null, {}),
          (error: unknown) =>
            callback({ code: status.ABORTED, details: error instanceof Error ? error.message : String(error) }),
        );
      },
      keepAlive: (call, callback) => {
        const refusal = this.#refuses(call.metadata);
        if (refusal !== undefined) callback(refusal);
        else callback(null, { ttl: BigInt(this.#options.keepAlive(call.request.lease)) });
      },
    };
  }

  #receiveMessages(call: ServerReadableStream<MessageBatch, MessagesEnd>, callback: sendUnaryData<MessagesEnd>): void {
    const refusal = this.#refuses(call.metadata);
    if (refusal !== undefined) {
      callback(refusal);
      return;
    }
    call.on('data', (batch: MessageBatch) => {
      try {
        for (const wire of batch.messages) {
          const message = fromWire(wire);
          if (message.to !== this.#options.id) continue;
          this.#links.get(message.from)?.alive();
          this.#options.handler()?.receive(message);
        }
      } catch (error) {
        this.#options.logger.error({ err: error }, 'a peer sent what is no message');
        callback({ code: status.INVALID_ARGUMENT, details: 'not a message' });
        call.destroy();
      }
    });
    call.on('end', () => callback(null, {}));
    call.on('error', () => {
      // The peer is gone; it will open another stream.
    });
  }

  async #receiveSnapshot(call: ServerReadableStream<SnapshotPiece, SnapshotEnd>): Promise<void> {
    const refusal = this.#refuses(call.metadata);
    if (refusal !== undefined) throw new Error(refusal.details);
    if (this.#receivingSnapshot) throw new Error('another snapshot is being received');
    this.#receivingSnapshot = true;
    let message: Message | undefined;
    let writer: StateWriter | undefined;
    try {
      for await (const piece of call as AsyncIterable<SnapshotPiece>) {
        if (piece.message !== undefined) {
          message = fromWire(piece.message);
          writer = this.#options.installSnapshot();
        }
        if (piece.data.length > 0) {
          if (writer === undefined) throw new Error('a snapshot begins with its message');
          await writer.write(piece.data);
        }
      }
    } catch (error) {
      writer?.discard();
      throw error;
    } finally {
      this.#receivingSnapshot = false;
    }
    const handler = this.#options.handler();
    if (message === undefined || writer === undefined || handler === undefined) {
      writer?.discard();
      throw new Error('a snapshot came without its message');
    }
    await handler.receiveSnapshot(message, writer);
  }
}

async function* piecesOf(snapshot: StateReader): AsyncGenerator<Buffer> {
  for (let piece = await snapshot.read(); piece !== undefined; piece = await snapshot.read()) yield piece;
}
