import { isIPv6 } from 'node:net';

/** A pod network cut into equal blocks, one per node. Addresses are integers, so both IP families are alike. */
export class CidrSet {
  readonly #base: bigint;
  readonly #bits: number;
  readonly #blockPrefix: number;
  readonly #count: bigint;
  readonly #used = new Set<bigint>();
  /** Where to look next: blocks are not given out again right after they were freed. */
  #next = 0n;

  /** `cidr` such as `10.244.0.0/16`; `blockPrefix` the prefix length of a block, such as 24. Throws on what is neither. */
  constructor(cidr: string, blockPrefix: number) {
    const { address, prefix, bits } = parseCidr(cidr);
    if (blockPrefix < prefix || blockPrefix > bits) {
      throw new RangeError(`node CIDR mask size /${blockPrefix} does not fit into the pod network ${cidr}`);
    }
    this.#bits = bits;
    this.#blockPrefix = blockPrefix;
    this.#base = (address >> BigInt(bits - prefix)) << BigInt(bits - prefix);
    this.#count = 1n << BigInt(blockPrefix - prefix);
  }

  get isIPv6(): boolean {
    return this.#bits === 128;
  }

  /** Takes every block that `cidr` overlaps; false when it lies outside of this network. */
  occupy(cidr: string): boolean {
    const { address, prefix, bits } = parseCidr(cidr);
    if (bits !== this.#bits) return false;
    const first = this.#indexOf(address);
    const last = this.#indexOf(address + (1n << BigInt(bits - prefix)) - 1n);
    if (last < 0n || first >= this.#count) return false;
    for (let i = first < 0n ? 0n : first; i <= last && i < this.#count; i++) this.#used.add(i);
    return true;
  }

  /** A free block; undefined when all are taken. */
  allocate(): string | undefined {
    for (let tried = 0n; tried < this.#count; tried++) {
      const index = (this.#next + tried) % this.#count;
      if (this.#used.has(index)) continue;
      this.#used.add(index);
      this.#next = index + 1n;
      const address = this.#base + (index << BigInt(this.#bits - this.#blockPrefix));
      return `${formatAddress(address, this.#bits)}/${this.#blockPrefix}`;
    }
    return undefined;
  }

  release(cidr: string): void {
    const { address, bits } = parseCidr(cidr);
    if (bits === this.#bits) this.#used.delete(this.#indexOf(address));
  }

  #indexOf(address: bigint): bigint {
    return (address - this.#base) >> BigInt(this.#bits - this.#blockPrefix);
  }
}

interface Cidr {
  readonly address: bigint;
  readonly prefix: number;
  readonly bits: number;
}

function parseCidr(cidr: string): Cidr {
  const [text = '', prefixText = ''] = cidr.split('/');
  const bits = isIPv6(text) ? 128 : 32;
  const prefix = Number(prefixText);
  if (prefixText === '' || !Number.isInteger(prefix) || prefix < 0 || prefix > bits) {
    throw new RangeError(`invalid CIDR address: ${cidr}`);
  }
  return { address: parseAddress(text), prefix, bits };
}

function parseAddress(text: string): bigint {
  if (!isIPv6(text)) {
    const parts = text.split('.').map(Number);
    if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) {
      throw new RangeError(`invalid IP address: ${text}`);
    }
    return parts.reduce((address, part) => (address << 8n) | BigInt(part), 0n);
  }
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].reduce((address, group) => (address << 16n) | BigInt(`0x${group}`), 0n);
}

function formatAddress(address: bigint, bits: number): string {
  if (bits === 32) {
    return [24n, 16n, 8n, 0n].map((shift) => String((address >> shift) & 0xffn)).join('.');
  }
  const groups = Array.from({ length: 8 }, (_, i) => ((address >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  // The longest run of zero groups shrinks to "::", as RFC 5952 writes addresses.
  const runs = groups.join(':').match(/\b0(:0)+\b/g) ?? [];
  const longest = runs.sort((a, b) => b.length - a.length)[0];
  if (longest === undefined) return groups.join(':');
  const at = groups.join(':').indexOf(longest);
  const text = groups.join(':');
  return `${text.slice(0, at).replace(/:$/, '')}::${text.slice(at + longest.length).replace(/^:/, '')}`;
}
