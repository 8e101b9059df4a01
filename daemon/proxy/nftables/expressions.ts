import type { NftablesExpression, NftablesVerdict } from '../netlink.ts';

/**
 * nf_tables expressions as functions, with the numbers of `linux/netfilter/nf_tables.h`. Registers are the sixteen of 32 bits
 * (`NFT_REG32_00` is 8), so a concatenated key lies in consecutive ones.
 */
export const firstRegister = 8;
const verdictRegister = 0;

export const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
/** Hook priorities of the kernel's own NAT. */
export const priorities = { destinationNat: -100, filter: 0, sourceNat: 100 } as const;
export const setFlags = { interval: 0x4, map: 0x8, timeout: 0x10, eval: 0x20, concatenation: 0x80 } as const;
/** Types as `nft` names them: they only tell it how to print. */
export const dataTypes = { address4: 7, address6: 8, protocol: 12, service: 13, mark: 19, ifname: 41 } as const;
/** `NFT_DATA_VERDICT` */
export const verdictType = 0xffffff00;
export const ctState = { established: 2, related: 4, new: 8 } as const;
export const ctStatus = { destinationNat: 0x20 } as const;
export const elementFlags = { intervalEnd: 1 } as const;

export const accept: NftablesVerdict = { code: 1 };
export const drop: NftablesVerdict = { code: 0 };
export const returns: NftablesVerdict = { code: -5 };
export const jumpTo = (chain: string): NftablesVerdict => ({ code: -3, chain });
export const goTo = (chain: string): NftablesVerdict => ({ code: -4, chain });

/** `nft`'s type number of a concatenation. */
export function concatenatedType(...types: number[]): number {
  return types.reduce((all, type) => (all << 6) | type, 0);
}

export function hostOrder(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  if (littleEndian) bytes.writeUInt32LE(value >>> 0);
  else bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

export const loadPayload = (
  base: 'network' | 'transport',
  offset: number,
  length: number,
  dreg: number,
): NftablesExpression => ({ kind: 'payload', base: base === 'network' ? 1 : 2, offset, length, dreg });

const metaKeys = { mark: 3, iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;
export const loadMeta = (key: keyof typeof metaKeys, dreg: number): NftablesExpression => ({
  kind: 'meta',
  key: metaKeys[key],
  dreg,
});
export const storeMeta = (key: keyof typeof metaKeys, sreg: number): NftablesExpression => ({
  kind: 'meta',
  key: metaKeys[key],
  sreg,
});

const ctKeys = { state: 0, status: 2 } as const;
export const loadCt = (key: keyof typeof ctKeys, dreg: number): NftablesExpression => ({
  kind: 'ct',
  key: ctKeys[key],
  dreg,
});

/** Where the connection was sent before translation. */
const originalKeys = { ip: 20, ip6: 22, port: 12 } as const;
export const loadOriginalDestination = (key: keyof typeof originalKeys, dreg: number): NftablesExpression => ({
  kind: 'ct',
  key: originalKeys[key],
  direction: 0,
  dreg,
});

/** The destination port is at the same place in TCP, UDP and SCTP. */
export const loadDestinationPort = (dreg: number): NftablesExpression => loadPayload('transport', 2, 2, dreg);

const comparisons = { equal: 0, notEqual: 1 } as const;
export const compare = (sreg: number, op: keyof typeof comparisons, data: Uint8Array): NftablesExpression => ({
  kind: 'cmp',
  sreg,
  op: comparisons[op],
  data,
});

/** `register = (register & mask) ^ xor` */
export const bitwise = (register: number, mask: Uint8Array, xor: Uint8Array): NftablesExpression => ({
  kind: 'bitwise',
  sreg: register,
  dreg: register,
  length: mask.length,
  mask,
  xor,
});

/** Goes on only if one of the bits is set in the register. */
export const anyBit = (register: number, bits: number): NftablesExpression[] => [
  bitwise(register, hostOrder(bits), hostOrder(0)),
  compare(register, 'notEqual', hostOrder(0)),
];

export const noBit = (register: number, bits: number): NftablesExpression[] => [
  bitwise(register, hostOrder(bits), hostOrder(0)),
  compare(register, 'equal', hostOrder(0)),
];

export const verdict = (data: NftablesVerdict): NftablesExpression => ({
  kind: 'immediate',
  dreg: verdictRegister,
  data,
});

/** Goes on only if the key at `sreg` is in the set. */
export const inSet = (set: string, sreg: number): NftablesExpression => ({ kind: 'lookup', set, sreg });
export const notInSet = (set: string, sreg: number): NftablesExpression => ({ kind: 'lookup', set, sreg, flags: 1 });
/** Loads the map's data to `dreg`; without the key, the rule ends. */
export const lookUp = (set: string, sreg: number, dreg: number): NftablesExpression => ({
  kind: 'lookup',
  set,
  sreg,
  dreg,
});
/** Takes the map's verdict; without the key, the rule ends. */
export const lookUpVerdict = (set: string, sreg: number): NftablesExpression => lookUp(set, sreg, verdictRegister);

/** Adds the key and data in registers to a dynamic map, or renews its timeout (milliseconds). */
export const update = (
  set: string,
  keyRegister: number,
  dataRegister: number,
  timeout: number,
): NftablesExpression => ({ kind: 'dynset', set, op: 1, keyRegister, dataRegister, timeout });

/** A random number from 0 to `modulus` - 1. */
export const random = (modulus: number, dreg: number): NftablesExpression => ({
  kind: 'numgen',
  type: 1,
  modulus,
  dreg,
  offset: 0,
});

/** Goes on only if the source or destination is an address of this host. */
export const isLocal = (which: 'source' | 'destination', register: number): NftablesExpression[] => [
  { kind: 'fib', dreg: register, result: 3, flags: which === 'source' ? 1 : 2 },
  compare(register, 'equal', hostOrder(2)),
];

export const destinationNat = (
  family: 'ip' | 'ip6',
  addressRegister: number,
  portRegister: number,
): NftablesExpression => ({ kind: 'nat', type: 1, family: family === 'ip' ? 2 : 10, addressRegister, portRegister });

/** To the address of the outgoing link, from a random port (`NF_NAT_RANGE_PROTO_RANDOM_FULLY`). */
export const masquerade: NftablesExpression = { kind: 'masq', flags: 0x10 };

export const rejectPortUnreachable = (family: 'ip' | 'ip6'): NftablesExpression => ({
  kind: 'reject',
  type: 0,
  code: family === 'ip' ? 3 : 4,
});
