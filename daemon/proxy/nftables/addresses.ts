import { isIPv4, isIPv6 } from 'node:net';

/** An address in network order: 4 or 16 bytes. */
export function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  if (!isIPv6(address)) throw new Error(`'${address}' is not an IP address`);
  let text = address.split('%')[0]!;
  const dotted = /(?<=:)\d+\.\d+\.\d+\.\d+$/.exec(text);
  if (dotted !== null) {
    const four = addressBytes(dotted[0]);
    text = `${text.slice(0, dotted.index)}${four.readUInt16BE(0).toString(16)}:${four.readUInt16BE(2).toString(16)}`;
  }
  const [head = '', tail] = text.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16)));
  const before = words(head);
  const after = tail === undefined ? [] : words(tail);
  const all = [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
  const bytes = Buffer.alloc(16);
  all.forEach((word, index) => {
    bytes.writeUInt16BE(word, index * 2);
  });
  return bytes;
}

export interface Prefix {
  /** Network order. */
  readonly first: Buffer;
  readonly last: Buffer;
  readonly mask: Buffer;
  readonly length: number;
}

/** Parses `10.0.0.0/8`, or a plain address as a prefix of its full length. Undefined: it is neither. */
export function parsePrefix(text: string): Prefix | undefined {
  const [address = '', suffix] = text.split('/');
  if (!isIPv4(address) && !isIPv6(address)) return undefined;
  const bytes = addressBytes(address);
  const bits = bytes.length * 8;
  const length = suffix === undefined ? bits : /^\d{1,3}$/.test(suffix) ? Number(suffix) : Number.NaN;
  if (!(length >= 0 && length <= bits)) return undefined;
  const mask = Buffer.from(bytes.map((_, index) => (0xff00 >> Math.max(0, Math.min(8, length - index * 8))) & 0xff));
  return {
    mask,
    length,
    first: Buffer.from(bytes.map((byte, index) => byte & mask[index]!)),
    last: Buffer.from(bytes.map((byte, index) => byte | (~mask[index]! & 0xff))),
  };
}

export function prefixContains(prefix: Prefix, address: string): boolean {
  const bytes = addressBytes(address);
  return (
    bytes.length === prefix.first.length &&
    bytes.every((byte, index) => (byte & prefix.mask[index]!) === prefix.first[index])
  );
}
