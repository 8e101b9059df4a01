import { LeaderAnswer, LeaderQuestion, MessageBatch, SnapshotPiece } from '../../proto/generated/raft/messages.ts';
import type { Logger } from '../log/logger.ts';
import { GrpcSession, type GrpcUpload } from '../store/grpc/client.ts';
import type { Message } from './message.ts';
import { toWire } from './wire-message.ts';

/** Messages that wait for a slow peer before further ones are dropped: Raft sends again what matters. */
const maxWaiting = 4096;
/** Milliseconds between two attempts to reach a peer that could not be reached. */
const reconnectDelay = 200;
const questionTimeout = 5_000;

export const transportPath = '/balsa.raft.v1.Transport';
export const clusterHeader = 'balsa-cluster';

export interface PeerTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export interface LinkOptions {
  readonly id: number;
  readonly url: string;
  readonly clusterId: string;
  readonly tls: PeerTls | undefined;
  readonly logger: Logger;
  unreachable(): void;
}

/** The way to one other member: one stream that is kept open, and opened again when it breaks. */
export class PeerLink {
  readonly url: string;
  readonly #options: LinkOptions;
  readonly #session: GrpcSession;
  /** Snapshots have a connection of their own: they must not hold up heartbeats. */
  #bulk: GrpcSession | undefined;
  #stream: GrpcUpload | undefined;
  #waiting: Message[] = [];
  #congested = false;
  #retryAt = 0;
  #told = false;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.url = options.url;
    this.#session = this.#newSession();
  }

  #newSession(): GrpcSession {
    const { url, tls, clusterId } = this.#options;
    return new GrpcSession({ url, tls, headers: { [clusterHeader]: clusterId } });
  }

  /** False when it was dropped. */
  send(messages: readonly Message[]): boolean {
    if (this.#closed) return false;
    if (this.#stream === undefined && !this.#open()) return false;
    if (this.#congested) {
      if (this.#waiting.length + messages.length > maxWaiting) return false;
      this.#waiting.push(...messages);
      return true;
    }
    this.#write(messages);
    return true;
  }

  #write(messages: readonly Message[]): void {
    const batch = MessageBatch.encode({ messages: messages.map(toWire) }).finish();
    this.#congested = !this.#stream!.send(batch);
  }

  #open(): boolean {
    const now = performance.now();
    if (now < this.#retryAt) return false;
    this.#retryAt = now + reconnectDelay;
    const stream = this.#session.upload(`${transportPath}/Messages`);
    const lost = (error?: unknown) => {
      if (this.#stream === stream) this.#lost(error);
    };
    stream.done.then(() => lost(), lost);
    stream.onDrain = () => {
      if (this.#stream !== stream) return;
      this.#congested = false;
      const waiting = this.#waiting;
      this.#waiting = [];
      if (waiting.length > 0) this.#write(waiting);
    };
    this.#stream = stream;
    return true;
  }

  #lost(error: unknown): void {
    this.#stream = undefined;
    this.#waiting = [];
    this.#congested = false;
    if (this.#closed) return;
    const { logger, id, url } = this.#options;
    // Once per breakdown at `warn`: a dead peer is tried several times a second.
    logger[this.#told ? 'debug' : 'warn']({ peer: id, url, err: error }, 'the way to a peer is lost');
    this.#told = true;
    this.#options.unreachable();
  }

  /** The peer has been heard from. */
  alive(): void {
    this.#told = false;
  }

  /** Sends a snapshot message and the state, as fast as the peer takes it. */
  async sendSnapshot(message: Message, pieces: AsyncIterable<Buffer>): Promise<void> {
    this.#bulk ??= this.#newSession();
    const stream = this.#bulk.upload(`${transportPath}/Snapshot`);
    let over = false;
    const ended = stream.done.then(
      () => {
        over = true;
      },
      () => {
        over = true;
      },
    );
    const write = async (piece: SnapshotPiece) => {
      if (stream.send(SnapshotPiece.encode(piece).finish())) return;
      await Promise.race([
        ended,
        new Promise<void>((resolve) => {
          stream.onDrain = resolve;
        }),
      ]);
    };
    try {
      await write({ message: toWire(message), data: Buffer.alloc(0) });
      for await (const data of pieces) {
        if (over) break;
        await write({ message: undefined, data });
      }
    } catch (error) {
      stream.cancel();
      throw error;
    }
    stream.end();
    await stream.done;
  }

  /** -1 when the peer does not lead. */
  async ask(question: LeaderQuestion): Promise<number> {
    const request = LeaderQuestion.encode(question).finish();
    const response = await this.#session.call(`${transportPath}/Ask`, request, questionTimeout);
    return Number(LeaderAnswer.decode(response).value);
  }

  close(): void {
    this.#closed = true;
    this.#stream?.cancel();
    this.#session.close();
    this.#bulk?.close();
  }
}
