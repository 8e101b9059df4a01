import type { Netlink, NftablesExpression, NftablesOperation } from '../netlink.ts';
import { addressBytes, type Prefix, parsePrefix } from '../nftables/addresses.ts';
import {
  anyBit,
  concatenatedType,
  ctState,
  dataTypes,
  drop,
  firstRegister,
  hooks,
  inSet,
  loadCt,
  loadMeta,
  masquerade,
  notInSet,
  priorities,
  rejectPortUnreachable,
  setFlags,
  verdict,
} from '../nftables/expressions.ts';
import { markForMasquerade, masqueradeMark, PacketFields } from '../nftables/packet-fields.ts';
import type { IpFamily } from '../service-rules.ts';
import type { FrontendPolicy, IpvsRules } from './virtual-services.ts';

export const tableName = 'balsa-ipvs';
/** Behind the hooks where IPVS takes its packets from the input path. */
const behindIpvs = 110;

const setNames = [
  'masquerade-always',
  'masquerade-outside',
  'endpointless',
  'firewalled',
  'hairpin',
  'addresses',
] as const;
type PlainSet = (typeof setNames)[number];

/**
 * What IPVS leaves to do around it, in an nf_tables table: masquerading, source ranges, and packets that no virtual service
 * takes. A change writes the whole table, in one transaction.
 */
export class CompanionTable {
  readonly #netlink: Netlink;
  readonly #family: IpFamily;
  readonly #fields: PacketFields;
  readonly #clusterCidr: Prefix | undefined;
  /** What the kernel holds, as text to compare; undefined: not known. */
  #written: string | undefined;

  constructor(netlink: Netlink, family: IpFamily, clusterCidr: Prefix | undefined) {
    this.#netlink = netlink;
    this.#family = family;
    this.#fields = new PacketFields(family);
    this.#clusterCidr = clusterCidr;
  }

