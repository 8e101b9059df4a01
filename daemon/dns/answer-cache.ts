import { type Query, responseCodeOf, skipName } from './message.ts';

interface Entry {
  readonly message: Buffer;
  readonly storedAt: number;
  readonly expiresAt: number;
  /** Where the message's times to live are. */
  readonly ttlOffsets: readonly number[];
}

const headerLength = 12;
const optType = 41;
const soaType = 6;
const noName = 3;

export interface AnswerCacheOptions {
  readonly capacity: number;
  /** Seconds for which an answer is kept at most. */
  readonly maximumTtl: number;
  readonly now?: () => number;
}

/** Upstream answers, byte for byte, with their times to live counted down. The least recently used go first. */
export class AnswerCache {
  readonly #options: AnswerCacheOptions;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(options: AnswerCacheOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The answer to this query: its id, and the name in the case the client used. */
  get(query: Query): Buffer | undefined {
    const key = keyOf(query);
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (this.#now() >= entry.expiresAt) return undefined;
    this.#entries.set(key, entry);
    const age = Math.floor((this.#now() - entry.storedAt) / 1000);
    const message = Buffer.from(entry.message);
    message.writeUInt16BE(query.id, 0);
    query.questionBytes.copy(message, headerLength);
    for (const offset of entry.ttlOffsets) {
      message.writeUInt32BE(Math.max(0, message.readUInt32BE(offset) - age), offset);
    }
    return message;
  }

  put(query: Query, message: Buffer): void {
    const read = readTtls(message);
    if (read === undefined || !sameQuestion(query, message)) return;
    const ttl = Math.min(this.#options.maximumTtl, read.ttl);
    if (ttl <= 0) return;
    const key = keyOf(query);
    this.#entries.delete(key);
    const storedAt = this.#now();
    this.#entries.set(key, {
      message: Buffer.from(message),
      storedAt,
      expiresAt: storedAt + ttl * 1000,
      ttlOffsets: read.offsets,
    });
    if (this.#entries.size > this.#options.capacity) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
  }
}

function keyOf(query: Query): string {
  const edns = query.udpSize === undefined ? '' : query.dnssecOk ? 'do' : 'edns';
  return `${query.name.toLowerCase()} ${query.type} ${query.class} ${edns} ${query.recursionDesired}`;
}

function sameQuestion(query: Query, message: Buffer): boolean {
  const end = headerLength + query.questionBytes.length;
  return (
    message.length >= end &&
    message.readUInt16BE(4) === 1 &&
    message.toString('latin1', headerLength, end).toLowerCase() === query.questionBytes.toString('latin1').toLowerCase()
  );
}

/** The smallest time to live, in seconds, and where all of them are. Undefined: not to be kept. */
function readTtls(message: Buffer): { ttl: number; offsets: number[] } | undefined {
  if (message.length < headerLength) return undefined;
  const code = responseCodeOf(message);
  if (code !== 0 && code !== noName) return undefined;
  const answers = message.readUInt16BE(6);
  const records = answers + message.readUInt16BE(8) + message.readUInt16BE(10);
  let offset = skipName(message, headerLength);
  if (offset === undefined) return undefined;
  offset += 4;
  let ttl = Number.POSITIVE_INFINITY;
  let hasSoa = false;
  const offsets: number[] = [];
  for (let index = 0; index < records; index++) {
    const fields: number | undefined = skipName(message, offset);
    if (fields === undefined || fields + 10 > message.length) return undefined;
    const type = message.readUInt16BE(fields);
    const end: number = fields + 10 + message.readUInt16BE(fields + 8);
    if (end > message.length) return undefined;
    if (type !== optType) {
      offsets.push(fields + 4);
      ttl = Math.min(ttl, message.readUInt32BE(fields + 4));
      if (type === soaType && end - 4 >= fields + 10) {
        hasSoa = true;
        ttl = Math.min(ttl, message.readUInt32BE(end - 4));
      }
    }
    offset = end;
  }
  // Without an SOA nobody says how long "there is none" holds (RFC 2308).
  if (answers === 0 && !hasSoa) return undefined;
  return Number.isFinite(ttl) ? { ttl, offsets } : undefined;
}
