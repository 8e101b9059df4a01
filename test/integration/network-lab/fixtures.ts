import type { Service, ServiceSpec } from '../../../daemon/apimachinery/types/core-v1.ts';
import type { Endpoint, EndpointSlice } from '../../../daemon/apimachinery/types/discovery-v1.ts';
import { serviceRules } from '../../../daemon/proxy/service-port-rules.ts';
import type { ServicePortRule, ServiceRules } from '../../../daemon/proxy/service-rules.ts';
import { Lab, nodeIp } from './lab.ts';

const topology = { nodeName: 'node0', zone: '', nodeIps: [nodeIp] };

export interface ServiceFixture {
  readonly name: string;
  readonly spec: Partial<ServiceSpec> & { readonly clusterIP: string };
  /** Indices of pods of the lab. */
  readonly pods: readonly number[];
  /** Pods that count as running on another node. */
  readonly remote?: readonly number[];
  readonly loadBalancerIps?: readonly string[];
  readonly endpoint?: Partial<Endpoint>;
}

export function serviceOf({ name, spec, loadBalancerIps = [] }: ServiceFixture): Service {
  return {
    metadata: { name, namespace: 'default' },
    spec: { type: 'ClusterIP', ports: [{ port: 80, protocol: 'TCP' }], ...spec },
    status: { loadBalancer: { ingress: loadBalancerIps.map((ip) => ({ ip })) } },
  };
}

export function sliceOf({ name, spec, pods, remote = [], endpoint }: ServiceFixture): EndpointSlice {
  const six = spec.clusterIP.includes(':');
  return {
    metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
    addressType: six ? 'IPv6' : 'IPv4',
    ports: (spec.ports ?? [{ protocol: 'TCP' }]).map((port) => ({
      ...('name' in port && port.name !== undefined && { name: port.name }),
      port: 8080,
      protocol: port.protocol ?? 'TCP',
    })),
    endpoints: pods.map((pod) => ({
      addresses: [six ? Lab.podIp6(pod) : Lab.podIp(pod)],
      conditions: { ready: true },
      nodeName: remote.includes(pod) ? 'node1' : 'node0',
      ...endpoint,
    })),
  };
}

export function rulesOf(...fixtures: ServiceFixture[]): ServiceRules {
  const ports = new Map<string, ServicePortRule>();
  for (const fixture of fixtures) {
    for (const rule of serviceRules(serviceOf(fixture), [sliceOf(fixture)], topology)) ports.set(rule.key, rule);
  }
  return { ports };
}
