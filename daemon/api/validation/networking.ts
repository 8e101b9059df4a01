import type {
  Ingress,
  IngressBackend,
  IngressClass,
  IPAddress,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  ServiceCIDR,
} from '../../apimachinery/types/networking-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import { IpRange } from '../resources/ip-range.ts';
import {
  type Errors,
  forbidden,
  immutableMessage,
  invalid,
  invalidAll,
  notSupported,
  required,
} from './field-error.ts';
import { validateLabelSelector } from './label-selector.ts';
import {
  cidrMessage,
  dns1035Label,
  dns1123Subdomain,
  isCidr,
  isIp,
  portMessage,
  portName,
  validPort,
  wildcardSubdomain,
} from './names.ts';

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];
const badSequences = ['//', '/./', '/../', '%2f', '%2F'];
const badSuffixes = ['/..', '/.'];

function validateBackend(backend: IngressBackend, field: string, errors: Errors): void {
  const { service, resource } = backend;
  if (resource !== undefined && service !== undefined) {
    invalid(errors, field, '', 'cannot set both resource and service backends');
  } else if (resource !== undefined) {
    if (!resource.kind) required(errors, `${field}.resource.kind`);
    if (!resource.name) required(errors, `${field}.resource.name`);
  } else if (service === undefined) {
    required(errors, field, 'must specify `service` or `resource`');
  } else {
    if (!service.name) required(errors, `${field}.service.name`);
    else invalidAll(errors, `${field}.service.name`, service.name, dns1035Label(service.name));
    const { name, number } = service.port ?? {};
    if (name && number) invalid(errors, field, '', 'cannot set both port name & port number');
    else if (name) invalidAll(errors, `${field}.service.port.name`, name, portName(name));
    else if (number) {
      if (!validPort(number)) invalid(errors, `${field}.service.port.number`, number, portMessage);
    } else required(errors, field, 'port name or number is required');
  }
}

function validateHost(host: string, field: string, errors: Errors): void {
  if (isIp(host)) invalid(errors, field, host, 'must be a DNS name, not an IP address');
  invalidAll(errors, field, host, host.includes('*') ? wildcardSubdomain(host) : dns1123Subdomain(host));
}

export function validateIngress({ spec }: Ingress, errors: Errors): void {
  const { rules = [], defaultBackend, tls = [], ingressClassName } = spec;
  if (rules.length === 0 && defaultBackend === undefined) {
    invalid(errors, 'spec', rules, 'either `defaultBackend` or `rules` must be specified');
  }
  if (defaultBackend !== undefined) validateBackend(defaultBackend, 'spec.defaultBackend', errors);
  for (const [index, { host, http }] of rules.entries()) {
    const at = `spec.rules[${index}]`;
    if (host) validateHost(host, `${at}.host`, errors);
    if (http === undefined) continue;
    if ((http.paths?.length ?? 0) === 0) required(errors, `${at}.http.paths`);
    for (const [place, entry] of (http.paths ?? []).entries()) {
      const where = `${at}.http.paths[${place}]`;
      validatePath(entry.pathType, entry.path ?? '', where, errors);
      validateBackend(entry.backend ?? {}, `${where}.backend`, errors);
    }
  }
  for (const [index, { hosts = [], secretName }] of tls.entries()) {
    for (const [place, host] of hosts.entries()) {
      const field = `spec.tls[${index}].hosts[${place}]`;
      invalidAll(errors, field, host, host.includes('*') ? wildcardSubdomain(host) : dns1123Subdomain(host));
    }
    if (secretName) invalidAll(errors, `spec.tls[${index}].secretName`, secretName, dns1123Subdomain(secretName));
  }
  if (ingressClassName !== undefined) {
    invalidAll(errors, 'spec.ingressClassName', ingressClassName, dns1123Subdomain(ingressClassName));
  }
}

function validatePath(pathType: string | undefined, path: string, at: string, errors: Errors): void {
  if (!pathType) {
    required(errors, `${at}.pathType`, 'pathType must be specified');
    return;
  }
  if (!pathTypes.includes(pathType)) {
    notSupported(errors, `${at}.pathType`, pathType, pathTypes);
    return;
  }
  const field = `${at}.path`;
  if (pathType === 'ImplementationSpecific') {
    if (path !== '' && !path.startsWith('/')) invalid(errors, field, path, 'must be an absolute path');
    return;
  }
  if (!path.startsWith('/')) invalid(errors, field, path, 'must be an absolute path');
  if (path === '') return;
  for (const bad of badSequences) if (path.includes(bad)) invalid(errors, field, path, `must not contain '${bad}'`);
  for (const bad of badSuffixes) if (path.endsWith(bad)) invalid(errors, field, path, `cannot end with '${bad}'`);
}

export function validateIngressClass({ spec }: IngressClass, errors: Errors): void {
  const { controller, parameters } = spec ?? {};
  if (!controller) required(errors, 'spec.controller');
  else if (controller.length > 250) {
    errors.push({
      type: 'FieldValueTooLong',
      field: 'spec.controller',
      detail: 'Too long: may not be more than 250 bytes',
    });
  } else if (!/^[a-z0-9.-]+\/[^\s]+$/.test(controller)) {
    invalid(errors, 'spec.controller', controller, 'must be a domain-prefixed path (such as "acme.io/foo")');
  }
  if (parameters === undefined) return;
  if (!parameters.kind) required(errors, 'spec.parameters.kind', 'kind is required');
  if (!parameters.name) required(errors, 'spec.parameters.name', 'name is required');
  if (!['Cluster', 'Namespace'].includes(parameters.scope ?? '')) {
    notSupported(errors, 'spec.parameters.scope', parameters.scope, ['Cluster', 'Namespace']);
  } else if (parameters.scope === 'Namespace' && !parameters.namespace) {
    required(errors, 'spec.parameters.namespace', "`parameters.scope` is set to 'Namespace'");
  } else if (parameters.scope === 'Cluster' && parameters.namespace) {
    forbidden(errors, 'spec.parameters.namespace', "`parameters.scope` is set to 'Cluster'");
  }
}

