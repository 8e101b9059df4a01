import type { Endpoints, Service, ServicePort } from '../../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../../apimachinery/types/discovery-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import { isExternallyReachable } from '../resources/defaults/service.ts';
import {
  duplicate,
  type Errors,
  forbidden,
  immutableMessage,
  invalid,
  invalidAll,
  notSupported,
  required,
  tooMany,
} from './field-error.ts';
import {
  cidrMessage,
  dns1123Label,
  dns1123Subdomain,
  inclusiveRange,
  ipMessage,
  isCidr,
  isIp,
  portMessage,
  portName,
  qualifiedName,
  validPort,
} from './names.ts';
import { validateLabels } from './object-meta.ts';
import { validatePortNumberOrName } from './probes.ts';

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const protocols = ['SCTP', 'TCP', 'UDP'];
const distributions = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];
const trafficPolicies = ['Cluster', 'Local'];
/** A day: the longest a client may stick to an endpoint. */
const mostAffinitySeconds = 86_400;

function validatePort(port: ServicePort, needsName: boolean, names: Set<string>, at: string, errors: Errors): void {
  if (!port.name) {
    if (needsName) required(errors, `${at}.name`);
  } else {
    invalidAll(errors, `${at}.name`, port.name, dns1123Label(port.name));
    if (names.has(port.name)) duplicate(errors, `${at}.name`, port.name);
    names.add(port.name);
  }
  if (!validPort(port.port)) invalid(errors, `${at}.port`, port.port ?? 0, portMessage);
  if (!port.protocol) required(errors, `${at}.protocol`);
  else if (!protocols.includes(port.protocol)) notSupported(errors, `${at}.protocol`, port.protocol, protocols);
  validatePortNumberOrName(port.targetPort ?? 0, `${at}.targetPort`, errors);
  if (port.appProtocol !== undefined) {
    invalidAll(errors, `${at}.appProtocol`, port.appProtocol, qualifiedName(port.appProtocol));
  }
}

/** A port as the original shows it: by its internal field names. */
const portShown = ({ protocol, port }: ServicePort) => ({
  Name: '',
  Protocol: protocol,
  AppProtocol: null,
  Port: port,
  TargetPort: 0,
  NodePort: 0,
});

function validatePorts({ spec }: Service, headless: boolean, errors: Errors): void {
  const ports = spec.ports ?? [];
  if (ports.length === 0 && !headless && spec.type !== 'ExternalName') required(errors, 'spec.ports');
  const names = new Set<string>();
  const keys = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `spec.ports[${index}]`;
    validatePort(port, ports.length > 1, names, at, errors);
    const key = `${port.protocol}/${port.port}`;
    if (keys.has(key)) duplicate(errors, at, portShown(port));
    keys.add(key);
    if (!port.nodePort) continue;
    if (spec.type === 'ClusterIP') forbidden(errors, `${at}.nodePort`, "may not be used when `type` is 'ClusterIP'");
    const nodeKey = `${port.protocol}/${port.nodePort}`;
    if (nodePorts.has(nodeKey)) duplicate(errors, `${at}.nodePort`, port.nodePort);
    nodePorts.add(nodeKey);
  }
}

function validateClusterIps({ spec }: Service, errors: Errors): void {
  const { clusterIPs = [], clusterIP } = spec;
  if (spec.type === 'ExternalName') {
    if (clusterIPs.length > 0) forbidden(errors, 'spec.clusterIPs', 'may not be set for ExternalName services');
    return;
  }
  if (clusterIPs.length > 0 && clusterIP !== clusterIPs[0]) {
    invalid(errors, 'spec.clusterIPs', clusterIPs, 'first value must match `clusterIP`');
  }
  for (const [index, ip] of clusterIPs.entries()) {
    if (ip === 'None') {
      if (clusterIPs.length > 1)
        invalid(errors, `spec.clusterIPs[${index}]`, ip, 'must be used only when there is one value');
    } else if (!isIp(ip)) invalid(errors, `spec.clusterIPs[${index}]`, ip, ipMessage);
  }
}

