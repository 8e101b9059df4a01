import type { Service, ServicePort } from '../../apimachinery/types/core-v1.ts';
import { keepStatus, setOrDelete } from './status-separation.ts';

/** Node ports are given to services of these types. */
export function wantsNodePorts({ spec }: Service): boolean {
  return spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
}

export function wantsClusterIp({ spec }: Service): boolean {
  return spec.type !== 'ExternalName';
}

/** The node itself answers health checks of services whose traffic stays on the node. */
export function wantsHealthCheckPort({ spec }: Service): boolean {
  return spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
}

export function prepareServiceForCreate(service: Service): void {
  service.status = { loadBalancer: {} };
  dropTypeDependentFields(service, undefined);
}

/** What was allocated stays when an update leaves it out, and goes when the new type has no use for it. */
export function prepareServiceForUpdate(service: Service, old: Service): void {
  keepStatus(service, old);
  keepAllocated(service, old);
  dropTypeDependentFields(service, old);
  if (service.spec.type !== 'LoadBalancer' && old.spec.type === 'LoadBalancer') service.status = { loadBalancer: {} };
}

const portKey = (port: ServicePort) => `${port.protocol}/${port.port}`;

function keepAllocated(service: Service, old: Service): void {
  const { spec } = service;
  if (wantsClusterIp(service) && wantsClusterIp(old)) {
    if (!spec.clusterIP) setOrDelete(spec, 'clusterIP', old.spec.clusterIP);
    if (spec.clusterIPs === undefined && spec.clusterIP === old.spec.clusterIP) {
      setOrDelete(spec, 'clusterIPs', old.spec.clusterIPs);
    }
    if (spec.ipFamilies === undefined) setOrDelete(spec, 'ipFamilies', old.spec.ipFamilies);
    if (spec.ipFamilyPolicy === undefined) setOrDelete(spec, 'ipFamilyPolicy', old.spec.ipFamilyPolicy);
  }
  if (wantsNodePorts(service) && wantsNodePorts(old)) {
    const before = new Map((old.spec.ports ?? []).map((port) => [portKey(port), port.nodePort]));
    const taken = new Set((spec.ports ?? []).map((port) => port.nodePort).filter(Boolean));
    for (const port of spec.ports ?? []) {
      const known = before.get(portKey(port));
      if (!port.nodePort && known !== undefined && !taken.has(known)) port.nodePort = known;
    }
  }
  if (wantsHealthCheckPort(service) && wantsHealthCheckPort(old) && !spec.healthCheckNodePort) {
    setOrDelete(spec, 'healthCheckNodePort', old.spec.healthCheckNodePort);
  }
}

/** Fields a change of type leaves without meaning, unless the update itself sets them to something new. */
function dropTypeDependentFields(service: Service, old: Service | undefined): void {
  const { spec } = service;
  if (old === undefined) return;
  if (!wantsClusterIp(service) && wantsClusterIp(old)) {
    if (spec.clusterIP === old.spec.clusterIP) {
      delete spec.clusterIP;
      delete spec.clusterIPs;
      delete spec.ipFamilies;
      delete spec.ipFamilyPolicy;
    }
  }
  if (!wantsNodePorts(service) && wantsNodePorts(old)) {
    const before = new Map((old.spec.ports ?? []).map((port) => [portKey(port), port.nodePort]));
    for (const port of spec.ports ?? []) {
      if (port.nodePort === before.get(portKey(port)) && spec.type !== 'LoadBalancer') delete port.nodePort;
    }
  }
  if (!wantsHealthCheckPort(service) && wantsHealthCheckPort(old)) {
    if (spec.healthCheckNodePort === old.spec.healthCheckNodePort) delete spec.healthCheckNodePort;
  }
  if (spec.type !== 'LoadBalancer' && old.spec.type === 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts === old.spec.allocateLoadBalancerNodePorts) {
      delete spec.allocateLoadBalancerNodePorts;
    }
    if (spec.loadBalancerClass === old.spec.loadBalancerClass) delete spec.loadBalancerClass;
  }
  const isExternal = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  const wasExternal = old.spec.type === 'NodePort' || old.spec.type === 'LoadBalancer';
  if (!isExternal && wasExternal && (spec.externalIPs?.length ?? 0) === 0) {
    if (spec.externalTrafficPolicy === old.spec.externalTrafficPolicy) delete spec.externalTrafficPolicy;
  }
}
