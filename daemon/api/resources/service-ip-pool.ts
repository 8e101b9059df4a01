import { formatIp, IpRange, parseIp } from './ip-range.ts';

/** The largest number of addresses handed out from one range: what Kubernetes does with huge IPv6 ranges. */
const mostAddresses = 1n << 16n;

/** `used` holds an address in its canonical text. */
export type IsUsed = (address: string) => boolean;

/**
 * Addresses of one service range. The lower band is kept for addresses that users choose; free addresses come from the
 * upper one as long as it has any (`min(max(16, size/16), 256)`).
 */
export class ServiceIpPool {
  readonly range: IpRange;
  /** Usable addresses: neither the network's own nor, in IPv4, broadcast. */
  readonly #size: number;
  readonly #lowerBand: number;

  constructor(cidr: string) {
    this.range = new IpRange(cidr);
    const usable = this.range.size - (this.range.family === 4 ? 2n : 1n);
    this.#size = Number(usable < mostAddresses ? usable : mostAddresses);
    const band = Math.min(Math.max(16, Math.floor(this.#size / 16)), 256);
    this.#lowerBand = this.#size < 16 ? 0 : Math.min(band, this.#size);
  }

  #address(offset: number): string {
    return formatIp({ family: this.range.family, value: this.range.first + 1n + BigInt(offset) });
  }

  /** A free address, or undefined when the range is full. `random` yields numbers below 1. */
  allocate(isUsed: IsUsed, random: () => number): string | undefined {
    return this.#scan(this.#lowerBand, this.#size, isUsed, random) ?? this.#scan(0, this.#lowerBand, isUsed, random);
  }

  #scan(from: number, to: number, isUsed: IsUsed, random: () => number): string | undefined {
    const count = to - from;
    const start = Math.floor(random() * count);
    for (let step = 0; step < count; step++) {
      const address = this.#address(from + ((start + step) % count));
      if (!isUsed(address)) return address;
    }
    return undefined;
  }

  /** Whether a service may have it. */
  contains(text: string): boolean {
    const ip = parseIp(text);
    if (ip === undefined || !this.range.contains(ip) || ip.value === this.range.first) return false;
    return this.range.family === 6 || ip.value !== this.range.first + this.range.size - 1n;
  }
}
