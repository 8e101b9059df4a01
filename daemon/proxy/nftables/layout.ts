import type { NftablesExpression, NftablesOperation, NftablesVerdict } from '../netlink.ts';
import type { IpFamily } from '../service-rules.ts';
import { type Prefix, parsePrefix } from './addresses.ts';
import {
  anyBit,
  bitwise,
  concatenatedType,
  ctState,
  ctStatus,
  dataTypes,
  drop,
  firstRegister,
  goTo,
  hooks,
  hostOrder,
  inSet,
  isLocal,
  jumpTo,
  loadCt,
  loadMeta,
  lookUpVerdict,
  masquerade,
  noBit,
  notInSet,
  priorities,
  rejectPortUnreachable,
  setFlags,
  storeMeta,
  verdict,
  verdictType,
} from './expressions.ts';
import { masqueradeMark, PacketFields } from './packet-fields.ts';
import { ServiceChains } from './service-chains.ts';
import { type SetName, tableName } from './table.ts';

/**
 * The table, one for each IP family. What a packet costs does not depend on the number of Services: one hash lookup of
 * `address . protocol . port` finds the chain for the way this port is served, which is shared by all ports served the
 * same way (policy, number of endpoints, affinity), and one of `address . protocol . port . random number` the endpoint.
 * A Service is therefore elements only, and a change of one endpoint changes a few elements.
 */

export interface SetLayout {
  readonly keyLength: number;
  readonly dataLength: number;
  readonly holds: 'nothing' | 'verdict' | 'data';
  /** Keys come as first and last of an interval. */
  readonly interval: boolean;
  /** Filled by packets, not by us. */
  readonly dynamic: boolean;
}

interface Field {
  readonly type: number;
  readonly length: number;
}

export class Layout {
  readonly family: IpFamily;
  readonly sets: ReadonlyMap<SetName, SetLayout>;
  /** The chains that elements lead to. */
  readonly chains: ServiceChains;
  readonly #fields: PacketFields;
  readonly #definitions: NftablesOperation[] = [];

