import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { Logger } from '../log/logger.ts';
import { isTruncated, type Query } from './message.ts';

export interface ForwarderOptions {
  /** Addresses, or `address#port`; asked for anew with each query. */
  readonly upstreams: () => readonly string[];
  /** Milliseconds for one upstream, and for all tries of one query. */
  readonly attemptTimeout?: number;
  readonly timeout?: number;
  /** Queries under way at once; more fail at once instead of piling up. */
  readonly maximumConcurrent?: number;
  readonly logger: Logger;
}

/** After a failure an upstream is asked last for so many milliseconds. */
const penalty = 10_000;

/** Passes queries on to the host's own resolvers, byte for byte, with a fresh id and source port for each. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #failedAt = new Map<string, number>();
  #underWay = 0;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** The upstream's answer with the query's id; undefined: none came in time. */
  async forward(query: Query, message: Buffer): Promise<{ answer: Buffer; upstream: string } | undefined> {
    if (this.#underWay >= (this.#options.maximumConcurrent ?? 1000)) return undefined;
    this.#underWay++;
    try {
      return await this.#forward(query, message);
    } finally {
      this.#underWay--;
    }
  }

  async #forward(query: Query, message: Buffer): Promise<{ answer: Buffer; upstream: string } | undefined> {
    const deadline = Date.now() + (this.#options.timeout ?? 5000);
    const attemptTimeout = this.#options.attemptTimeout ?? 2000;
    const recentlyFailed = (upstream: string) => Date.now() - (this.#failedAt.get(upstream) ?? 0) < penalty;
    const upstreams = [...this.#options.upstreams()].sort(
      (a, b) => Number(recentlyFailed(a)) - Number(recentlyFailed(b)),
    );
    for (let attempt = 0; attempt < Math.max(2, upstreams.length) && Date.now() < deadline; attempt++) {
      const upstream = upstreams[attempt % upstreams.length];
      if (upstream === undefined) return undefined;
      try {
        const timeout = Math.max(1, Math.min(attemptTimeout, deadline - Date.now()));
        let answer = await askUdp(upstream, query, message, timeout);
        if (isTruncated(answer)) answer = await askTcp(upstream, query, message, timeout);
        this.#failedAt.delete(upstream);
        answer.writeUInt16BE(query.id, 0);
        return { answer, upstream };
      } catch (error) {
        this.#failedAt.set(upstream, Date.now());
        this.#options.logger.debug({ err: error, upstream, name: query.name }, 'upstream resolver did not answer');
      }
    }
    return undefined;
  }
}

function askUdp(upstream: string, query: Query, message: Buffer, timeout: number): Promise<Buffer> {
  const { address, port } = split(upstream);
  const request = withId(message);
  const id = request.readUInt16BE(0);
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const done = (settle: () => void) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      // A late error of a closing socket concerns nobody.
      socket.on('error', () => {});
      socket.close();
      settle();
    };
    const timer = setTimeout(() => done(() => reject(new Error(`no answer within ${timeout} ms`))), timeout);
    socket.on('error', (error) => done(() => reject(error)));
    // A connected socket takes datagrams from that address and port only, and learns of a closed port.
    socket.connect(port, address, () => {
      socket.on('message', (answer) => {
        if (isAnswerTo(answer, id, query)) done(() => resolve(answer));
      });
      socket.send(request);
    });
  });
}

function askTcp(upstream: string, query: Query, message: Buffer, timeout: number): Promise<Buffer> {
  const { address, port } = split(upstream);
  const request = withId(message);
  const id = request.readUInt16BE(0);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    let received = Buffer.alloc(0);
    socket.setTimeout(timeout, () => fail(new Error(`no answer over TCP within ${timeout} ms`)));
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('connection closed before the answer')));
    socket.on('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(request.length);
      socket.write(Buffer.concat([length, request]));
    });
    socket.on('data', (data: Buffer) => {
      received = Buffer.concat([received, data]);
      if (received.length < 2) return;
      const end = 2 + received.readUInt16BE(0);
      if (received.length < end) return;
      const answer = Buffer.from(received.subarray(2, end));
      if (!isAnswerTo(answer, id, query)) return fail(new Error('answer to another question'));
      resolve(answer);
      socket.destroy();
    });
  });
}

function isAnswerTo(answer: Buffer, id: number, query: Query): boolean {
  if (answer.length < 12 || answer.readUInt16BE(0) !== id || (answer.readUInt16BE(2) & 0x8000) === 0) return false;
  // Some errors come without the question.
  if (answer.readUInt16BE(4) === 0) return true;
  const question = answer.subarray(12, 12 + query.questionBytes.length);
  return question.toString('latin1').toLowerCase() === query.questionBytes.toString('latin1').toLowerCase();
}

function withId(message: Buffer): Buffer {
  const request = Buffer.from(message);
  request.writeUInt16BE(randomInt(0x10000), 0);
  return request;
}

function split(upstream: string): { address: string; port: number } {
  const [address = '', port] = upstream.split('#');
  return { address, port: port === undefined ? 53 : Number(port) };
}
