import { type ChannelCredentials, type ClientWritableStream, credentials, Metadata } from '@grpc/grpc-js';
import { type MessageBatch, type SnapshotPiece, TransportClient } from '../../proto/generated/raft/transport.ts';
import type { Logger } from '../log/logger.ts';
import type { Message } from './message.ts';
import { toWire } from './wire-message.ts';

/** Messages that wait for a slow peer before further ones are dropped: Raft sends again what matters. */
const maxWaiting = 4096;
/** Milliseconds between two attempts to reach a peer that could not be reached. */
const reconnectDelay = 200;

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
  readonly #client: TransportClient;
  readonly #metadata = new Metadata();
  #stream: ClientWritableStream<MessageBatch> | undefined;
  #waiting: Message[] = [];
  #congested = false;
  #retryAt = 0;
  #told = false;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.url = options.url;
    this.#metadata.set('balsa-cluster', options.clusterId);
    const { tls } = options;
    const channel: ChannelCredentials =
      tls === undefined
        ? credentials.createInsecure()
        : credentials.createSsl(Buffer.from(tls.ca), Buffer.from(tls.key), Buffer.from(tls.cert));
    this.#client = new TransportClient(new URL(options.url).host, channel, {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.min_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
      'grpc.use_local_subchannel_pool': 1,
    });
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
    this.#congested = !this.#stream!.write({ messages: messages.map(toWire) });
  }

  #open(): boolean {
    const now = performance.now();
    if (now < this.#retryAt) return false;
    this.#retryAt = now + reconnectDelay;
    const stream = this.#client.messages(this.#metadata, (error) => {
      if (this.#stream === stream) this.#lost(error?.message ?? 'the peer has ended the stream');
    });
    stream.on('drain', () => {
      if (this.#stream !== stream) return;
      this.#congested = false;
      const waiting = this.#waiting;
      this.#waiting = [];
      if (waiting.length > 0) this.#write(waiting);
    });
    stream.on('error', () => {
      // The callback above has the reason.
    });
    this.#stream = stream;
    return true;
  }

  #lost(reason: string): void {
    this.#stream = undefined;
    this.#waiting = [];
    this.#congested = false;
    if (this.#closed) return;
    const { logger, id, url } = this.#options;
    // Once per breakdown at `warn`: a dead peer is tried several times a second.
    logger[this.#told ? 'debug' : 'warn']({ peer: id, url, reason }, 'the way to a peer is lost');
    this.#told = true;
    this.#options.unreachable();
  }

  /** The peer has been heard from. */
  alive(): void {
    this.#told = false;
  }

  /** Sends a snapshot message and the state, as fast as the peer takes it. */
  async sendSnapshot(message: Message, pieces: AsyncIterable<Buffer>): Promise<void> {
    let stream!: ClientWritableStream<SnapshotPiece>;
    const done = new Promise<void>((resolve, reject) => {
      stream = this.#client.snapshot(this.#metadata, (error) => (error === null ? resolve() : reject(error)));
      stream.on('error', reject);
    });
    // Awaited below; a failure before that must not go unhandled.
    done.catch(() => {});
    let failed = false;
    done.catch(() => {
      failed = true;
    });
    const write = async (piece: SnapshotPiece) => {
      if (failed) await done;
      if (!stream.write(piece)) await Promise.race([new Promise((resolve) => stream.once('drain', resolve)), done]);
    };
    try {
      await write({ message: toWire(message), data: Buffer.alloc(0) });
      for await (const data of pieces) await write({ message: undefined, data });
    } catch (error) {
      stream.cancel();
      throw error;
    }
    stream.end();
    await done;
  }

  /** Seconds; -1 when the peer does not lead. */
  keepAlive(lease: bigint): Promise<number> {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + 5000;
      this.#client.keepAlive({ lease }, this.#metadata, { deadline }, (error, response) => {
        if (error !== null) reject(error);
        else resolve(Number(response.ttl));
      });
    });
  }

  close(): void {
    this.#closed = true;
    this.#stream?.cancel();
    this.#client.close();
  }
}
