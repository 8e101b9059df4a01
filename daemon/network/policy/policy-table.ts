import { createHash } from 'node:crypto';
import type { Netlink, NftablesExpression, NftablesOperation, NftablesVerdict } from '../../proxy/netlink.ts';
import { addressBytes, parsePrefix } from '../../proxy/nftables/addresses.ts';
import { protocolNumbers } from '../../proxy/nftables/elements.ts';
import {
  accept,
  anyBit,
  concatenatedType,
  ctState,
  dataTypes,
  drop,
  firstRegister,
  hooks,
  inSet,
  jumpTo,
  loadCt,
  lookUpVerdict,
  priorities,
  returns,
  setFlags,
  verdict,
  verdictType,
} from '../../proxy/nftables/expressions.ts';
import { PacketFields } from '../../proxy/nftables/packet-fields.ts';
import type { IpFamily, Protocol } from '../../proxy/service-rules.ts';
import { type AddressRange, intervalElements, subtractRanges } from '../intervals.ts';
import type { Direction, DirectionRules, IpBlock, PolicyRule, PolicyRules, PortRange } from './policy-rules.ts';

export const tableName = 'balsa-policy';
const forward = 'forward';
const self = 'self';

/** A set as it should be: how it is made, and how it is filled. */
interface WantedSet {
  readonly define: NftablesOperation;
  readonly fill: readonly NftablesOperation[];
}

interface Wanted {
  readonly sets: Map<string, WantedSet>;
  readonly chains: Map<string, readonly (readonly NftablesExpression[])[]>;
}

/**
 * Network policy in a table of its own, one for each family. The first packet of a connection passes `forward` after its
 * address was translated: one lookup of its source and one of its destination find the rules of the pod, if it has any.
 * Only sets and chains that changed are written, all in one transaction.
 */
export class PolicyTable {
  readonly #netlink: Netlink;
  readonly #family: IpFamily;
  readonly #fields: PacketFields;
  /** What the kernel holds, as text to compare; undefined: not known. */
  #written: { readonly sets: Map<string, string>; readonly chains: Map<string, string> } | undefined;

  constructor(netlink: Netlink, family: IpFamily) {
    this.#netlink = netlink;
    this.#family = family;
    this.#fields = new PacketFields(family);
  }

