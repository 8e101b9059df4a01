import { type Answer, type DecodedPacket, decode, encode } from 'dns-packet';
import type { ResponseCode } from './cluster-zone.ts';

/** A question as far as answering it needs. */
export interface Query {
  readonly id: number;
  /** As the client wrote it, without the final dot; empty: the root. */
  readonly name: string;
  readonly type: string;
  readonly class: string;
  /** The question as it came: what an answer repeats. */
  readonly questionBytes: Buffer;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  /** Bytes the client takes over UDP; undefined: it speaks no EDNS. */
  readonly udpSize?: number;
  readonly ednsVersion?: number;
  readonly dnssecOk: boolean;
}

export type QueryError = { readonly id: number; readonly code: ResponseCode };

const headerLength = 12;
const responseFlag = 0x8000;
const authoritativeFlag = 0x0400;
const truncatedFlag = 0x0200;
const recursionDesiredFlag = 0x0100;
const recursionAvailableFlag = 0x0080;
const responseCodes: Readonly<Record<ResponseCode | 'BADVERS', number>> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
};
export const minimumUdpSize = 512;
/** What fits every link's packets, so that answers are not fragmented. */
export const maximumUdpSize = 1232;

/** Undefined: not worth an answer (too short, or itself an answer, which could start a loop). */
export function parseQuery(message: Buffer): Query | QueryError | undefined {
  if (message.length < headerLength) return undefined;
  const id = message.readUInt16BE(0);
  const flags = message.readUInt16BE(2);
  if ((flags & responseFlag) !== 0) return undefined;
  const opcode = (flags >> 11) & 0xf;
  if (opcode !== 0) return { id, code: 'NOTIMP' };
  if (message.readUInt16BE(4) !== 1) return { id, code: 'FORMERR' };
  const end = skipName(message, headerLength);
  if (end === undefined || end + 4 > message.length) return { id, code: 'FORMERR' };
  let packet: DecodedPacket;
  try {
    packet = decode(message);
  } catch {
    return { id, code: 'FORMERR' };
  }
  const question = packet.questions?.[0];
  if (question === undefined) return { id, code: 'FORMERR' };
  const edns = packet.additionals?.find((record) => record.type === 'OPT');
  return {
    id,
    name: question.name === '.' ? '' : question.name,
    type: question.type,
    class: question.class ?? 'IN',
    questionBytes: message.subarray(headerLength, end + 4),
    opcode,
    recursionDesired: (flags & recursionDesiredFlag) !== 0,
    ...(edns?.type === 'OPT' && { udpSize: edns.udpPayloadSize, ednsVersion: edns.ednsVersion }),
    dnssecOk: edns?.type === 'OPT' && edns.flag_do === true,
  };
}

export interface Response {
  readonly code: ResponseCode | 'BADVERS';
  readonly authoritative: boolean;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
  readonly additionals: readonly Answer[];
}

/**
 * The answer in at most `limit` bytes. What does not fit is left out, and the client told to ask over TCP unless only
 * additional records are missing.
 */
export function encodeResponse(query: Query, response: Response, limit: number): Buffer {
  const opt = query.udpSize === undefined ? undefined : encodeOpt(responseCodes[response.code] >> 4);
  let left = limit - headerLength - query.questionBytes.length - (opt?.length ?? 0);
  let truncated = false;
  const sections: Buffer[][] = [];
  for (const [index, records] of [response.answers, response.authorities, response.additionals].entries()) {
    const section: Buffer[] = [];
    for (const record of truncated ? [] : records) {
      const bytes = encodeRecord(record, query);
      if (bytes.length > left) {
        truncated ||= index < 2;
        break;
      }
      left -= bytes.length;
      section.push(bytes);
    }
    sections.push(section);
  }
  const header = Buffer.alloc(headerLength);
  header.writeUInt16BE(query.id, 0);
  header.writeUInt16BE(
    responseFlag |
      recursionAvailableFlag |
      (response.authoritative ? authoritativeFlag : 0) |
      (truncated ? truncatedFlag : 0) |
      (query.recursionDesired ? recursionDesiredFlag : 0) |
      (responseCodes[response.code] & 0xf),
    2,
  );
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(sections[0]!.length, 6);
  header.writeUInt16BE(sections[1]!.length, 8);
  header.writeUInt16BE(sections[2]!.length + (opt === undefined ? 0 : 1), 10);
  return Buffer.concat([header, query.questionBytes, ...sections.flat(), ...(opt === undefined ? [] : [opt])]);
}

/** For a query that could not be read. */
export function encodeError({ id, code }: QueryError): Buffer {
  const header = Buffer.alloc(headerLength);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(responseFlag | responseCodes[code], 2);
  return header;
}

/** The answer's head with the flag that sends the client to TCP. */
export function truncate(query: Query, message: Buffer): Buffer {
  const header = Buffer.alloc(headerLength);
  message.copy(header, 0, 0, 4);
  header.writeUInt16BE(message.readUInt16BE(2) | truncatedFlag, 2);
  header.writeUInt16BE(1, 4);
  return Buffer.concat([header, query.questionBytes]);
}

export function isTruncated(message: Buffer): boolean {
  return message.length >= headerLength && (message.readUInt16BE(2) & truncatedFlag) !== 0;
}

export function responseCodeOf(message: Buffer): number {
  return message.readUInt16BE(2) & 0xf;
}

export function responseCodeName(code: number): string {
  return Object.entries(responseCodes).find(([, number]) => number === code)?.[0] ?? `RCODE${code}`;
}

/** Where behind a name the next field begins. Undefined: the name is malformed. */
export function skipName(message: Buffer, start: number): number | undefined {
  let offset = start;
  while (offset < message.length) {
    const length = message[offset]!;
    if (length === 0) return offset - start > 254 ? undefined : offset + 1;
    // A pointer ends the name.
    if ((length & 0xc0) === 0xc0) return offset + 2 <= message.length ? offset + 2 : undefined;
    if ((length & 0xc0) !== 0) return undefined;
    offset += length + 1;
  }
  return undefined;
}

/** The library writes names in full; where the owner is the name asked for, two bytes that point to it will do. */
function encodeRecord(record: Answer, query: Query): Buffer {
  const bytes = encode({ type: 'response', answers: [record] }).subarray(headerLength);
  if ('name' in record && record.name.toLowerCase() === query.name.toLowerCase() && record.name !== '') {
    const end = skipName(Buffer.from(bytes), 0)!;
    return Buffer.concat([Buffer.from([0xc0, headerLength]), bytes.subarray(end)]);
  }
  return Buffer.from(bytes);
}

function encodeOpt(extendedCode: number): Buffer {
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(41, 1);
  opt.writeUInt16BE(maximumUdpSize, 3);
  opt[5] = extendedCode;
  return opt;
}
