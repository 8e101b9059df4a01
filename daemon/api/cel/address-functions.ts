import { BlockList, isIP } from 'node:net';
import type { Environment } from '@marcbachmann/cel-js';
import { isCidr } from '../validation/names.ts';

class Address {
  readonly text: string;

  constructor(text: string) {
    if (isIP(text) === 0) throw new Error(`IP Address "${text}" parse error during conversion from string`);
    this.text = text.toLowerCase();
  }

  get family(): 4 | 6 {
    return isIP(this.text) === 4 ? 4 : 6;
  }

  toString(): string {
    return this.text;
  }
}

class Cidr {
  readonly text: string;
  readonly address: Address;
  readonly prefix: number;

  constructor(text: string) {
    if (!isCidr(text)) throw new Error(`network address parse error during conversion from string: ${text}`);
    const [address = '', prefix = ''] = text.split('/');
    this.text = text;
    this.address = new Address(address);
    this.prefix = Number(prefix);
  }

  contains(address: Address): boolean {
    if (address.family !== this.address.family) return false;
    const family = this.address.family === 4 ? 'ipv4' : 'ipv6';
    const list = new BlockList();
    list.addSubnet(this.address.text, this.prefix, family);
    return list.check(address.text, family);
  }

  toString(): string {
    return this.text;
  }
}

const within =
  (...cidrs: readonly string[]) =>
  (address: Address) =>
    cidrs.some((cidr) => new Cidr(cidr).contains(address));

const isLoopback = within('127.0.0.0/8', '::1/128');
const isLinkLocalUnicast = within('169.254.0.0/16', 'fe80::/10');
const isLinkLocalMulticast = within('224.0.0.0/24', 'ff02::/16');
const isMulticast = within('224.0.0.0/4', 'ff00::/8');
const isUnspecified = within('0.0.0.0/32', '::/128');

/** The IP and CIDR libraries of Kubernetes. */
export function registerAddressFunctions(environment: Environment): void {
  environment
    .registerType('net.IP', { ctor: Address, fields: {} })
    .registerType('net.CIDR', { ctor: Cidr, fields: {} })
    .registerFunction('ip(string): net.IP', (text: string) => new Address(text))
    .registerFunction('isIP(string): bool', (text: string) => isIP(text) !== 0)
    .registerFunction('net.IP.family(): int', (address: Address) => BigInt(address.family))
    .registerFunction('net.IP.isLoopback(): bool', isLoopback)
    .registerFunction('net.IP.isUnspecified(): bool', isUnspecified)
    .registerFunction('net.IP.isLinkLocalUnicast(): bool', isLinkLocalUnicast)
    .registerFunction('net.IP.isLinkLocalMulticast(): bool', isLinkLocalMulticast)
    .registerFunction(
      'net.IP.isGlobalUnicast(): bool',
      (address: Address) =>
        !isMulticast(address) && !isLoopback(address) && !isUnspecified(address) && !isLinkLocalUnicast(address),
    )
    .registerFunction('string(net.IP): string', String)
    .registerFunction('cidr(string): net.CIDR', (text: string) => new Cidr(text))
    .registerFunction('isCIDR(string): bool', isCidr)
    .registerFunction('net.CIDR.ip(): net.IP', ({ address }: Cidr) => address)
    .registerFunction('net.CIDR.prefixLength(): int', ({ prefix }: Cidr) => BigInt(prefix))
    .registerFunction('net.CIDR.containsIP(net.IP): bool', (cidr: Cidr, address: Address) => cidr.contains(address))
    .registerFunction('net.CIDR.containsIP(string): bool', (cidr: Cidr, text: string) =>
      cidr.contains(new Address(text)),
    )
    .registerFunction('net.CIDR.containsCIDR(string): bool', (cidr: Cidr, text: string) =>
      contains(cidr, new Cidr(text)),
    )
    .registerFunction('net.CIDR.containsCIDR(net.CIDR): bool', contains)
    .registerFunction('string(net.CIDR): string', String);
}

function contains(outer: Cidr, inner: Cidr): boolean {
  return inner.prefix >= outer.prefix && outer.contains(inner.address);
}
