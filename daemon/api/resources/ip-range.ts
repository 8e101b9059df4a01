import { isIP } from 'node:net';

/** An address as a number, with its family. */
export interface IpNumber {
  readonly family: 4 | 6;
  readonly value: bigint;
}

function parseIpv6(text: string): bigint {
  let source = text;
  const lastColon = source.lastIndexOf(':');
  if (source.includes('.')) {
    const [a = 0, b = 0, c = 0, d = 0] = source
      .slice(lastColon + 1)
      .split('.')
      .map(Number);
    source = `${source.slice(0, lastColon + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head = '', tail] = source.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** undefined: not an address. */
export function parseIp(text: string): IpNumber | undefined {
  const family = isIP(text);
  if (family === 4) return { family, value: text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) };
  return family === 6 ? { family: 6, value: parseIpv6(text) } : undefined;
}

/** The canonical text of an address (RFC 5952). */
export function formatIp({ family, value }: IpNumber): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - index * 16)) & 0xffffn).toString(16));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < groups.length; at++) {
    let length = 0;
    while (groups[at + length] === '0') length++;
    if (length > best.length) best = { at, length };
  }
  if (best.at < 0) return groups.join(':');
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`;
}

/** A block of addresses in CIDR notation. Throws RangeError on text that is none: configuration is checked before. */
export class IpRange {
  readonly cidr: string;
  readonly family: 4 | 6;
  readonly first: bigint;
  /** How many addresses; may be astronomic in IPv6. */
  readonly size: bigint;

  constructor(cidr: string) {
    const [address = '', prefix = ''] = cidr.split('/');
    const ip = parseIp(address);
    const bits = ip?.family === 4 ? 32 : 128;
    const length = Number(prefix);
    if (ip === undefined || !/^\d+$/.test(prefix) || length > bits) throw new RangeError(`not a CIDR: ${cidr}`);
    this.cidr = cidr;
    this.family = ip.family;
    this.size = 1n << BigInt(bits - length);
    this.first = ip.value & ~(this.size - 1n);
  }

  contains(ip: IpNumber): boolean {
    return ip.family === this.family && ip.value >= this.first && ip.value < this.first + this.size;
  }
}
