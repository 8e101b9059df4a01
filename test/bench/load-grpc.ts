import { type ClientHttp2Session, connect } from 'node:http2';
import { frame, Unframer } from '../../daemon/store/grpc/framing.ts';

// A load generator straight on HTTP/2: it costs less than any server it loads.

export class GrpcLoad {
  readonly #sessions: ClientHttp2Session[];
  #next = 0;

  constructor(address: string, connections: number) {
    this.#sessions = Array.from({ length: connections }, () => {
      const session = connect(`http://${address}`, { settings: { initialWindowSize: 4 * 1024 * 1024 } });
      session.on('connect', () => session.setLocalWindowSize(32 * 1024 * 1024));
      session.on('error', () => {
        // The bench ends with its servers.
      });
      return session;
    });
  }

  session(): ClientHttp2Session {
    return this.#sessions[this.#next++ % this.#sessions.length]!;
  }

  /** One unary call; the response's bytes. */
  call(session: ClientHttp2Session, path: string, request: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      let response: Buffer | undefined;
      const unframer = new Unframer(Number.MAX_SAFE_INTEGER, (message) => {
        response = message;
      });
      let status: string | undefined;
      stream.on('response', (headers) => {
        status = headers['grpc-status'] as string | undefined;
      });
      stream.on('trailers', (trailers) => {
        status = trailers['grpc-status'] as string | undefined;
      });
      stream.on('data', (chunk: Buffer) => unframer.push(chunk));
      stream.on('error', reject);
      stream.on('close', () => {
        if (response !== undefined && status === '0') resolve(response);
        else reject(new Error(`${path}: grpc-status ${status}`));
      });
      stream.end(frame(request));
    });
  }

  /** Calls per second that `clients` make, each one after the other, in so many milliseconds. */
  async rate(clients: number, duration: number, path: string, request: (index: number) => Uint8Array): Promise<number> {
    const end = performance.now() + duration;
    const started = performance.now();
    let count = 0;
    await Promise.all(
      Array.from({ length: clients }, async () => {
        const session = this.session();
        while (performance.now() < end) {
          await this.call(session, path, request(count));
          count++;
        }
      }),
    );
    return (count / (performance.now() - started)) * 1000;
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }
}
