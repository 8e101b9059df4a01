import { isIPv6 } from 'node:net';
import { isPodReady, isPodTerminal } from '../../apimachinery/conditions.ts';
import type { Node, Pod, Service, ServicePort } from '../../apimachinery/types/core-v1.ts';
import type { Endpoint, EndpointPort } from '../../apimachinery/types/discovery-v1.ts';
import { isTerminating } from '../workload/pod-state.ts';

export type AddressType = 'IPv4' | 'IPv6';

const zoneLabel = 'topology.kubernetes.io/zone';

/** Neither set nor `None`. */
export function isHeadless(service: Service): boolean {
  const clusterIP = service.spec?.clusterIP ?? '';
  return clusterIP === 'None' || (clusterIP === '' && service.spec?.type !== 'ExternalName');
}

export function addressTypesOf(service: Service): AddressType[] {
  const families = service.spec?.ipFamilies ?? [];
  if (families.length > 0) return families.map((family) => (family === 'IPv6' ? 'IPv6' : 'IPv4'));
  const clusterIP = service.spec?.clusterIP ?? '';
  if (clusterIP !== '' && clusterIP !== 'None') return [isIPv6(clusterIP) ? 'IPv6' : 'IPv4'];
  return ['IPv4', 'IPv6'];
}

export function podIpsOf(pod: Pod): string[] {
  const ips = (pod.status?.podIPs ?? [])
    .map(({ ip }) => ip)
    .filter((ip): ip is string => ip !== undefined && ip !== '');
  if (ips.length > 0) return ips;
  return pod.status?.podIP === undefined || pod.status.podIP === '' ? [] : [pod.status.podIP];
}

/** Has an address, has not finished and, unless asked for, is not being deleted. */
export function belongsInEndpoints(pod: Pod, includeTerminating: boolean): boolean {
  if (isPodTerminal(pod) || podIpsOf(pod).length === 0) return false;
  return includeTerminating || !isTerminating(pod);
}

/** The container port a Service port leads to in this pod; undefined when the pod has no port of that name. */
export function findTargetPort(pod: Pod, port: ServicePort): number | undefined {
  const { targetPort = port.port, protocol = 'TCP' } = port;
  if (typeof targetPort === 'number') return targetPort === 0 ? port.port : targetPort;
  const sidecars = (pod.spec?.initContainers ?? []).filter((container) => container.restartPolicy === 'Always');
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars]) {
    for (const candidate of container.ports ?? []) {
      if (candidate.name === targetPort && (candidate.protocol ?? 'TCP') === protocol) return candidate.containerPort;
    }
  }
  return undefined;
}

/** Ports of this Service on this pod. A named target port may differ from pod to pod. */
export function endpointPortsOf(service: Service, pod: Pod): EndpointPort[] {
  const ports: EndpointPort[] = [];
  for (const port of service.spec?.ports ?? []) {
    const target = findTargetPort(pod, port);
    if (target === undefined) continue;
    ports.push({
      name: port.name ?? '',
      port: target,
      protocol: port.protocol ?? 'TCP',
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    });
  }
  return ports;
}

/** The pod has a name of its own under the Service's domain. */
export function endpointHostname(pod: Pod, service: Service): string | undefined {
  const { hostname = '', subdomain = '' } = pod.spec ?? {};
  const named = hostname !== '' && subdomain === service.metadata.name;
  return named && pod.metadata.namespace === service.metadata.namespace ? hostname : undefined;
}

export function podEndpoint(
  pod: Pod,
  node: Node | undefined,
  service: Service,
  addressType: AddressType,
): Endpoint | undefined {
  const addresses = podIpsOf(pod).filter((ip) => isIPv6(ip) === (addressType === 'IPv6'));
  if (addresses.length === 0) return undefined;
  const serving = isPodReady(pod);
  const terminating = isTerminating(pod);
  const ready = service.spec?.publishNotReadyAddresses === true || (serving && !terminating);
  const { namespace, name, uid } = pod.metadata;
  const nodeName = pod.spec?.nodeName ?? '';
  const zone = node?.metadata.labels?.[zoneLabel] ?? '';
  const hostname = endpointHostname(pod, service);
  return {
    addresses,
    conditions: { ready, serving, terminating },
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === '' ? {} : { nodeName }),
    targetRef: {
      kind: 'Pod',
      ...(namespace === undefined ? {} : { namespace }),
      ...(name === undefined ? {} : { name }),
      ...(uid === undefined ? {} : { uid }),
    },
    ...(zone === '' ? {} : { zone }),
    ...endpointHints(service, ready, nodeName, zone),
  };
}

/** `spec.trafficDistribution`: clients of the same zone (or node) are sent to this endpoint first. */
function endpointHints(service: Service, ready: boolean, nodeName: string, zone: string): Pick<Endpoint, 'hints'> {
  if (!ready) return {};
  const forZones = zone === '' ? {} : { forZones: [{ name: zone }] };
  switch (service.spec?.trafficDistribution) {
    case 'PreferClose':
    case 'PreferSameZone':
      return zone === '' ? {} : { hints: forZones };
    case 'PreferSameNode':
      return nodeName === '' ? {} : { hints: { forNodes: [{ name: nodeName }], ...forZones } };
    default:
      return {};
  }
}
