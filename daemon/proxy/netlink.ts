import { loadAddon } from '../native-addon.ts';

/**
 * The typed binding of `native/netlink`. Every call runs off the main thread, in the network namespace the process is in,
 * and rejects with a `NetlinkError`.
 */
export interface Netlink {
  /** Applies all operations as one transaction: all of them, or none. */
  nftablesCommit(operations: readonly NftablesOperation[]): Promise<void>;
  /** The table's handle (it changes when somebody deletes and creates the table again); null: there is no such table. */
  nftablesTable(family: NftablesFamily, table: string): Promise<number | null>;
  nftablesElements(family: NftablesFamily, table: string, set: string): Promise<NftablesElements>;
  /** `protocol`: IP protocol number. */
  conntrackList(family: 'ip' | 'ip6', protocol: number): Promise<ConntrackEntry[]>;
  /** `originals`: the original direction of each connection to forget. Yields how many were still there. */
  conntrackDelete(originals: readonly ConntrackTuple[]): Promise<number>;
  /** All virtual services with their destinations; null: this kernel has no IPVS. */
  ipvsServices(): Promise<IpvsService[] | null>;
  /** One change after the other, up to the first that fails. */
  ipvsApply(changes: readonly IpvsChange[]): Promise<void>;
  links(): Promise<Link[]>;
  linkAdd(link: NewLink): Promise<void>;
  linkSet(change: LinkChange): Promise<void>;
  linkDelete(index: number): Promise<void>;
  addresses(): Promise<LinkAddress[]>;
  addressReplace(address: AddressChange): Promise<void>;
  addressDelete(address: AddressChange): Promise<void>;
  /** Tells the link's hosts that the address is here now: gratuitous ARP, or an unsolicited neighbour advertisement. */
  addressAnnounce(address: { readonly index: number; readonly address: string }): Promise<void>;
  routes(): Promise<Route[]>;
  routeReplace(route: RouteChange): Promise<void>;
  routeDelete(route: RouteChange): Promise<void>;
  neighbours(family: 'ip' | 'ip6' | 'bridge'): Promise<Neighbour[]>;
  neighbourReplace(neighbour: NeighbourChange): Promise<void>;
  neighbourDelete(neighbour: NeighbourChange): Promise<void>;
}

/** What a call of `Netlink` rejects with. `operation`: index of the failed operation of a transaction, if known. */
export interface NetlinkError extends Error {
  /** Such as `ENOENT`. */
  readonly code: string;
  readonly errno: number;
  readonly operation?: number;
}

export type NftablesFamily = 'ip' | 'ip6' | 'inet' | 'bridge';

/** `chain` goes with the codes of `goto` and `jump`. */
export interface NftablesVerdict {
  readonly code: number;
  readonly chain?: string;
}

/** One expression of a rule: `kind` is the kernel's name; the other properties are its attributes. Data is in network order. */
export interface NftablesExpression {
  readonly kind: string;
  readonly [property: string]: string | number | Uint8Array | NftablesVerdict | undefined;
}

interface InTable {
  readonly family: NftablesFamily;
  readonly table: string;
}

export type NftablesOperation = InTable &
  (
    | { readonly operation: 'addTable' | 'deleteTable' }
    | {
        readonly operation: 'addChain';
        readonly chain: string;
        /** With the three below: a base chain. */
        readonly type?: 'filter' | 'nat' | 'route';
        readonly hook?: number;
        readonly priority?: number;
        readonly policy?: number;
      }
    | { readonly operation: 'deleteChain' | 'flushChain'; readonly chain: string }
    | {
        readonly operation: 'addRule';
        readonly chain: string;
        readonly expressions: readonly NftablesExpression[];
        readonly comment?: string;
      }
    | {
        readonly operation: 'addSet';
        readonly set: string;
        readonly flags: number;
        readonly keyType: number;
        readonly keyLength: number;
        readonly dataType?: number;
        readonly dataLength?: number;
        /** Milliseconds. */
        readonly timeout?: number;
        readonly size?: number;
        /** Unpadded length of each part of the key: needed when a part holds an interval. */
        readonly fieldLengths?: readonly number[];
      }
    | { readonly operation: 'deleteSet' | 'flushSet'; readonly set: string }
    | {
        readonly operation: 'addElements' | 'deleteElements';
        readonly set: string;
        readonly keyLength: number;
        /** Keys one after another. */
        readonly keys: Uint8Array;
        /** Last key of each interval, when the set has intervals in a concatenation. */
        readonly keyEnds?: Uint8Array;
        readonly elementFlags?: Uint8Array;
        readonly dataLength?: number;
        readonly data?: Uint8Array;
        readonly verdict?: NftablesVerdict;
        /** Milliseconds of each element; 0: the set's own. */
        readonly timeouts?: Float64Array;
        readonly expirations?: Float64Array;
      }
  );