  /** `clusterCidr`: where pods live; without it, only traffic from outside by policy is masqueraded. */
  constructor(family: IpFamily, clusterCidr: Prefix | undefined) {
    this.family = family;
    this.chains = new ServiceChains(family, clusterCidr);
    this.#fields = new PacketFields(family);
    const address: Field = {
      type: family === 'ip' ? dataTypes.address4 : dataTypes.address6,
      length: this.#fields.addressLength,
    };
    const protocol: Field = { type: dataTypes.protocol, length: 1 };
    const port: Field = { type: dataTypes.service, length: 2 };
    const slot: Field = { type: dataTypes.mark, length: 4 };
    const service = [address, protocol, port];
    const nodePort = [protocol, port];
    const endpoint = [address, port];
    const sets = new Map<SetName, SetLayout>();
    const define = (
      name: SetName,
      key: readonly Field[],
      data: 'nothing' | 'verdict' | readonly Field[],
      kind: 'plain' | 'dynamic' | 'interval' = 'plain',
    ): void => {
      const hasData = typeof data !== 'string';
      const flags =
        (data === 'nothing' ? 0 : setFlags.map) |
        (kind === 'dynamic' ? setFlags.timeout | setFlags.eval : 0) |
        (kind === 'interval' ? setFlags.interval | setFlags.concatenation : 0);
      sets.set(name, {
        keyLength: paddedLength(key),
        dataLength: hasData ? paddedLength(data) : 0,
        holds: hasData ? 'data' : data,
        interval: kind === 'interval',
        dynamic: kind === 'dynamic',
      });
      this.#definitions.push({
        operation: 'addSet',
        family,
        table: tableName,
        set: name,
        flags,
        keyType: concatenatedType(...key.map((field) => field.type)),
        keyLength: paddedLength(key),
        ...(hasData && {
          dataType: concatenatedType(...data.map((field) => field.type)),
          dataLength: paddedLength(data),
        }),
        ...(data === 'verdict' && { dataType: verdictType }),
        ...(kind === 'dynamic' && { timeout: 10_800_000, size: 1_048_576 }),
        ...(kind === 'interval' && { fieldLengths: key.map((field) => field.length) }),
      });
    };
    define('service-ips', service, 'verdict');
    define('service-nodeports', nodePort, 'verdict');
    define('endpoints', [...service, slot], endpoint);
    define('local-endpoints', [...service, slot], endpoint);
    define('nodeport-endpoints', [...nodePort, slot], endpoint);
    define('nodeport-local-endpoints', [...nodePort, slot], endpoint);
    define('sticky-services', service, 'verdict');
    define('sticky-nodeports', nodePort, 'verdict');
    define('affinity', [address, ...service], endpoint, 'dynamic');
    define('nodeport-affinity', [address, ...nodePort], endpoint, 'dynamic');
    define('hairpin', [address, address], 'nothing');
    define('cluster-ips', [address], 'nothing');
    define('no-endpoint-services', service, 'verdict');
    define('no-endpoint-nodeports', nodePort, 'verdict');
    define('firewalled', service, 'nothing');
    define('firewall-allowed', [...service, address], 'nothing', 'interval');
    this.sets = sets;
  }

  /** Operations that create the table with everything but elements and the chains elements lead to. */
  create(): NftablesOperation[] {
    const { family } = this;
    const chain = (name: string, ...rules: NftablesExpression[][]): NftablesOperation[] => [
      { operation: 'addChain', family, table: tableName, chain: name },
      ...rules.map((expressions) => this.#rule(name, expressions)),
    ];
    const base = (
      name: string,
      type: 'filter' | 'nat',
      hook: keyof typeof hooks,
      priority: number,
      ...rules: NftablesExpression[][]
    ): NftablesOperation[] => [
      { operation: 'addChain', family, table: tableName, chain: name, type, hook: hooks[hook], priority },
      ...rules.map((expressions) => this.#rule(name, expressions)),
    ];
    const r = firstRegister;
    const isNew = [loadCt('state', r), ...anyBit(r, ctState.new)];
    const beforeNat = priorities.destinationNat - 10;
    const afterNat = priorities.destinationNat + 10;
    const isTranslated = [loadCt('status', r), ...anyBit(r, ctStatus.destinationNat)];
    const jump = (to: string) => verdict(jumpTo(to));
    return [
      { operation: 'addTable', family, table: tableName },
      ...this.#definitions,
      ...chain('reject', [rejectPortUnreachable(family)]),
      ...chain(
        'services',
        [...this.#fields.service(r), lookUpVerdict('service-ips', r)],
        [...isLocal('destination', r), ...this.#fields.nodePort(r), lookUpVerdict('service-nodeports', r)],
      ),
      ...chain(
        'endpoint-check',
        [...this.#fields.service(r), lookUpVerdict('no-endpoint-services', r)],
        [...isLocal('destination', r), ...this.#fields.nodePort(r), lookUpVerdict('no-endpoint-nodeports', r)],
      ),
      ...chain('cluster-ip-check', [this.#fields.destination(r), inSet('cluster-ips', r), verdict(goTo('reject'))]),
      ...chain('firewall-check', [
        ...this.#fields.service(r),
        inSet('firewalled', r),
        this.#fields.source(r + this.#fields.serviceRegisters),
        notInSet('firewall-allowed', r),
        verdict(drop),
      ]),
      ...chain(
        'affinity-update',
        [...this.#fields.originalService(r), lookUpVerdict('sticky-services', r)],
        [...this.#fields.originalNodePort(r), lookUpVerdict('sticky-nodeports', r)],
      ),
      ...base('nat-prerouting', 'nat', 'prerouting', priorities.destinationNat, [jump('services')]),
      ...base('nat-output', 'nat', 'output', priorities.destinationNat, [jump('services')]),
      ...base(
        'nat-postrouting',
        'nat',
        'postrouting',
        priorities.sourceNat,
        [
          loadMeta('mark', r),
          ...anyBit(r, masqueradeMark),
          // The mark has done its work: what follows on this host must not see it.
          loadMeta('mark', r),
          bitwise(r, hostOrder(~masqueradeMark), hostOrder(0)),
          storeMeta('mark', r),
          masquerade,
        ],
        [
          ...isTranslated,
          this.#fields.source(r),
          this.#fields.destination(r + this.#fields.addressRegisters),
          inSet('hairpin', r),
          masquerade,
        ],
      ),
      ...base('filter-prerouting', 'filter', 'prerouting', beforeNat, [...isNew, jump('firewall-check')]),
      ...base('filter-prerouting-after-nat', 'filter', 'prerouting', afterNat, [
        ...isNew,
        ...isTranslated,
        jump('affinity-update'),
      ]),
      ...base('filter-input', 'filter', 'input', beforeNat, ...this.#guardLoopback(), [
        ...isNew,
        jump('endpoint-check'),
      ]),
      ...base(
        'filter-forward',
        'filter',
        'forward',
        beforeNat,
        [...isNew, jump('endpoint-check')],
        [...isNew, jump('cluster-ip-check')],
      ),
      ...base('filter-output', 'filter', 'output', beforeNat, [...isNew, jump('firewall-check')]),
      ...base(
        'filter-output-after-nat',
        'filter',
        'output',
        afterNat,
        [...isNew, jump('endpoint-check')],
        [...isNew, jump('cluster-ip-check')],
        [...isNew, ...isTranslated, jump('affinity-update')],
      ),
    ];
  }

  #rule(chain: string, expressions: readonly NftablesExpression[]): NftablesOperation {
    return { operation: 'addRule', family: this.#fields.family, table: tableName, chain, expressions };
  }

  /**
   * Node ports on localhost need `route_localnet`, which would open the host's loopback services to its neighbours (CVE-2020-8558)
   * without this.
   */
  #guardLoopback(): NftablesExpression[][] {
    if (this.#fields.family === 'ip6') return [];
    const r = firstRegister;
    const loopback = parsePrefix('127.0.0.0/8')!;
    return [
      [
        ...this.#fields.destinationWithin('equal', loopback),
        ...this.#fields.sourceWithin('notEqual', loopback),
        loadCt('state', r),
        ...noBit(r, ctState.established | ctState.related),
        loadCt('status', r),
        ...noBit(r, ctStatus.destinationNat),
        verdict(drop),
      ],
    ];
  }
}

export function verdictOf(value: string): NftablesVerdict {
  return value === 'drop' ? drop : goTo(value);
}

function paddedLength(fields: readonly Field[]): number {
  return fields.reduce((length, field) => length + Math.ceil(field.length / 4) * 4, 0);
}
