import type { NftablesExpression } from '../netlink.ts';
import type { IpFamily } from '../service-rules.ts';
import type { Prefix } from './addresses.ts';
import {
  bitwise,
  compare,
  firstRegister,
  hostOrder,
  loadDestinationPort,
  loadMeta,
  loadOriginalDestination,
  loadPayload,
  storeMeta,
} from './expressions.ts';

/** The packet mark that kube-proxy uses for "masquerade this": other software knows to keep clear of it. */
export const masqueradeMark = 0x4000;

/** Expressions that load what rules look at, where the headers of one IP family have it. */
export class PacketFields {
  readonly family: IpFamily;
  readonly addressLength: number;
  /** Registers that an address fills, and an address with protocol and port. */
  readonly addressRegisters: number;
  readonly serviceRegisters: number;

  constructor(family: IpFamily) {
    this.family = family;
    this.addressLength = family === 'ip' ? 4 : 16;
    this.addressRegisters = this.addressLength / 4;
    this.serviceRegisters = this.addressRegisters + 2;
  }

  source(register: number): NftablesExpression {
    return loadPayload('network', this.family === 'ip' ? 12 : 8, this.addressLength, register);
  }

  destination(register: number): NftablesExpression {
    return loadPayload('network', this.family === 'ip' ? 16 : 24, this.addressLength, register);
  }

  /** Protocol and destination port. */
  nodePort(register: number): NftablesExpression[] {
    return [loadMeta('l4proto', register), loadDestinationPort(register + 1)];
  }

  /** Destination address, protocol and port. */
  service(register: number): NftablesExpression[] {
    return [this.destination(register), ...this.nodePort(register + this.addressRegisters)];
  }

  /** As `nodePort`, as it was before the connection was translated. */
  originalNodePort(register: number): NftablesExpression[] {
    return [loadMeta('l4proto', register), loadOriginalDestination('port', register + 1)];
  }

  originalService(register: number): NftablesExpression[] {
    return [loadOriginalDestination(this.family, register), ...this.originalNodePort(register + this.addressRegisters)];
  }

  /** Goes on only if the source is inside (`equal`) or outside the prefix. */
  sourceWithin(op: 'equal' | 'notEqual', prefix: Prefix): NftablesExpression[] {
    return this.#within(this.source(firstRegister), op, prefix);
  }

  destinationWithin(op: 'equal' | 'notEqual', prefix: Prefix): NftablesExpression[] {
    return this.#within(this.destination(firstRegister), op, prefix);
  }

  #within(load: NftablesExpression, op: 'equal' | 'notEqual', prefix: Prefix): NftablesExpression[] {
    const r = firstRegister;
    return [load, bitwise(r, prefix.mask, Buffer.alloc(this.addressLength)), compare(r, op, prefix.first)];
  }
}

/** Has the packet masqueraded when it leaves. */
export function markForMasquerade(): NftablesExpression[] {
  const r = firstRegister;
  return [loadMeta('mark', r), bitwise(r, hostOrder(~masqueradeMark), hostOrder(masqueradeMark)), storeMeta('mark', r)];
}
