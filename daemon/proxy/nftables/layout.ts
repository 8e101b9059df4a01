import type { NftablesExpression, NftablesOperation, NftablesVerdict } from '../netlink.ts';
import type { IpFamily } from '../service-rules.ts';
import type { Prefix } from './addresses.ts';
import {
  anyBit,
  bitwise,
  compare,
  concatenatedType,
  ctState,
  ctStatus,
  dataTypes,
  destinationNat,
  drop,
  firstRegister,
  goTo,
  hooks,
  hostOrder,
  inSet,
  isLocal,
  jumpTo,
  loadCt,
  loadDestinationPort,
  loadMeta,
  loadOriginalDestination,
  loadPayload,
  lookUp,
  lookUpVerdict,
  masquerade,
  noBit,
  notInSet,
  priorities,
  random,
  rejectPortUnreachable,
  setFlags,
  storeMeta,
  update,
  verdict,
  verdictType,
} from './expressions.ts';

/**
 * The table, one for each IP family. What a packet costs does not depend on the number of Services: one hash lookup of
 * `address . protocol . port` finds the chain for the way this port is served, which is shared by all ports served the
 * same way (policy, number of endpoints, affinity), and one of `address . protocol . port . random number` the endpoint.
 * A Service is therefore elements only, and a change of one endpoint changes a few elements.
 */
export const tableName = 'balsa-proxy';
/** The packet mark that kube-proxy uses for "masquerade this": other software knows to keep clear of it. */
const masqueradeMark = 0x4000;
const none = 'none';
const separator = '/or/';

