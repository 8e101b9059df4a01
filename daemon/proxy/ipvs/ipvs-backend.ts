import { writeFile } from 'node:fs/promises';
import type { Logger } from '../../log/logger.ts';
import { ipFamilies } from '../ip-families.ts';
import { type IpvsChange, type IpvsService, type IpvsServiceKey, isNetlinkError, type Netlink } from '../netlink.ts';
import { parsePrefix } from '../nftables/addresses.ts';
import type { Applied, IpFamily, RuleBackend, ServiceRules } from '../service-rules.ts';
import { CompanionTable } from './companion-table.ts';
import { type IpvsRules, ipvsRules, type VirtualService } from './virtual-services.ts';

export interface IpvsOptions {
  readonly netlink: Netlink;
  readonly logger: Logger;
  readonly clusterPodCidrs: readonly string[];
  readonly nodeIps: readonly string[];
  readonly scheduler?: string;
  readonly families?: readonly IpFamily[];
  readonly now?: () => number;
}

const linkName = 'balsa-ipvs';
/** Milliseconds that connections of a removed endpoint have to end by themselves. */
const drainTime = 60_000;

const settings: readonly (readonly [string, string])[] = [
  // Masquerading needs connections that conntrack knows.
  ['net/ipv4/vs/conntrack', '1'],
  ['net/ipv4/vs/conn_reuse_mode', '0'],
  // A client does not stay with an endpoint that is gone.
  ['net/ipv4/vs/expire_nodest_conn', '1'],
  ['net/ipv4/vs/expire_quiescent_template', '1'],
];

/**
 * Services as virtual services of IPVS, for those who want its schedulers. The addresses of Services become addresses of this
 * host, on a link of their own. Endpoints that are taken away get no new connections and are removed when their old
 * ones have had time to end.
 */
export class IpvsBackend implements RuleBackend {
  readonly name = 'ipvs';
  readonly #netlink: Netlink;
  readonly #scheduler: string;
  readonly #tables: readonly CompanionTable[];
  readonly #now: () => number;
  readonly #drainingSince = new Map<string, number>();
  #known = false;

