import { isIP } from 'node:net';
import type { Service, ServicePort } from '../apimachinery/types/core-v1.ts';
import type { Endpoint, EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import type { HealthCheck, IpFamily, Protocol, RuleEndpoint, ServicePortRule } from './service-rules.ts';

/** What the node itself contributes to the rules. */
export interface NodeTopology {
  readonly nodeName: string;
  /** Of the label `topology.kubernetes.io/zone`; empty: unknown. */
  readonly zone: string;
  readonly nodeIps: readonly string[];
}

export const serviceNameLabel = 'kubernetes.io/service-name';
const proxyNameLabel = 'service.kubernetes.io/service-proxy-name';
const headlessLabel = 'service.kubernetes.io/headless';
const defaultAffinitySeconds = 10800;

interface KnownEndpoint extends RuleEndpoint {
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
}

/** False for Services that a service proxy leaves alone: headless, ExternalName, or handed to another proxy by label. */
export function isProxied(service: Service): boolean {
  const spec = service.spec;
  if (spec === undefined || spec.type === 'ExternalName') return false;
  if (spec.clusterIP === undefined || spec.clusterIP === '' || spec.clusterIP === 'None') return false;
  return service.metadata?.labels?.[proxyNameLabel] === undefined;
}

export function isProxiedSlice(slice: EndpointSlice): boolean {
  const labels = slice.metadata.labels;
  return labels?.[proxyNameLabel] === undefined && labels?.[headlessLabel] === undefined;
}

/** The rules of one Service on this node, given all its EndpointSlices. Pure. */
export function serviceRules(
  service: Service,
  slices: readonly EndpointSlice[],
  topology: NodeTopology,
): ServicePortRule[] {
  if (!isProxied(service)) return [];
  const spec = service.spec!;
  const clusterIps = spec.clusterIPs !== undefined && spec.clusterIPs.length > 0 ? spec.clusterIPs : [spec.clusterIP!];
  const rules: ServicePortRule[] = [];
  for (const clusterIp of clusterIps) {
    const family = familyOf(clusterIp);
    if (family === undefined) continue;
    for (const port of spec.ports ?? []) {
      rules.push(portRule(service, port, clusterIp, family, slices, topology));
    }
  }
  return rules;
}

/** The health check port that the Service asks every node to answer on; undefined: none. */
export function healthCheckOf(service: Service, rules: readonly ServicePortRule[]): HealthCheck | undefined {
  const spec = service.spec;
  if (spec?.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local') return undefined;
  if (spec.healthCheckNodePort === undefined || spec.healthCheckNodePort === 0) return undefined;
  const addresses = new Set(rules.flatMap((rule) => rule.localEndpoints.map((endpoint) => endpoint.ip)));
  return {
    port: spec.healthCheckNodePort,
    namespace: service.metadata?.namespace ?? '',
    name: service.metadata?.name ?? '',
    localEndpoints: addresses.size,
  };
}

export function familyOf(ip: string): IpFamily | undefined {
  const version = isIP(ip);
  return version === 4 ? 'ip' : version === 6 ? 'ip6' : undefined;
}

function portRule(
  service: Service,
  port: ServicePort,
  clusterIp: string,
  family: IpFamily,
  slices: readonly EndpointSlice[],
  topology: NodeTopology,
): ServicePortRule {
  const spec = service.spec!;
  const namespace = service.metadata?.namespace ?? '';
  const name = service.metadata?.name ?? '';
  const protocol = (port.protocol ?? 'TCP') as Protocol;
  const ofFamily = (ip: string) => familyOf(ip) === family;
  const externalIps = (spec.externalIPs ?? []).filter(ofFamily);
  // `ipMode: Proxy` means that traffic must go through the load balancer itself.
  const loadBalancerIps = (service.status?.loadBalancer?.ingress ?? [])
    .filter((ingress) => ingress.ipMode !== 'Proxy')
    .flatMap((ingress) => (ingress.ip !== undefined && ofFamily(ingress.ip) ? [ingress.ip] : []));
  const nodePort = port.nodePort ?? 0;
  const externallyReachable = nodePort !== 0 || externalIps.length > 0 || loadBalancerIps.length > 0;
  const internalLocal = spec.internalTrafficPolicy === 'Local';
  const externalLocal = externallyReachable && spec.externalTrafficPolicy === 'Local';
  const known = endpointsOf(slices, port.name ?? '', protocol, family, topology);
  const cluster = !internalLocal || externallyReachable ? clusterEndpoints(known, topology) : [];
  const local = internalLocal || externalLocal ? localEndpoints(known) : [];
  return {
    key: `${namespace}/${name}:${port.name ?? ''}/${protocol}/${family}`,
    namespace,
    name,
    portName: port.name ?? '',
    family,
    protocol,
    clusterIp,
    port: port.port,
    externalIps,
    loadBalancerIps,
    nodePort,
    sourceRanges: (spec.loadBalancerSourceRanges ?? [])
      .map((range) => range.trim())
      .filter((range) => {
        const ip = range.split('/')[0] ?? '';
        return ofFamily(ip);
      }),
    affinitySeconds:
      spec.sessionAffinity === 'ClientIP'
        ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinitySeconds)
        : 0,
    internalLocal,
    externalLocal,
    clusterEndpoints: cluster.map(plain),
    localEndpoints: local.map(plain),
    hasAnyEndpoints: known.some((endpoint) => endpoint.ready || (endpoint.serving && endpoint.terminating)),
  };
}

function plain(endpoint: KnownEndpoint): RuleEndpoint {
  return { ip: endpoint.ip, port: endpoint.port, local: endpoint.local };
}

/** Endpoints of one port from all slices, sorted, each address once: while it moves between slices it may be in two. */
function endpointsOf(
  slices: readonly EndpointSlice[],
  portName: string,
  protocol: Protocol,
  family: IpFamily,
  topology: NodeTopology,
): KnownEndpoint[] {
  const addressType = family === 'ip' ? 'IPv4' : 'IPv6';
  const known = new Map<string, KnownEndpoint>();
  for (const slice of slices) {
    if (slice.addressType !== addressType || !isProxiedSlice(slice)) continue;
    for (const port of slice.ports ?? []) {
      if ((port.name ?? '') !== portName || (port.protocol ?? 'TCP') !== protocol || port.port === undefined) continue;
      for (const endpoint of slice.endpoints ?? []) {
        // Consumers use the first address of an endpoint only.
        const ip = endpoint.addresses[0];
        if (ip === undefined || familyOf(ip) !== family) continue;
        const candidate = knownEndpoint(endpoint, ip, port.port, topology);
        const key = `${ip} ${port.port}`;
        const other = known.get(key);
        if (other === undefined || (!other.ready && candidate.ready)) known.set(key, candidate);
      }
    }
  }
  return [...known.values()].sort((a, b) => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : a.port - b.port));
}