  async sync(rules: IpvsRules): Promise<void> {
    const { plain, allowed } = this.#contents(rules);
    const text = JSON.stringify([[...plain].map(([name, keys]) => [name, [...keys]]), [...allowed]]);
    if (text === this.#written) return;
    this.#written = undefined;
    const table = { family: this.#family, table: tableName } as const;
    const fill: NftablesOperation[] = [];
    for (const [set, keys] of plain) {
      if (keys.size === 0) continue;
      const bytes = Buffer.from([...keys].join(''), 'latin1');
      fill.push({ operation: 'addElements', ...table, set, keyLength: this.#keyLength(set), keys: bytes });
    }
    if (allowed.size > 0) {
      const keyLength = this.#serviceLength + this.#addressLength;
      const halves = (from: number, to?: number) =>
        Buffer.from([...allowed].map((key) => key.slice(from, to)).join(''), 'latin1');
      const elements = { keyLength, keys: halves(0, keyLength), keyEnds: halves(keyLength) };
      fill.push({ operation: 'addElements', ...table, set: 'firewall-allowed', ...elements });
    }
    await this.#netlink.nftablesCommit([...this.#remove(), ...this.#create(), ...fill]);
    this.#written = text;
  }

  async intact(): Promise<boolean> {
    if (this.#written === undefined) return false;
    if ((await this.#netlink.nftablesTable(this.#family, tableName)) !== null) return true;
    this.#written = undefined;
    return false;
  }

  async cleanup(): Promise<void> {
    this.#written = undefined;
    await this.#netlink.nftablesCommit(this.#remove());
  }

  get #addressLength(): number {
    return this.#fields.addressLength;
  }

  get #serviceLength(): number {
    return this.#addressLength + 8;
  }

  #keyLength(set: PlainSet): number {
    if (set === 'addresses') return this.#addressLength;
    return set === 'hairpin' ? 2 * this.#addressLength : this.#serviceLength;
  }

  #contents(rules: IpvsRules): { plain: Map<PlainSet, Set<string>>; allowed: Set<string> } {
    const plain = new Map(setNames.map((name) => [name, new Set<string>()]));
    const allowed = new Set<string>();
    for (const frontend of rules.frontends) {
      if (frontend.family !== this.#family) continue;
      const key = serviceKey(frontend);
      if (frontend.masquerade !== 'never') plain.get(`masquerade-${frontend.masquerade}`)!.add(key);
      if (frontend.withoutEndpoints === 'drop') plain.get('endpointless')!.add(key);
      if (frontend.sources === undefined) continue;
      plain.get('firewalled')!.add(key);
      const prefixes = frontend.sources.flatMap((source) => parsePrefix(source) ?? []);
      for (const { first, last } of prefixes) {
        // The kernel refuses overlaps; prefixes nest or are apart.
        const inside = prefixes.some(
          (other) =>
            Buffer.compare(other.first, first) <= 0 &&
            Buffer.compare(other.last, last) >= 0 &&
            (!other.first.equals(first) || !other.last.equals(last)),
        );
        if (!inside) allowed.add(key + first.toString('latin1') + key + last.toString('latin1'));
      }
    }
    for (const { ip, family } of rules.localEndpoints) {
      const bytes = addressBytes(ip).toString('latin1');
      if (family === this.#family) plain.get('hairpin')!.add(bytes + bytes);
    }
    for (const address of rules.addresses) {
      const bytes = addressBytes(address);
      if (bytes.length === this.#addressLength) plain.get('addresses')!.add(bytes.toString('latin1'));
    }
    return { plain, allowed };
  }

  #remove(): NftablesOperation[] {
    const table = { family: this.#family, table: tableName } as const;
    return [
      { operation: 'addTable', ...table },
      { operation: 'deleteTable', ...table },
    ];
  }

  #create(): NftablesOperation[] {
    const table = { family: this.#family, table: tableName } as const;
    const address = this.#family === 'ip' ? dataTypes.address4 : dataTypes.address6;
    const service = [address, dataTypes.protocol, dataTypes.service];
    const typesOf = (set: PlainSet) =>
      set === 'addresses' ? [address] : set === 'hairpin' ? [address, address] : service;
    const r = firstRegister;
    const { addressRegisters, serviceRegisters } = this.#fields;
    const loadService = this.#fields.service(r);
    const destination = this.#fields.destination(r);
    const mark = markForMasquerade();
    const isNew = [loadCt('state', r), ...anyBit(r, ctState.new)];
    const outside = this.#clusterCidr === undefined ? [] : this.#fields.sourceWithin('notEqual', this.#clusterCidr);
    const arriving: NftablesExpression[][] = [
      [
        ...isNew,
        ...loadService,
        inSet('firewalled', r),
        this.#fields.source(r + serviceRegisters),
        notInSet('firewall-allowed', r),
        verdict(drop),
      ],
      // Every packet is marked: IPVS sends on each by itself, and address translation looks at the first only.
      [...loadService, inSet('masquerade-always', r), ...mark],
      ...(outside.length === 0 ? [] : [[...loadService, inSet('masquerade-outside', r), ...outside, ...mark]]),
    ];
    const chain = (
      name: string,
      type: 'filter' | 'nat',
      hook: keyof typeof hooks,
      priority: number,
      rules: readonly NftablesExpression[][],
    ): NftablesOperation[] => [
      { operation: 'addChain', ...table, chain: name, type, hook: hooks[hook], priority },
      ...rules.map((expressions): NftablesOperation => ({ operation: 'addRule', ...table, chain: name, expressions })),
    ];
    const first = priorities.destinationNat - 10;
    return [
      { operation: 'addTable', ...table },
      ...setNames.map(
        (set): NftablesOperation => ({
          operation: 'addSet',
          ...table,
          set,
          flags: 0,
          keyType: concatenatedType(...typesOf(set)),
          keyLength: this.#keyLength(set),
        }),
      ),
      {
        operation: 'addSet',
        ...table,
        set: 'firewall-allowed',
        flags: setFlags.interval | setFlags.concatenation,
        keyType: concatenatedType(...service, address),
        keyLength: this.#serviceLength + this.#addressLength,
        fieldLengths: [this.#addressLength, 1, 2, this.#addressLength],
      },
      ...chain('prerouting', 'filter', 'prerouting', first, arriving),
      ...chain('output', 'filter', 'output', first, arriving),
      ...chain('input-drop', 'filter', 'input', first, [[...loadService, inSet('endpointless', r), verdict(drop)]]),
      ...chain('input-reject', 'filter', 'input', behindIpvs, [
        [...isNew, destination, inSet('addresses', r), rejectPortUnreachable(this.#family)],
      ]),
      ...chain('postrouting', 'nat', 'postrouting', priorities.sourceNat, [
        [loadMeta('mark', r), ...anyBit(r, masqueradeMark), masquerade],
        [this.#fields.source(r), this.#fields.destination(r + addressRegisters), inSet('hairpin', r), masquerade],
      ]),
    ];
  }
}

function serviceKey({ address, protocol, port }: FrontendPolicy): string {
  const rest = Buffer.from([protocol, 0, 0, 0, port >> 8, port & 0xff, 0, 0]);
  return Buffer.concat([addressBytes(address), rest]).toString('latin1');
}