function validateTraffic(service: Service, errors: Errors): void {
  const { spec } = service;
  if (isExternallyReachable(service)) {
    if (!spec.externalTrafficPolicy) required(errors, 'spec.externalTrafficPolicy');
    else if (!trafficPolicies.includes(spec.externalTrafficPolicy)) {
      notSupported(errors, 'spec.externalTrafficPolicy', spec.externalTrafficPolicy, trafficPolicies);
    }
  } else if (spec.externalTrafficPolicy) {
    invalid(
      errors,
      'spec.externalTrafficPolicy',
      spec.externalTrafficPolicy,
      'may only be set for externally-accessible services',
    );
  }
  if (spec.healthCheckNodePort && !(spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local')) {
    invalid(
      errors,
      'spec.healthCheckNodePort',
      spec.healthCheckNodePort,
      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    );
  }
  if (spec.internalTrafficPolicy !== undefined && !trafficPolicies.includes(spec.internalTrafficPolicy)) {
    notSupported(errors, 'spec.internalTrafficPolicy', spec.internalTrafficPolicy, trafficPolicies);
  }
  if (spec.type !== 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts !== undefined) {
      forbidden(errors, 'spec.allocateLoadBalancerNodePorts', "may only be used when `type` is 'LoadBalancer'");
    }
    if (spec.loadBalancerClass !== undefined) {
      forbidden(errors, 'spec.loadBalancerClass', "may only be used when `type` is 'LoadBalancer'");
    }
    if ((spec.loadBalancerSourceRanges?.length ?? 0) > 0) {
      forbidden(errors, 'spec.LoadBalancerSourceRanges', "may only be used when `type` is 'LoadBalancer'");
    }
  }
  const distribution = spec.trafficDistribution;
  if (distribution !== undefined && !distributions.includes(distribution)) {
    notSupported(errors, 'spec.trafficDistribution', distribution, distributions);
  }
  for (const [index, range] of (spec.loadBalancerSourceRanges ?? []).entries()) {
    if (!isCidr(range.trim())) invalid(errors, `spec.LoadBalancerSourceRanges[${index}]`, range.trim(), cidrMessage);
  }
}

export function validateService(service: Service, errors: Errors): void {
  const { spec } = service;
  const headless = spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None';
  if (spec.type === 'LoadBalancer' && headless) {
    invalid(errors, 'spec.clusterIPs[0]', 'None', "may not be set to 'None' for LoadBalancer services");
  }
  if (spec.type === 'NodePort' && headless) {
    invalid(errors, 'spec.clusterIPs[0]', 'None', "may not be set to 'None' for NodePort services");
  }
  if (spec.type === 'ExternalName') {
    const name = (spec.externalName ?? '').replace(/\.$/, '');
    if (name === '') required(errors, 'spec.externalName');
    else invalidAll(errors, 'spec.externalName', name, dns1123Subdomain(name));
  }
  validatePorts(service, headless, errors);
  validateLabels(spec.selector, 'spec.selector', errors);
  if (!spec.sessionAffinity) required(errors, 'spec.sessionAffinity');
  else if (!['ClientIP', 'None'].includes(spec.sessionAffinity)) {
    notSupported(errors, 'spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']);
  }
  const timeout = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (spec.sessionAffinity === 'ClientIP' && timeout !== undefined && (timeout <= 0 || timeout > mostAffinitySeconds)) {
    invalid(
      errors,
      'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
      timeout,
      `must be greater than 0 and less than ${mostAffinitySeconds}`,
    );
  }
  validateClusterIps(service, errors);
  for (const [index, ip] of (spec.externalIPs ?? []).entries()) {
    if (!isIp(ip)) invalid(errors, `spec.externalIPs[${index}]`, ip, ipMessage);
    else validateEndpointIp(ip, `spec.externalIPs[${index}]`, errors);
  }
  if (!spec.type) required(errors, 'spec.type');
  else if (!types.includes(spec.type)) notSupported(errors, 'spec.type', spec.type, types);
  validateTraffic(service, errors);
}