function knownEndpoint(endpoint: Endpoint, ip: string, port: number, topology: NodeTopology): KnownEndpoint {
  const ready = endpoint.conditions?.ready ?? true;
  return {
    ip,
    port,
    local: endpoint.nodeName !== undefined && endpoint.nodeName === topology.nodeName,
    ready,
    serving: endpoint.conditions?.serving ?? ready,
    terminating: endpoint.conditions?.terminating ?? false,
    zones: (endpoint.hints?.forZones ?? []).map((zone) => zone.name),
    nodes: (endpoint.hints?.forNodes ?? []).map((node) => node.name),
  };
}

/** Ready endpoints that the topology hints give to this node; with none ready, those still serving while they terminate. */
function clusterEndpoints(known: readonly KnownEndpoint[], topology: NodeTopology): KnownEndpoint[] {
  const ready = known.filter((endpoint) => endpoint.ready);
  if (ready.length === 0) return known.filter((endpoint) => endpoint.serving && endpoint.terminating);
  return (
    hinted(ready, (endpoint) => endpoint.nodes, topology.nodeName) ??
    hinted(ready, (endpoint) => endpoint.zones, topology.zone) ??
    ready
  );
}

/** The endpoints hinted for `here`. Undefined unless every endpoint has a hint and one is for `here`: hints are all or nothing. */
function hinted(
  ready: readonly KnownEndpoint[],
  hintsOf: (endpoint: KnownEndpoint) => readonly string[],
  here: string,
): KnownEndpoint[] | undefined {
  if (here === '' || ready.some((endpoint) => hintsOf(endpoint).length === 0)) return undefined;
  const mine = ready.filter((endpoint) => hintsOf(endpoint).includes(here));
  return mine.length === 0 ? undefined : mine;
}

function localEndpoints(known: readonly KnownEndpoint[]): KnownEndpoint[] {
  const ready = known.filter((endpoint) => endpoint.local && endpoint.ready);
  if (ready.length > 0) return ready;
  return known.filter((endpoint) => endpoint.local && endpoint.serving && endpoint.terminating);
}
