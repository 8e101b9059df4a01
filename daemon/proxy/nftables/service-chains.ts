import type { NftablesExpression, NftablesOperation } from '../netlink.ts';
import type { IpFamily } from '../service-rules.ts';
import type { Prefix } from './addresses.ts';
import {
  destinationNat,
  firstRegister,
  goTo,
  isLocal,
  loadDestinationPort,
  lookUp,
  random,
  update,
  verdict,
} from './expressions.ts';
import { markForMasquerade, PacketFields } from './packet-fields.ts';
import { type SetName, tableName } from './table.ts';

const none = 'none';
const separator = '/or/';

/**
 * The chains that elements lead to. A chain stands for a way of serving, not for a Service; its name says all there is to it, so
 * that it can be made from the name, shared, and removed when nothing leads there any more.
 */
export class ServiceChains {
  readonly #fields: PacketFields;
  readonly #clusterCidr: Prefix | undefined;

  /** `clusterCidr`: where pods live; without it, only traffic from outside by policy is masqueraded. */
  constructor(family: IpFamily, clusterCidr: Prefix | undefined) {
    this.#fields = new PacketFields(family);
    this.#clusterCidr = clusterCidr;
  }

  /**
   * The chain of one of the names below, with the names of those it leads to.
   */
  build(name: string): { operations: NftablesOperation[]; leadsTo: string[] } {
    const operations: NftablesOperation[] = [
      { operation: 'addChain', family: this.#fields.family, table: tableName, chain: name },
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
        if (this.#clusterCidr !== undefined)
          add(...this.#fields.sourceWithin('notEqual', this.#clusterCidr), ...markForMasquerade());
        add(goToChain(rest));
        break;
      }
      case 'external': {
        add(...markForMasquerade());
        add(goToChain(rest));
        break;
      }
      case 'external-local': {
        // From inside the cluster the way does not lead through a load balancer: such traffic may use every endpoint.
        const [local = none, cluster = none] = rest.split(separator);
        if (cluster !== none) {
          if (this.#clusterCidr !== undefined)
            add(...this.#fields.sourceWithin('equal', this.#clusterCidr), goToChain(cluster));
          add(...isLocal('source', r), ...markForMasquerade());
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

  #rule(chain: string, expressions: readonly NftablesExpression[]): NftablesOperation {
    return { operation: 'addRule', family: this.#fields.family, table: tableName, chain, expressions };
  }

  /** Sends the connection to one of `count` endpoints in the map. */
  #choose(map: string, count: number): NftablesExpression[] {
    const r = firstRegister;
    const onNodePort = map.startsWith('nodeport-');
    const slot = r + (onNodePort ? 2 : this.#fields.serviceRegisters);
    const target = slot + 1;
    return [
      ...(onNodePort ? this.#fields.nodePort(r) : this.#fields.service(r)),
      random(count, slot),
      lookUp(map, r, target),
      destinationNat(this.#fields.family, target, target + this.#fields.addressRegisters),
    ];
  }

  /** Sends the connection where the client's last one went. */
  #chooseAgain(map: string): NftablesExpression[] {
    const r = firstRegister;
    const onNodePort = map.startsWith('nodeport-');
    const key = r + this.#fields.addressRegisters;
    const target = key + (onNodePort ? 2 : this.#fields.serviceRegisters);
    return [
      this.#fields.source(r),
      ...(onNodePort ? this.#fields.nodePort(key) : this.#fields.service(key)),
      lookUp(onNodePort ? 'nodeport-affinity' : 'affinity', r, target),
      destinationNat(this.#fields.family, target, target + this.#fields.addressRegisters),
    ];
  }

  /** After translation: client, and where the connection was sent before it, lead to where it goes. */
  #remember(affinity: 'affinity' | 'nodeport-affinity', seconds: number): NftablesExpression[] {
    const r = firstRegister;
    const key = r + this.#fields.addressRegisters;
    const target = key + (affinity === 'nodeport-affinity' ? 2 : this.#fields.serviceRegisters);
    return [
      this.#fields.source(r),
      ...(affinity === 'nodeport-affinity' ? this.#fields.originalNodePort(key) : this.#fields.originalService(key)),
      this.#fields.destination(target),
      loadDestinationPort(target + this.#fields.addressRegisters),
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