export type SetName =
  | 'service-ips'
  | 'service-nodeports'
  | 'endpoints'
  | 'local-endpoints'
  | 'nodeport-endpoints'
  | 'nodeport-local-endpoints'
  | 'sticky-services'
  | 'sticky-nodeports'
  | 'affinity'
  | 'nodeport-affinity'
  | 'hairpin'
  | 'cluster-ips'
  | 'no-endpoint-services'
  | 'no-endpoint-nodeports'
  | 'firewalled'
  | 'firewall-allowed';

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
  readonly #addressLength: number;
  readonly #definitions: NftablesOperation[] = [];
  readonly #clusterCidr: Prefix | undefined;

  /** `clusterCidr`: where pods live; without it, only traffic from outside by policy is masqueraded. */
  constructor(family: IpFamily, clusterCidr: Prefix | undefined) {
    this.family = family;
    this.#addressLength = family === 'ip' ? 4 : 16;
    this.#clusterCidr = clusterCidr;
    const address: Field = {
      type: family === 'ip' ? dataTypes.address4 : dataTypes.address6,
      length: this.#addressLength,
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
        [...this.#loadService(r), lookUpVerdict('service-ips', r)],
        [...isLocal('destination', r), ...this.#loadNodePort(r), lookUpVerdict('service-nodeports', r)],
      ),
      ...chain(
        'endpoint-check',
        [...this.#loadService(r), lookUpVerdict('no-endpoint-services', r)],
        [...isLocal('destination', r), ...this.#loadNodePort(r), lookUpVerdict('no-endpoint-nodeports', r)],
      ),
      ...chain('cluster-ip-check', [this.#loadDestination(r), inSet('cluster-ips', r), verdict(goTo('reject'))]),
      ...chain('firewall-check', [
        ...this.#loadService(r),
        inSet('firewalled', r),
        this.#loadSource(r + this.#serviceRegisters),
        notInSet('firewall-allowed', r),
        verdict(drop),
      ]),
      ...chain(
        'affinity-update',
        [...this.#loadOriginalService(r), lookUpVerdict('sticky-services', r)],
        [...this.#loadOriginalNodePort(r), lookUpVerdict('sticky-nodeports', r)],
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
          this.#loadSource(r),
          this.#loadDestination(r + this.#addressRegisters),
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

  /**
   * The chain of a name that `serviceChain` or `endpointChain` made, with the names of those it leads to.
   */
  chain(name: string): { operations: NftablesOperation[]; leadsTo: string[] } {
    const operations: NftablesOperation[] = [
      { operation: 'addChain', family: this.family, table: tableName, chain: name },
    ];
    const leadsTo: string[] = [];
    const add = (...expressions: NftablesExpression[]) => operations.push(this.#rule(name, expressions));
    const goToChain = (to: string): NftablesExpression => {
      leadsTo.push(to);
      return verdict(goTo(to));
    };
    const r = firstRegister;
    const [kind = '', ...parts] = name.split('/');
    const rest = parts.join('/');
    switch (kind) {
      case 'internal': {
        if (this.#clusterCidr !== undefined) add(...this.#source('notEqual', this.#clusterCidr), ...this.#mark());
        add(goToChain(rest));
        break;
      }
      case 'external': {
        add(...this.#mark());
        add(goToChain(rest));
        break;
      }
      case 'external-local': {
        // From inside the cluster the way does not lead through a load balancer: such traffic may use every endpoint.
        const [local = none, cluster = none] = rest.split(separator);
        if (cluster !== none) {
          if (this.#clusterCidr !== undefined) add(...this.#source('equal', this.#clusterCidr), goToChain(cluster));
          add(...isLocal('source', r), ...this.#mark());
          add(...isLocal('source', r), goToChain(cluster));
        }
        if (local !== none) add(goToChain(local));
        break;
      }
      case 'choose': {
        const [map = '', count = ''] = parts;
        add(...this.#choose(map, Number(count)));
        break;
      }
      case 'sticky': {
        const [, map = ''] = parts;
        add(...this.#chooseAgain(map));
        add(goToChain(rest));
        break;
      }
      case 'remember':
      case 'remember-nodeport':
        add(...this.#remember(kind === 'remember' ? 'affinity' : 'nodeport-affinity', Number(rest)));
        break;
      default:
        throw new Error(`unknown chain '${name}'`);
    }
    return { operations, leadsTo };
  }

  get #addressRegisters(): number {
    return this.#addressLength / 4;
  }

  get #serviceRegisters(): number {
    return this.#addressRegisters + 2;
  }

  #rule(chain: string, expressions: readonly NftablesExpression[]): NftablesOperation {
    return { operation: 'addRule', family: this.family, table: tableName, chain, expressions };
  }

  #loadSource(register: number): NftablesExpression {
    return loadPayload('network', this.family === 'ip' ? 12 : 8, this.#addressLength, register);
  }

  #loadDestination(register: number): NftablesExpression {
    return loadPayload('network', this.family === 'ip' ? 16 : 24, this.#addressLength, register);
  }

  #loadNodePort(register: number): NftablesExpression[] {
    return [loadMeta('l4proto', register), loadDestinationPort(register + 1)];
  }

  #loadService(register: number): NftablesExpression[] {
    return [this.#loadDestination(register), ...this.#loadNodePort(register + this.#addressRegisters)];
  }

  #loadOriginalNodePort(register: number): NftablesExpression[] {
    return [loadMeta('l4proto', register), loadOriginalDestination('port', register + 1)];
  }

  #loadOriginalService(register: number): NftablesExpression[] {
    return [
      loadOriginalDestination(this.family, register),
      ...this.#loadOriginalNodePort(register + this.#addressRegisters),
    ];
  }

  /** Goes on only if the source is inside (`equal`) or outside the prefix. */
  #source(op: 'equal' | 'notEqual', prefix: Prefix): NftablesExpression[] {
    const r = firstRegister;
    return [
      this.#loadSource(r),
      bitwise(r, prefix.mask, Buffer.alloc(prefix.mask.length)),
      compare(r, op, prefix.first),
    ];
  }

  #mark(): NftablesExpression[] {
    const r = firstRegister;
    return [
      loadMeta('mark', r),
      bitwise(r, hostOrder(~masqueradeMark), hostOrder(masqueradeMark)),
      storeMeta('mark', r),
    ];
  }

  /**
   * Node ports on localhost need `route_localnet`, which would open the host's loopback services to its neighbours (CVE-2020-8558)
   * without this.
   */
  #guardLoopback(): NftablesExpression[][] {
    if (this.family === 'ip6') return [];
    const r = firstRegister;
    const loopback = (load: NftablesExpression, op: 'equal' | 'notEqual') => [
      load,
      bitwise(r, Buffer.from([255, 0, 0, 0]), Buffer.alloc(4)),
      compare(r, op, Buffer.from([127, 0, 0, 0])),
    ];
    return [
      [
        ...loopback(this.#loadDestination(r), 'equal'),
        ...loopback(this.#loadSource(r), 'notEqual'),
        loadCt('state', r),
        ...noBit(r, ctState.established | ctState.related),
        loadCt('status', r),
        ...noBit(r, ctStatus.destinationNat),
        verdict(drop),
      ],
    ];
  }

  /** Sends the connection to one of `count` endpoints in the map. */
  #choose(map: string, count: number): NftablesExpression[] {
    const r = firstRegister;
    const onNodePort = map.startsWith('nodeport-');
    const slot = r + (onNodePort ? 2 : this.#serviceRegisters);
    const target = slot + 1;
    return [
      ...(onNodePort ? this.#loadNodePort(r) : this.#loadService(r)),
      random(count, slot),
      lookUp(map, r, target),
      destinationNat(this.family, target, target + this.#addressRegisters),
    ];
  }

  /** Sends the connection where the client's last one went. */
  #chooseAgain(map: string): NftablesExpression[] {
    const r = firstRegister;
    const onNodePort = map.startsWith('nodeport-');
    const key = r + this.#addressRegisters;
    const target = key + (onNodePort ? 2 : this.#serviceRegisters);
    return [
      this.#loadSource(r),
      ...(onNodePort ? this.#loadNodePort(key) : this.#loadService(key)),
      lookUp(onNodePort ? 'nodeport-affinity' : 'affinity', r, target),
      destinationNat(this.family, target, target + this.#addressRegisters),
    ];
  }

  /** After translation: client, and where the connection was sent before it, lead to where it goes. */
  #remember(affinity: 'affinity' | 'nodeport-affinity', seconds: number): NftablesExpression[] {
    const r = firstRegister;
    const key = r + this.#addressRegisters;
    const target = key + (affinity === 'nodeport-affinity' ? 2 : this.#serviceRegisters);
    return [
      this.#loadSource(r),
      ...(affinity === 'nodeport-affinity' ? this.#loadOriginalNodePort(key) : this.#loadOriginalService(key)),
      this.#loadDestination(target),
      loadDestinationPort(target + this.#addressRegisters),
      update(affinity, r, target, seconds * 1000),
    ];
  }
}

/** Name of the chain that chooses among `count` endpoints of `map`. Undefined: there is none. */
export function chooseChain(map: SetName, count: number, sticky: boolean): string | undefined {
  if (count === 0) return undefined;
  return sticky ? `sticky/choose/${map}/${count}` : `choose/${map}/${count}`;
}

/** Remembers for so many seconds where a client was sent. */
export function rememberChain(seconds: number): string {
  return `remember/${seconds}`;
}

export function rememberNodePortChain(seconds: number): string {
  return `remember-nodeport/${seconds}`;
}

/** For cluster IPs: traffic from outside the cluster is masqueraded. */
export function internalChain(choose: string): string {
  return `internal/${choose}`;
}

/** For what is reached from outside under the Cluster policy: everything is masqueraded. */
export function externalChain(choose: string): string {
  return `external/${choose}`;
}

/** For what is reached from outside under the Local policy: clients keep their address. */
export function externalLocalChain(local: string | undefined, cluster: string | undefined): string {
  return `external-local/${local ?? none}${separator}${cluster ?? none}`;
}

export function verdictOf(value: string): NftablesVerdict {
  return value === 'drop' ? drop : goTo(value);
}

function paddedLength(fields: readonly Field[]): number {
  return fields.reduce((length, field) => length + Math.ceil(field.length / 4) * 4, 0);
}
