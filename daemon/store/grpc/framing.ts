import { grpcStatus } from '../store-error-table.ts';
import { GrpcError } from './status.ts';

const headerBytes = 5;

/** A message behind gRPC's five-byte header: not compressed, and how long. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(headerBytes + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, headerBytes);
  return framed;
}

/** Cuts a stream of bytes into messages. */
export class Unframer {
  readonly #maxBytes: number;
  readonly #onMessage: (message: Buffer) => void;
  #kept: Buffer | undefined;

  constructor(maxBytes: number, onMessage: (message: Buffer) => void) {
    this.#maxBytes = maxBytes;
    this.#onMessage = onMessage;
  }

  /** Throws GrpcError for a message that is too large or compressed. */
  push(chunk: Buffer): void {
    let bytes = this.#kept === undefined ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = undefined;
    while (bytes.length >= headerBytes) {
      if (bytes[0] !== 0) throw new GrpcError(grpcStatus.unimplemented, 'compressed messages are not supported');
      const length = bytes.readUInt32BE(1);
      if (length > this.#maxBytes) {
        const text = `grpc: received message larger than max (${length} vs. ${this.#maxBytes})`;
        throw new GrpcError(grpcStatus.resourceExhausted, text);
      }
      if (bytes.length < headerBytes + length) break;
      this.#onMessage(bytes.subarray(headerBytes, headerBytes + length));
      bytes = bytes.subarray(headerBytes + length);
    }
    if (bytes.length > 0) this.#kept = bytes;
  }

  /** Whether the stream may end here. */
  get atBoundary(): boolean {
    return this.#kept === undefined;
  }
}