export function validateIngressClassUpdate(ingressClass: IngressClass, old: IngressClass, errors: Errors): void {
  validateIngressClass(ingressClass, errors);
  if (ingressClass.spec?.controller !== old.spec?.controller) {
    invalid(errors, 'spec.controller', ingressClass.spec?.controller, immutableMessage);
  }
}

function validatePeer(peer: NetworkPolicyPeer, field: string, errors: Errors): void {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  if (podSelector === undefined && namespaceSelector === undefined && ipBlock === undefined) {
    required(errors, field, 'must specify a peer');
  }
  validateLabelSelector(podSelector, `${field}.podSelector`, errors);
  validateLabelSelector(namespaceSelector, `${field}.namespaceSelector`, errors);
  if (ipBlock === undefined) return;
  if (podSelector !== undefined || namespaceSelector !== undefined) {
    forbidden(errors, field, 'may not specify both ipBlock and another peer');
  }
  if (!ipBlock.cidr) {
    required(errors, `${field}.ipBlock.cidr`);
    return;
  }
  if (!isCidr(ipBlock.cidr)) {
    invalid(errors, `${field}.ipBlock.cidr`, ipBlock.cidr, cidrMessage);
    return;
  }
  const block = new IpRange(ipBlock.cidr);
  for (const [index, except] of (ipBlock.except ?? []).entries()) {
    const at = `${field}.ipBlock.except[${index}]`;
    if (!isCidr(except)) {
      invalid(errors, at, except, cidrMessage);
      continue;
    }
    const hole = new IpRange(except);
    if (!block.contains({ family: hole.family, value: hole.first }) || hole.size >= block.size) {
      invalid(errors, at, except, 'must be a strict subset of `cidr`');
    }
  }
}

function validatePolicyPort({ port, endPort, protocol }: NetworkPolicyPort, field: string, errors: Errors): void {
  if (protocol !== undefined && !['TCP', 'UDP', 'SCTP'].includes(protocol)) {
    notSupported(errors, `${field}.protocol`, protocol, ['TCP', 'UDP', 'SCTP']);
  }
  if (typeof port === 'string') {
    if (endPort !== undefined)
      invalid(errors, `${field}.endPort`, endPort, 'may not be specified when `port` is non-numeric');
    invalidAll(errors, `${field}.port`, port, portName(port));
  } else if (port !== undefined) {
    if (!validPort(port)) invalid(errors, `${field}.port`, port, portMessage);
    if (endPort !== undefined && endPort < port) {
      invalid(errors, `${field}.endPort`, endPort, 'must be greater than or equal to `port`');
    }
    if (endPort !== undefined && !validPort(endPort)) invalid(errors, `${field}.endPort`, endPort, portMessage);
  } else if (endPort !== undefined)
    invalid(errors, `${field}.endPort`, endPort, 'may not be specified when `port` is not specified');
}

export function validateNetworkPolicy({ spec }: NetworkPolicy, errors: Errors): void {
  const { podSelector, ingress = [], egress = [], policyTypes = [] } = spec ?? {};
  validateLabelSelector(podSelector, 'spec.podSelector', errors);
  for (const [index, rule] of ingress.entries()) {
    for (const [place, port] of (rule.ports ?? []).entries())
      validatePolicyPort(port, `spec.ingress[${index}].ports[${place}]`, errors);
    for (const [place, peer] of (rule.from ?? []).entries())
      validatePeer(peer, `spec.ingress[${index}].from[${place}]`, errors);
  }
  for (const [index, rule] of egress.entries()) {
    for (const [place, port] of (rule.ports ?? []).entries())
      validatePolicyPort(port, `spec.egress[${index}].ports[${place}]`, errors);
    for (const [place, peer] of (rule.to ?? []).entries())
      validatePeer(peer, `spec.egress[${index}].to[${place}]`, errors);
  }
  if (policyTypes.length > 2)
    invalid(errors, 'spec.policyTypes', policyTypes, 'may not specify more than two policyTypes');
  for (const [index, type] of policyTypes.entries()) {
    if (!['Ingress', 'Egress'].includes(type))
      notSupported(errors, `spec.policyTypes[${index}]`, type, ['Ingress', 'Egress']);
  }
}

export function validateIpAddress({ spec }: IPAddress, errors: Errors): void {
  const parent = spec?.parentRef;
  if (parent === undefined) required(errors, 'spec.parentRef');
  else {
    if (!parent.resource) required(errors, 'spec.parentRef.resource');
    if (!parent.name) required(errors, 'spec.parentRef.name');
  }
}

export function validateServiceCidr({ spec }: ServiceCIDR, errors: Errors): void {
  const cidrs = spec?.cidrs ?? [];
  if (cidrs.length === 0) required(errors, 'spec.cidrs', 'at least one CIDR required');
  if (cidrs.length > 2) invalid(errors, 'spec.cidrs', cidrs, 'may only hold up to 2 values');
  for (const [index, cidr] of cidrs.entries()) {
    if (!isCidr(cidr)) invalid(errors, `spec.cidrs[${index}]`, cidr, cidrMessage);
  }
}

export function validateServiceCidrUpdate(cidr: ServiceCIDR, old: ServiceCIDR, errors: Errors): void {
  validateServiceCidr(cidr, errors);
  if (!equalJson(cidr.spec?.cidrs, old.spec?.cidrs)) invalid(errors, 'spec.cidrs', cidr.spec?.cidrs, immutableMessage);
}