export function validateServiceUpdate(service: Service, old: Service, errors: Errors): void {
  const [now, before] = [service.spec.clusterIPs ?? [], old.spec.clusterIPs ?? []];
  if (service.spec.type !== 'ExternalName' && old.spec.type !== 'ExternalName') {
    if (before.length > 0 && now[0] !== before[0]) {
      invalid(errors, 'spec.clusterIPs[0]', now, 'may not change once set');
    } else if (before.length > 1 && now.length > 1 && now[1] !== before[1]) {
      invalid(errors, 'spec.clusterIPs[1]', now, 'may not change once set');
    }
    const families = [service.spec.ipFamilies ?? [], old.spec.ipFamilies ?? []] as const;
    if (families[1].length > 0 && families[0][0] !== families[1][0]) {
      invalid(errors, 'spec.ipFamilies[0]', families[0], 'may not change once set');
    }
  }
  const healthPort = ({ spec }: Service) => spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
  if (healthPort(service) && healthPort(old) && service.spec.healthCheckNodePort !== old.spec.healthCheckNodePort) {
    forbidden(errors, 'spec.healthCheckNodePort', immutableMessage);
  }
  if (old.spec.type === 'LoadBalancer' && service.spec.type === 'LoadBalancer') {
    if (!equalJson(service.spec.loadBalancerClass, old.spec.loadBalancerClass)) {
      invalid(errors, 'spec.loadBalancerClass', service.spec.loadBalancerClass, 'may not change once set');
    }
  }
  validateService(service, errors);
}

const ipModes = ['Proxy', 'VIP'];

/** `status`: what a load balancer announces. */
export function validateServiceStatus({ spec, status }: Service, _old: Service, errors: Errors): void {
  const field = 'status.loadBalancer.ingress';
  const ingresses = status?.loadBalancer?.ingress ?? [];
  if (spec.type !== 'LoadBalancer' && ingresses.length > 0) {
    forbidden(errors, field, "may only be used when `spec.type` is 'LoadBalancer'");
    return;
  }
  for (const [index, { ip, ipMode, hostname }] of ingresses.entries()) {
    const at = `${field}[${index}]`;
    if (ip && !isIp(ip)) invalid(errors, `${at}.ip`, ip, ipMessage);
    if (ipMode !== undefined && !ip) forbidden(errors, `${at}.ipMode`, 'may not be specified when `ip` is not set');
    else if (ipMode !== undefined && !ipModes.includes(ipMode)) notSupported(errors, `${at}.ipMode`, ipMode, ipModes);
    if (!hostname) continue;
    invalidAll(errors, `${at}.hostname`, hostname, dns1123Subdomain(hostname));
    if (isIp(hostname)) invalid(errors, `${at}.hostname`, hostname, 'must be a DNS name, not an IP address');
  }
}

export function validateEndpoints({ subsets = [] }: Endpoints, errors: Errors): void {
  for (const [index, { addresses = [], notReadyAddresses = [], ports = [] }] of subsets.entries()) {
    const at = `subsets[${index}]`;
    if (addresses.length === 0 && notReadyAddresses.length === 0) {
      required(errors, at, 'must specify `addresses` or `notReadyAddresses`');
    }
    for (const [list, name] of [
      [addresses, 'addresses'],
      [notReadyAddresses, 'notReadyAddresses'],
    ] as const) {
      for (const [place, { ip, hostname }] of list.entries()) {
        const field = `${at}.${name}[${place}]`;
        if (!isIp(ip)) invalid(errors, `${field}.ip`, ip, ipMessage);
        else validateEndpointIp(ip, `${field}.ip`, errors);
        if (hostname) invalidAll(errors, `${field}.hostname`, hostname, dns1123Label(hostname));
      }
    }
    for (const [place, port] of ports.entries()) {
      const field = `${at}.ports[${place}]`;
      if (!port.name) {
        if (ports.length > 1) required(errors, `${field}.name`);
      } else invalidAll(errors, `${field}.name`, port.name, dns1123Label(port.name));
      if (!validPort(port.port)) invalid(errors, `${field}.port`, port.port, portMessage);
      if (!protocols.includes(port.protocol ?? '')) notSupported(errors, `${field}.protocol`, port.protocol, protocols);
    }
  }
}

