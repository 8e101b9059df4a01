import { readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';

/** The default name of this node: the host name as a DNS-1123 subdomain. */
export function defaultNodeName(): string {
  const name = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9.-]/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '');
  return name === '' ? 'balsa' : name;
}

/** The address of the interface that holds the IPv4 default route; else the first that is not loopback; else 127.0.0.1. */
export function defaultNodeIp(): string {
  const interfaces = networkInterfaces();
  const addressOf = (name: string): string | undefined =>
    interfaces[name]?.find((address) => address.family === 'IPv4' && !address.internal)?.address;
  const routes = readFileSync('/proc/net/route', 'utf8').trim().split('\n').slice(1);
  const uplink = routes.map((line) => line.split('\t')).find(([, destination]) => destination === '00000000')?.[0];
  if (uplink !== undefined) {
    const address = addressOf(uplink);
    if (address !== undefined) return address;
  }
  // Bridges that hold pods or containers are not how others reach this host.
  const others = Object.keys(interfaces).filter((name) => !/^(lo|balsa|cni|docker|veth)/.test(name));
  return others.map(addressOf).find((address) => address !== undefined) ?? '127.0.0.1';
}

/** The n-th address of an IPv4 CIDR: `nthAddress('10.96.0.0/12', 10)` is `10.96.0.10`. */
export function nthAddress(cidr: string, n: number): string {
  const [address = '', prefix = '32'] = cidr.split('/');
  const base = address.split('.').reduce((value, octet) => value * 256 + Number(octet), 0);
  const size = 2 ** (32 - Number(prefix));
  const first = Math.floor(base / size) * size;
  if (n >= size) throw new RangeError(`${cidr} has no address number ${n}`);
  return [24, 16, 8, 0].map((shift) => Math.floor((first + n) / 2 ** shift) % 256).join('.');
}