  constructor(options: IpvsOptions) {
    this.#netlink = options.netlink;
    this.#scheduler = options.scheduler ?? 'rr';
    this.#now = options.now ?? Date.now;
    const prefixes = options.clusterPodCidrs.flatMap((cidr) => parsePrefix(cidr) ?? []);
    this.#tables = (options.families ?? ipFamilies()).map((family) => {
      const cidr = prefixes.find((prefix) => prefix.first.length === (family === 'ip' ? 4 : 16));
      return new CompanionTable(options.netlink, family, cidr);
    });
  }

  async sync(desired: ServiceRules): Promise<Applied> {
    const full = !this.#known;
    this.#known = false;
    const present = await this.#netlink.ipvsServices();
    if (present === null) throw new Error('this kernel has no IPVS');
    if (full) for (const [name, value] of settings) await writeFile(`/proc/sys/${name}`, value);
    const index = await this.#ensureLink();
    const rules = ipvsRules(desired.ports.values(), await this.#nodeAddresses(index));
    // The table first: a connection that gets through before it would not be masqueraded.
    for (const table of this.#tables) await table.sync(rules);
    await this.#addAddresses(index, rules);
    const changes = this.#changes(present, rules);
    if (changes.length > 0) await this.#netlink.ipvsApply(changes);
    await this.#removeAddresses(index, rules);
    this.#known = true;
    const removed = changes.filter(({ change }) => change.startsWith('delete')).length;
    return { added: changes.length - removed, removed, full, conflicts: [] };
  }

  async intact(): Promise<boolean> {
    if (!this.#known) return false;
    for (const table of this.#tables) {
      if (await table.intact()) continue;
      this.#known = false;
      return false;
    }
    return true;
  }

  async cleanup(): Promise<void> {
    this.#known = false;
    for (const table of this.#tables) await table.cleanup();
    const link = (await this.#netlink.links()).find((candidate) => candidate.name === linkName);
    if (link === undefined) return;
    // Only with our link are there virtual services of ours.
    const services = (await this.#netlink.ipvsServices()) ?? [];
    await this.#netlink.ipvsApply(services.map((service) => ({ change: 'deleteService', service })));
    await this.#netlink.linkDelete(link.index);
  }

  /** From what the kernel has to what is wanted. */
  #changes(present: readonly IpvsService[], rules: IpvsRules): IpvsChange[] {
    const changes: IpvsChange[] = [];
    const unwanted = new Map(present.map((service) => [keyOf(service), service]));
    for (const [key, wanted] of rules.services) {
      if (wanted.endpoints.length === 0) continue;
      const known = unwanted.get(key);
      unwanted.delete(key);
      changes.push(...this.#serviceChanges(known, wanted));
    }
    for (const [key, service] of unwanted) {
      changes.push({ change: 'deleteService', service });
      for (const draining of this.#drainingSince.keys()) {
        if (draining.startsWith(`${key} `)) this.#drainingSince.delete(draining);
      }
    }
    return changes;
  }

  #serviceChanges(known: IpvsService | undefined, wanted: VirtualService): IpvsChange[] {
    const { protocol, address, port, persistence } = wanted;
    const service = { protocol, address, port, persistence, scheduler: this.#scheduler };
    const changes: IpvsChange[] = [];
    if (known === undefined) changes.push({ change: 'addService', service });
    else if (known.persistence !== persistence || known.scheduler !== this.#scheduler) {
      changes.push({ change: 'setService', service });
    }
    const present = new Map((known?.destinations ?? []).map((one) => [`${one.address} ${one.port}`, one]));
    for (const { ip, port: endpointPort } of wanted.endpoints) {
      const name = `${ip} ${endpointPort}`;
      const destination = { address: ip, port: endpointPort, weight: 1 };
      const before = present.get(name);
      present.delete(name);
      this.#drainingSince.delete(`${keyOf(service)} ${name}`);
      if (before === undefined) changes.push({ change: 'addDestination', service, destination });
      else if (before.weight !== 1) changes.push({ change: 'setDestination', service, destination });
    }
    for (const [name, destination] of present) {
      const draining = `${keyOf(service)} ${name}`;
      const since = this.#drainingSince.get(draining) ?? this.#now();
      this.#drainingSince.set(draining, since);
      if (protocol === udp || this.#now() - since >= drainTime) {
        changes.push({ change: 'deleteDestination', service, destination });
        this.#drainingSince.delete(draining);
      } else if (destination.weight !== 0) {
        changes.push({ change: 'setDestination', service, destination: { ...destination, weight: 0 } });
      }
    }
    return changes;
  }

  async #ensureLink(): Promise<number> {
    const find = async () => (await this.#netlink.links()).find((candidate) => candidate.name === linkName);
    let link = await find();
    if (link === undefined) {
      await this.#netlink.linkAdd({ name: linkName, kind: 'dummy' });
      link = await find();
      if (link === undefined) throw new Error(`the link ${linkName} vanished`);
      await this.#netlink.linkSet({ index: link.index, up: true });
    }
    return link.index;
  }

  /** Addresses of the host that are not there for Services: where node ports answer. */
  async #nodeAddresses(serviceLink: number): Promise<string[]> {
    const addresses = await this.#netlink.addresses();
    return [
      ...new Set(
        addresses
          .filter(({ index, scope, address }) => index !== serviceLink && scope === 0 && !address.startsWith('127.'))
          .map(({ address }) => address),
      ),
    ].sort();
  }

  async #addAddresses(index: number, rules: IpvsRules): Promise<void> {
    const held = await this.#heldAddresses(index);
    for (const address of rules.addresses) {
      if (held.has(address)) continue;
      await this.#netlink.addressReplace({ index, address, prefixLength: address.includes(':') ? 128 : 32 });
    }
  }

  async #removeAddresses(index: number, rules: IpvsRules): Promise<void> {
    for (const [address, prefixLength] of await this.#heldAddresses(index)) {
      if (rules.addresses.has(address) || address.startsWith('fe80:')) continue;
      await this.#netlink.addressDelete({ index, address, prefixLength }).catch((error: unknown) => {
        if (!isNetlinkError(error, 'EADDRNOTAVAIL')) throw error;
      });
    }
  }

  async #heldAddresses(link: number): Promise<Map<string, number>> {
    const addresses = (await this.#netlink.addresses()).filter(({ index }) => index === link);
    return new Map(addresses.map(({ address, prefixLength }) => [address, prefixLength]));
  }
}

const udp = 17;

function keyOf({ protocol, address, port }: IpvsServiceKey): string {
  return `${protocol} ${address} ${port}`;
}