/** Packed elements. Milliseconds; a timeout of 0 is the set's own. */
export interface NftablesElements {
  readonly count: number;
  readonly keys: Buffer;
  readonly data: Buffer;
  readonly timeouts: Float64Array;
  readonly expirations: Float64Array;
}

export interface ConntrackTuple {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly protocol: number;
}

export interface ConntrackEntry {
  readonly original: ConntrackTuple;
  readonly reply: ConntrackTuple;
}

export interface IpvsServiceKey {
  /** IP protocol number. */
  readonly protocol: number;
  readonly address: string;
  readonly port: number;
}

export interface IpvsDestination {
  readonly address: string;
  readonly port: number;
  /** 0: takes no new connections. */
  readonly weight: number;
}

export interface IpvsService extends IpvsServiceKey {
  /** Such as `rr`. */
  readonly scheduler: string;
  /** Seconds a client stays with its destination; 0: it does not. */
  readonly persistence: number;
  readonly destinations: readonly IpvsDestination[];
}

export type IpvsChange =
  | { readonly change: 'addService' | 'setService'; readonly service: Omit<IpvsService, 'destinations'> }
  | { readonly change: 'deleteService'; readonly service: IpvsServiceKey }
  | {
      readonly change: 'addDestination' | 'setDestination' | 'deleteDestination';
      readonly service: IpvsServiceKey;
      readonly destination: IpvsDestination;
    };

export interface Link {
  readonly index: number;
  readonly name: string;
  /** `IFF_*` bits; 1 is up. */
  readonly flags: number;
  readonly mtu: number;
  readonly master: number;
  /** Index of the peer or of the link below. */
  readonly link: number;
  /** `aa:bb:cc:dd:ee:ff` */
  readonly address: string;
  /** `bridge`, `vxlan`, `veth`...; empty for hardware. */
  readonly kind: string;
  readonly vxlanId?: number;
  readonly vxlanPort?: number;
  readonly vxlanLocal?: string;
  readonly vxlanLink?: number;
}

export interface NewLink {
  readonly name: string;
  readonly kind: 'bridge' | 'vxlan' | 'veth' | 'dummy';
  readonly mtu?: number;
  readonly address?: string;
  readonly peer?: string;
  readonly vxlanId?: number;
  readonly vxlanPort?: number;
  readonly vxlanLocal?: string;
  readonly vxlanLink?: number;
}

export interface LinkChange {
  readonly index: number;
  readonly up?: boolean;
  readonly mtu?: number;
  readonly master?: number;
  /** Moves the link to the network namespace of that process. */
  readonly netnsPid?: number;
}

export interface AddressChange {
  readonly index: number;
  readonly address: string;
  readonly prefixLength: number;
  readonly scope?: number;
}

export interface LinkAddress extends AddressChange {
  readonly family: 'ip' | 'ip6';
  readonly scope: number;
}

export interface RouteChange {
  readonly destination: string;
  readonly prefixLength: number;
  readonly gateway?: string;
  readonly index?: number;
  readonly source?: string;
  readonly onLink?: boolean;
  readonly metric?: number;
  readonly table?: number;
  /** `RTPROT_*`: who made the route. */
  readonly protocol?: number;
  readonly scope?: number;
  readonly type?: number;
}

export interface Route extends RouteChange {
  readonly family: 'ip' | 'ip6';
  readonly index: number;
  readonly metric: number;
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
}

export interface NeighbourChange {
  /** `bridge`: a forwarding entry of a VXLAN link, whose `address` is the far tunnel end. */
  readonly family: 'ip' | 'ip6' | 'bridge';
  readonly index: number;
  readonly address: string;
  readonly linkAddress?: string;
}

export interface Neighbour extends NeighbourChange {
  readonly linkAddress: string;
  readonly state: number;
  readonly flags: number;
}

let loaded: Netlink | undefined;

/** The addon of this process. */
export function loadNetlink(): Netlink {
  loaded ??= loadAddon<Netlink>('netlink');
  return loaded;
}

export function isNetlinkError(error: unknown, code?: string): error is NetlinkError {
  return error instanceof Error && 'errno' in error && 'code' in error && (code === undefined || error.code === code);
}