/** Traffic of services must not be led to the node itself. */
function validateEndpointIp(ip: string, field: string, errors: Errors): void {
  if (ip === '0.0.0.0' || ip === '::') invalid(errors, field, ip, `may not be unspecified (${ip})`);
  else if (ip.startsWith('127.') || ip === '::1') {
    invalid(errors, field, ip, 'may not be in the loopback range (127.0.0.0/8, ::1/128)');
  } else if (ip.startsWith('169.254.') || /^fe[89ab]/i.test(ip)) {
    invalid(errors, field, ip, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)');
  } else if (/^224\.0\.0\./.test(ip) || /^ff02:/i.test(ip)) {
    invalid(errors, field, ip, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)');
  }
}

const addressTypes = ['FQDN', 'IPv4', 'IPv6'];
const mostEndpoints = 1000;
const mostAddresses = 100;
const mostPorts = 20_000;

export function validateEndpointSlice(slice: EndpointSlice, errors: Errors): void {
  const { addressType, endpoints = [], ports = [] } = slice;
  if (!addressType) required(errors, 'addressType');
  else if (!addressTypes.includes(addressType)) notSupported(errors, 'addressType', addressType, addressTypes);
  if (endpoints.length > mostEndpoints) tooMany(errors, 'endpoints', endpoints.length, mostEndpoints);
  for (const [index, endpoint] of endpoints.entries()) {
    const at = `endpoints[${index}]`;
    const addresses = endpoint.addresses ?? [];
    if (addresses.length === 0) required(errors, `${at}.addresses`, 'must contain at least 1 address');
    else if (addresses.length > mostAddresses) tooMany(errors, `${at}.addresses`, addresses.length, mostAddresses);
    for (const [place, address] of addresses.entries()) {
      const field = `${at}.addresses[${place}]`;
      if (addressType === 'FQDN') invalidAll(errors, field, address, dns1123Subdomain(address));
      else if (!isIp(address)) invalid(errors, field, address, ipMessage);
      else if (address.includes(':') !== (addressType === 'IPv6')) {
        invalid(errors, field, address, `must be an ${addressType} address`);
      } else validateEndpointIp(address, field, errors);
    }
    if (endpoint.hostname !== undefined)
      invalidAll(errors, `${at}.hostname`, endpoint.hostname, dns1123Label(endpoint.hostname));
  }
  if (ports.length > mostPorts) tooMany(errors, 'ports', ports.length, mostPorts);
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `ports[${index}]`;
    const name = port.name ?? '';
    if (name !== '') invalidAll(errors, `${at}.name`, name, portName(name).length === 0 ? [] : dns1123Label(name));
    if (names.has(name)) duplicate(errors, `${at}.name`, name);
    names.add(name);
    if (!port.protocol) required(errors, `${at}.protocol`);
    else if (!protocols.includes(port.protocol)) notSupported(errors, `${at}.protocol`, port.protocol, protocols);
    if (port.port !== undefined && !validPort(port.port))
      invalid(errors, `${at}.port`, port.port, inclusiveRange(1, 65_535));
  }
}

export function validateEndpointSliceUpdate(slice: EndpointSlice, old: EndpointSlice, errors: Errors): void {
  validateEndpointSlice(slice, errors);
  if (slice.addressType !== old.addressType) invalid(errors, 'addressType', slice.addressType, immutableMessage);
}
