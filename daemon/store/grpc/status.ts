import { grpcStatus } from '../store-error-table.ts';

/** A call that ends with a status other than OK. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function unimplemented(path: string): GrpcError {
  return new GrpcError(grpcStatus.unimplemented, `unknown method ${path}`);
}

/** `grpc-message` is percent-encoded outside of printable ASCII. */
export function encodeMessage(message: string): string {
  let encoded = '';
  for (const byte of Buffer.from(message)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
