/**
 * What the kernel of one node should do for Services: the desired state that every `RuleBackend` programs. Plain data in
 * which nothing names a backend. An unchanged Service keeps its `ServicePortRule` objects from one state to the next, so a
 * backend finds what changed by identity.
 */
export interface ServiceRules {
  /** By `namespace/name:port name/PROTOCOL/family`. */
  readonly ports: ReadonlyMap<string, ServicePortRule>;
}

export type IpFamily = 'ip' | 'ip6';
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

export interface RuleEndpoint {
  readonly ip: string;
  readonly port: number;
  /** On this node. */
  readonly local: boolean;
}

/** One port of one Service in one IP family. */
export interface ServicePortRule {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly portName: string;
  readonly family: IpFamily;
  readonly protocol: Protocol;
  readonly clusterIp: string;
  readonly port: number;
  readonly externalIps: readonly string[];
  readonly loadBalancerIps: readonly string[];
  /** 0: none. */
  readonly nodePort: number;
  /** CIDRs that may use the load balancer's addresses; empty: all. */
  readonly sourceRanges: readonly string[];
  /** Seconds a client stays with its endpoint; 0: no affinity. */
  readonly affinitySeconds: number;
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
  /** Endpoints for traffic under the Cluster policy, and for local and pod traffic under an external Local policy. */
  readonly clusterEndpoints: readonly RuleEndpoint[];
  /** Endpoints on this node for traffic under a Local policy. */
  readonly localEndpoints: readonly RuleEndpoint[];
  /** There is a usable endpoint somewhere: a Local policy without a local endpoint drops instead of rejecting. */
  readonly hasAnyEndpoints: boolean;
}

/** The endpoints that traffic to the cluster IP is spread over. */
export function internalEndpoints(rule: ServicePortRule): readonly RuleEndpoint[] {
  return rule.internalLocal ? rule.localEndpoints : rule.clusterEndpoints;
}

/** The endpoints that traffic from outside the cluster is spread over. */
export function externalEndpoints(rule: ServicePortRule): readonly RuleEndpoint[] {
  return rule.externalLocal ? rule.localEndpoints : rule.clusterEndpoints;
}

/** A service of type LoadBalancer with `externalTrafficPolicy: Local`: load balancers ask this port whether to send here. */
export interface HealthCheck {
  readonly port: number;
  readonly namespace: string;
  readonly name: string;
  readonly localEndpoints: number;
}

export interface Applied {
  /** Elements and rules written. */
  readonly added: number;
  readonly removed: number;
  /** True when everything was written anew. */
  readonly full: boolean;
  /** Ports whose address and port another Service had first, by `ServicePortRule.key`. */
  readonly conflicts: readonly string[];
}

/**
 * Makes the kernel do what the rules say, in one atomic step where the kernel can. Writes only what differs from what it wrote last;
 * after an error the next call writes everything anew. Calls must not overlap.
 */
export interface RuleBackend {
  readonly name: 'nftables' | 'iptables' | 'ipvs';
  sync(desired: ServiceRules): Promise<Applied>;
  /** True when the kernel still holds what was written last, as far as can be told cheaply. */
  intact(): Promise<boolean>;
  /** Removes everything the backend ever wrote. */
  cleanup(): Promise<void>;
}
