import { isIPv4, isIPv6 } from 'node:net';
import { addressBytes, parsePrefix } from '../proxy/nftables/addresses.ts';

interface Range {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

/** Addresses that Services of type LoadBalancer are given. */
export class AddressPool {
  readonly #ranges: readonly Range[];

  /** `entries`: CIDRs (`192.0.2.0/28`), ranges (`192.0.2.10-192.0.2.20`) and single addresses. Throws on anything else. */
  constructor(entries: readonly string[]) {
    this.#ranges = entries.map(parseRange);
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  includes(address: string): boolean {
    if (!isIPv4(address) && !isIPv6(address)) return false;
    const number = toNumber(address);
    const family = isIPv4(address) ? 4 : 6;
    return this.#ranges.some((range) => range.family === family && range.first <= number && number <= range.last);
  }

  /** The lowest address of the family that is not taken; undefined: there is none left. */
  firstFree(family: 4 | 6, isTaken: (address: string) => boolean): string | undefined {
    for (const range of this.#ranges) {
      if (range.family !== family) continue;
      for (let number = range.first; number <= range.last; number++) {
        const address = toText(number, family);
        if (!isTaken(address)) return address;
      }
    }
    return undefined;
  }
}

function parseRange(entry: string): Range {
  const bad = (): never => {
    throw new Error(`--load-balancer-pool: ${JSON.stringify(entry)} is not a CIDR, a range a-b or an address`);
  };
  if (entry.includes('-')) {
    const [from = '', to = '', ...rest] = entry.split('-');
    const family = isIPv4(from) && isIPv4(to) ? 4 : isIPv6(from) && isIPv6(to) ? 6 : undefined;
    if (family === undefined || rest.length > 0) return bad();
    const range: Range = { family, first: toNumber(from), last: toNumber(to) };
    return range.first <= range.last ? range : bad();
  }
  const prefix = parsePrefix(entry);
  if (prefix === undefined) return bad();
  const family = prefix.first.length === 4 ? 4 : 6;
  const [first, last] = [bytesToNumber(prefix.first), bytesToNumber(prefix.last)];
  // The network's own address and its broadcast address are no host's.
  return family === 4 && prefix.length < 31 ? { family, first: first + 1n, last: last - 1n } : { family, first, last };
}

const bytesToNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const toNumber = (address: string): bigint => bytesToNumber(addressBytes(address));

function toText(number: bigint, family: 4 | 6): string {
  const hex = number.toString(16).padStart(family === 4 ? 8 : 32, '0');
  if (family === 4) return [...Buffer.from(hex, 'hex')].join('.');
  // The URL parser writes addresses in their canonical form.
  return new URL(`http://[${hex.match(/.{4}/g)?.join(':')}]`).hostname.slice(1, -1);
}