  async sync(rules: PolicyRules): Promise<void> {
    const isolated = rules.isolated.filter((ip) => this.#isOurs(ip));
    if (isolated.length === 0) {
      if (this.#written === undefined || this.#written.chains.size > 0) await this.cleanup();
      return;
    }
    const wanted = this.#wanted(rules, isolated);
    const present = this.#written?.chains.size === 0 ? undefined : this.#written;
    const before = present ?? { sets: new Map<string, string>(), chains: new Map<string, string>() };
    const after = {
      sets: new Map([...wanted.sets].map(([name, set]) => [name, textOf(set)])),
      chains: new Map([...wanted.chains].map(([name, chain]) => [name, textOf(chain)])),
    };
    const operations: NftablesOperation[] =
      present === undefined ? [...this.#remove(), { operation: 'addTable', ...this.#table }] : [];
    const changed = (kind: 'sets' | 'chains', name: string) => before[kind].get(name) !== after[kind].get(name);
    for (const [name, set] of wanted.sets) {
      if (!changed('sets', name)) continue;
      operations.push(before.sets.has(name) ? { operation: 'flushSet', ...this.#table, set: name } : set.define);
    }
    for (const [name, chain] of wanted.chains) {
      if (!changed('chains', name)) continue;
      operations.push(
        before.chains.has(name) ? { operation: 'flushChain', ...this.#table, chain: name } : this.#newChain(name),
      );
      for (const expressions of chain)
        operations.push({ operation: 'addRule', ...this.#table, chain: name, expressions });
    }
    // Elements lead to chains, so the chains are there first.
    for (const [name, set] of wanted.sets) if (changed('sets', name)) operations.push(...set.fill);
    const gone = [...before.chains.keys()].filter((name) => !after.chains.has(name));
    for (const chain of gone) operations.push({ operation: 'flushChain', ...this.#table, chain });
    for (const chain of gone) operations.push({ operation: 'deleteChain', ...this.#table, chain });
    for (const set of before.sets.keys()) {
      if (!after.sets.has(set)) operations.push({ operation: 'deleteSet', ...this.#table, set });
    }
    this.#written = undefined;
    if (operations.length > 0) await this.#netlink.nftablesCommit(operations);
    this.#written = after;
  }

  /** True when the kernel still has the table, if there should be one. */
  async intact(): Promise<boolean> {
    if (this.#written === undefined) return false;
    if (this.#written.chains.size === 0) return true;
    if ((await this.#netlink.nftablesTable(this.#family, tableName)) !== null) return true;
    this.#written = undefined;
    return false;
  }

  async cleanup(): Promise<void> {
    this.#written = undefined;
    await this.#netlink.nftablesCommit(this.#remove());
    this.#written = { sets: new Map(), chains: new Map() };
  }

  get #table() {
    return { family: this.#family, table: tableName } as const;
  }

  get #addressLength(): number {
    return this.#fields.addressLength;
  }

  get #addressType(): number {
    return this.#family === 'ip' ? dataTypes.address4 : dataTypes.address6;
  }

  #isOurs(ip: string): boolean {
    return ip.includes(':') === (this.#family === 'ip6');
  }

  #remove(): NftablesOperation[] {
    return [
      { operation: 'addTable', ...this.#table },
      { operation: 'deleteTable', ...this.#table },
    ];
  }

  #newChain(chain: string): NftablesOperation {
    if (chain !== forward) return { operation: 'addChain', ...this.#table, chain };
    const hook = { type: 'filter', hook: hooks.forward, priority: priorities.filter } as const;
    return { operation: 'addChain', ...this.#table, chain, ...hook };
  }

  #wanted(rules: PolicyRules, isolated: readonly string[]): Wanted {
    const wanted: Wanted = { sets: new Map(), chains: new Map() };
    const r = firstRegister;
    this.#addSet(wanted, self, [this.#addressType, this.#addressType], 2 * this.#addressLength, {
      keys: Buffer.concat(isolated.flatMap((ip) => [addressBytes(ip), addressBytes(ip)])),
    });
    for (const direction of ['egress', 'ingress'] as const) this.#addDirection(wanted, direction, rules[direction]);
    wanted.chains.set(forward, [
      [loadCt('state', r), ...anyBit(r, ctState.established | ctState.related), verdict(accept)],
      [this.#fields.source(r), this.#fields.destination(r + this.#addressLength / 4), inSet(self, r), verdict(accept)],
      [this.#fields.source(r), lookUpVerdict('egress', r)],
      [this.#fields.destination(r), lookUpVerdict('ingress', r)],
    ]);
    return wanted;
  }

  /** The map from pods to their chains, and the chains: they return what is allowed and drop the rest. */
  #addDirection(wanted: Wanted, direction: Direction, { pods, groups }: DirectionRules): void {
    const podsOf = new Map<string, Buffer[]>();
    for (const [ip, group] of pods) {
      if (!this.#isOurs(ip)) continue;
      podsOf.set(group, [...(podsOf.get(group) ?? []), addressBytes(ip)]);
    }
    const fill: NftablesOperation[] = [];
    for (const [group, ips] of podsOf) {
      const chain = `${direction}/${digest(group)}`;
      const rules = (groups.get(group) ?? []).flatMap((rule) => this.#rulesFor(wanted, direction, rule));
      wanted.chains.set(chain, [...rules, [verdict(drop)]]);
      fill.push(this.#elements(direction, this.#addressLength, { keys: Buffer.concat(ips), verdict: jumpTo(chain) }));
    }
    wanted.sets.set(direction, {
      define: {
        operation: 'addSet',
        ...this.#table,
        set: direction,
        flags: setFlags.map,
        keyType: this.#addressType,
        keyLength: this.#addressLength,
        dataType: verdictType,
      },
      fill,
    });
  }

  /** A rule by port numbers, and one by port names, where the policy has them. None: it allows nobody. */
  #rulesFor(wanted: Wanted, direction: Direction, rule: PolicyRule): NftablesExpression[][] {
    const r = firstRegister;
    const name = digest(rule.key);
    const peers: NftablesExpression[] = [];
    if (rule.peers !== undefined) {
      const ranges = this.#ranges(rule.peers.ips, rule.peers.blocks);
      if (ranges.length === 0) return [];
      const set = `peers-${name}`;
      this.#addSet(wanted, set, [this.#addressType], this.#addressLength, intervalElements(ranges), setFlags.interval);
      peers.push(direction === 'ingress' ? this.#fields.source(r) : this.#fields.destination(r), inSet(set, r));
    }
    if (rule.ports === undefined) return [[...peers, verdict(returns)]];
    const rules: NftablesExpression[][] = [];
    const { ranges, named } = rule.ports;
    if (ranges.length > 0) {
      const set = `ports-${name}`;
      const flags = setFlags.interval | setFlags.concatenation;
      this.#addSet(wanted, set, [dataTypes.protocol, dataTypes.service], 8, portIntervals(ranges), flags, [1, 2]);
      rules.push([...peers, ...this.#fields.nodePort(r), inSet(set, r), verdict(returns)]);
    }
    const ours = named.filter(({ ip }) => this.#isOurs(ip));
    if (ours.length > 0) {
      const set = `named-${name}`;
      const keys = new Set(
        ours.map(({ ip, protocol, port }) =>
          Buffer.concat([addressBytes(ip), portKey(protocol, port)]).toString('latin1'),
        ),
      );
      const types = [this.#addressType, dataTypes.protocol, dataTypes.service];
      this.#addSet(wanted, set, types, this.#addressLength + 8, { keys: Buffer.from([...keys].join(''), 'latin1') });
      rules.push([...peers, ...this.#fields.service(r), inSet(set, r), verdict(returns)]);
    }
    return rules;
  }

  #ranges(ips: readonly string[], blocks: readonly IpBlock[]): AddressRange[] {
    const ranges: AddressRange[] = ips
      .filter((ip) => this.#isOurs(ip))
      .map((ip) => {
        const bytes = addressBytes(ip);
        return { first: bytes, last: bytes };
      });
    for (const { cidr, except } of blocks) {
      const prefix = parsePrefix(cidr);
      if (prefix === undefined || !this.#isOurs(cidr)) continue;
      ranges.push(
        ...subtractRanges(
          prefix,
          except.flatMap((one) => (this.#isOurs(one) ? (parsePrefix(one) ?? []) : [])),
        ),
      );
    }
    return ranges;
  }

  #addSet(
    wanted: Wanted,
    set: string,
    types: readonly number[],
    keyLength: number,
    elements: { readonly keys: Buffer; readonly keyEnds?: Buffer; readonly elementFlags?: Uint8Array },
    flags = 0,
    fieldLengths?: readonly number[],
  ): void {
    wanted.sets.set(set, {
      define: {
        operation: 'addSet',
        ...this.#table,
        set,
        flags,
        keyType: concatenatedType(...types),
        keyLength,
        ...(fieldLengths !== undefined && { fieldLengths }),
      },
      fill: elements.keys.length === 0 ? [] : [this.#elements(set, keyLength, elements)],
    });
  }

  #elements(
    set: string,
    keyLength: number,
    elements: {
      readonly keys: Buffer;
      readonly keyEnds?: Buffer;
      readonly elementFlags?: Uint8Array;
      readonly verdict?: NftablesVerdict;
    },
  ): NftablesOperation {
    return { operation: 'addElements', ...this.#table, set, keyLength, ...elements };
  }
}

/** Ranges that neither overlap nor touch within a protocol, as first and last keys. */
function portIntervals(ranges: readonly PortRange[]): { keys: Buffer; keyEnds: Buffer } {
  const keys: Buffer[] = [];
  const keyEnds: Buffer[] = [];
  for (const protocol of new Set(ranges.map((range) => range.protocol))) {
    const merged: { first: number; last: number }[] = [];
    const sorted = ranges.filter((range) => range.protocol === protocol).sort((a, b) => a.first - b.first);
    for (const { first, last } of sorted) {
      const previous = merged.at(-1);
      if (previous !== undefined && first <= previous.last + 1) previous.last = Math.max(previous.last, last);
      else merged.push({ first, last });
    }
    for (const { first, last } of merged) {
      keys.push(portKey(protocol, first));
      keyEnds.push(portKey(protocol, last));
    }
  }
  return { keys: Buffer.concat(keys), keyEnds: Buffer.concat(keyEnds) };
}

function portKey(protocol: string, port: number): Buffer {
  return Buffer.from([protocolNumbers[protocol as Protocol] ?? 0, 0, 0, 0, port >> 8, port & 0xff, 0, 0]);
}

/** Names of policies may be longer than those of sets and chains. */
function digest(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 16);
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    // A Buffer comes as the object that its toJSON made.
    if (part instanceof Uint8Array) return Buffer.from(part).toString('latin1');
    return part;
  });
}
