import {
  LeaderAnswer,
  LeaderQuestion,
  MessageBatch,
  MessagesEnd,
  SnapshotEnd,
  SnapshotPiece,
} from '../../proto/generated/raft/messages.ts';
import type { Logger } from '../log/logger.ts';
import { type Caller, type GrpcCall, type GrpcMethod, type GrpcServer, startGrpcServer } from '../store/grpc/server.ts';
import { GrpcError } from '../store/grpc/status.ts';
import { grpcStatus } from '../store/store-error-table.ts';
import type { ConfigState, Message } from './message.ts';
import { clusterHeader, PeerLink, type PeerTls, transportPath } from './peer-link.ts';
import type { PeerHandler, PeerTransport, ReceivedSnapshot } from './transport.ts';
import { fromWire } from './wire-message.ts';

/** Bytes one message between members may have: a batch of appends, or a piece of a snapshot. */
const maxMessageBytes = 512 * 1024 * 1024;

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
  /** What only the leader knows; -1: this member does not lead. */
  answer(question: LeaderQuestion): number;
}

export interface PeerServer extends PeerTransport {
  readonly address: { readonly host: string; readonly port: number };
  /** Asks another member what only the leader knows; -1 when it does not lead. */
  ask(to: number, question: LeaderQuestion): Promise<number>;
}

/** Listens for the other members, and reaches them, over gRPC with mutual TLS. */
export async function connectPeers(options: PeerOptions): Promise<PeerServer> {
  const transport = new GrpcPeerTransport(options);
  await transport.listen();
  return transport;
}

class GrpcPeerTransport implements PeerServer {
  readonly #options: PeerOptions;
  #server: GrpcServer | undefined;
  readonly #links = new Map<number, PeerLink>();
  #urls: ReadonlyMap<number, readonly string[]> = new Map();
  /** Snapshots on their way, by peer: one at a time each. */
  readonly #sending = new Set<number>();
  #receivingSnapshot = false;

  constructor(options: PeerOptions) {
    this.#options = options;
  }

  get address(): { host: string; port: number } {
    return this.#server!.address;
  }

  async listen(): Promise<void> {
    const { tls, listen, logger } = this.#options;
    const methods = new Map<string, GrpcMethod>([
      [`${transportPath}/Messages`, { stream: (call) => this.#receiveMessages(call) }],
      [`${transportPath}/Snapshot`, { stream: (call) => this.#receiveSnapshot(call) }],
      [`${transportPath}/Ask`, { unary: (request, caller) => this.#answer(request, caller) }],
    ]);
    this.#server = await startGrpcServer({
      ...listen,
      tls,
      methods,
      maxMessageBytes,
      plain: () => undefined,
      logger,
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

  ask(to: number, question: LeaderQuestion): Promise<number> {
    return this.#link(to)?.ask(question) ?? Promise.resolve(-1);
  }

  async stop(): Promise<void> {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    await this.#server?.stop();
  }

  #admit(caller: Caller): void {
    if (caller.headers[clusterHeader] === this.#options.clusterId) return;
    throw new GrpcError(grpcStatus.permissionDenied, 'this is a member of another cluster');
  }

  #answer(request: Buffer, caller: Caller): Uint8Array {
    this.#admit(caller);
    const value = this.#options.answer(LeaderQuestion.decode(request));
    return LeaderAnswer.encode({ value: BigInt(value) }).finish();
  }

  #receiveMessages(call: GrpcCall): void {
    call.onMessage = (bytes) => {
      try {
        this.#admit(call.caller);
        for (const wire of MessageBatch.decode(bytes).messages) {
          const message = fromWire(wire);
          if (message.to !== this.#options.id) continue;
          this.#links.get(message.from)?.alive();
          this.#options.handler()?.receive(message);
        }
      } catch (error) {
        this.#options.logger.error({ err: error }, 'a peer sent what cannot be taken');
        call.end(error);
      }
    };
    call.onEnd = () => {
      call.send(MessagesEnd.encode({}).finish());
      call.end();
    };
  }

  #receiveSnapshot(call: GrpcCall): void {
    let message: Message | undefined;
    let writer: StateWriter | undefined;
    let over = false;
    // Pieces are written in order, and the peer is held back while more than a few wait for the disk.
    let writing: Promise<void> = Promise.resolve();
    let waiting = 0;
    const finish = (error?: unknown) => {
      if (over) return;
      over = true;
      this.#receivingSnapshot = false;
      if (error === undefined) call.send(SnapshotEnd.encode({}).finish());
      else writer?.discard();
      call.end(error);
    };
    try {
      this.#admit(call.caller);
      if (this.#receivingSnapshot) throw new GrpcError(grpcStatus.unavailable, 'another snapshot is being received');
    } catch (error) {
      over = true;
      call.end(error);
      return;
    }
    this.#receivingSnapshot = true;
    const take = async (bytes: Buffer) => {
      const piece = SnapshotPiece.decode(bytes);
      if (piece.message !== undefined) {
        message = fromWire(piece.message);
        writer = this.#options.installSnapshot();
      }
      if (piece.data.length === 0) return;
      if (writer === undefined) throw new GrpcError(grpcStatus.invalidArgument, 'a snapshot begins with its message');
      await writer.write(piece.data);
    };
    call.onMessage = (bytes) => {
      if (++waiting > 4) call.pause();
      writing = writing
        .then(() => (over ? undefined : take(bytes)))
        .catch(finish)
        .finally(() => {
          if (--waiting <= 4) call.resume();
        });
    };
    call.onEnd = () => {
      writing = writing.then(async () => {
        const handler = this.#options.handler();
        if (over) return;
        if (message === undefined || writer === undefined || handler === undefined) {
          throw new GrpcError(grpcStatus.invalidArgument, 'a snapshot came without its message');
        }
        await handler.receiveSnapshot(message, writer);
        // From here on it belongs to the member.
        writer = undefined;
      });
      writing.then(() => finish(), finish);
    };
    call.onClose = () => {
      if (!over) writing = writing.finally(() => finish(new Error('the peer has gone')));
    };
  }
}

async function* piecesOf(snapshot: StateReader): AsyncGenerator<Buffer> {
  for (let piece = await snapshot.read(); piece !== undefined; piece = await snapshot.read()) yield piece;
}
