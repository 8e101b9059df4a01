import { formatLabelSelector } from '../../apimachinery/label-selector.ts';
import type { Endpoints, Service } from '../../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../../apimachinery/types/discovery-v1.ts';
import type {
  Ingress,
  IngressClass,
  IPAddress,
  NetworkPolicy,
  ServiceCIDR,
} from '../../apimachinery/types/networking-v1.ts';
import type { Column } from '../resources/resource-row.ts';
import { ageColumn, labelText, listWithMore, nameColumn, orNone, text } from './column.ts';

/** Lists of addresses and ports show this many. */
const mostShown = 3;

function externalIp({ spec, status }: Service): string {
  const ips = spec.externalIPs ?? [];
  switch (spec.type) {
    case 'ClusterIP':
    case 'NodePort':
      return ips.length > 0 ? ips.join(',') : '<none>';
    case 'LoadBalancer': {
      const given = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '');
      const all = [...given.filter((address) => address !== ''), ...ips];
      return all.length > 0 ? all.join(',') : '<pending>';
    }
    case 'ExternalName':
      return spec.externalName ?? '';
    default:
      return '<unknown>';
  }
}

function servicePorts({ spec }: Service): string {
  const ports = (spec.ports ?? []).map(({ port, nodePort, protocol }) =>
    nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
  );
  return ports.length === 0 ? '<none>' : ports.join(',');
}

export const serviceColumns: readonly Column<Service>[] = [
  nameColumn,
  text('Type', ({ spec }) => spec.type ?? ''),
  text('Cluster-IP', ({ spec }) => orNone(spec.clusterIPs?.[0] ?? spec.clusterIP)),
  text('External-IP', externalIp),
  text('Port(s)', servicePorts),
  ageColumn,
  text('Selector', ({ spec }) => labelText(spec.selector), true),
];

function endpointsText({ subsets }: Endpoints): string {
  const list = (subsets ?? []).flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map(({ ip }) => ip)
      : ports.flatMap(({ port }) => addresses.map(({ ip }) => `${ip.includes(':') ? `[${ip}]` : ip}:${port}`)),
  );
  return listWithMore(list, mostShown, '<none>');
}

export const endpointsColumns: readonly Column<Endpoints>[] = [nameColumn, text('Endpoints', endpointsText), ageColumn];

export const endpointSliceColumns: readonly Column<EndpointSlice>[] = [
  nameColumn,
  text('AddressType', ({ addressType }) => addressType),
  text('Ports', ({ ports }) =>
    listWithMore(
      (ports ?? []).map(({ port, name }) => (port !== undefined ? String(port) : name || '*')),
      mostShown,
      '<unset>',
    ),
  ),
  text('Endpoints', ({ endpoints }) =>
    listWithMore(
      (endpoints ?? []).flatMap(({ addresses }) => addresses),
      mostShown,
      '<unset>',
    ),
  ),
  ageColumn,
];

function ingressHosts({ spec }: Ingress): string {
  const hosts = (spec.rules ?? []).map(({ host }) => host ?? '').filter((host) => host !== '');
  return listWithMore(hosts, mostShown, '*');
}

export const ingressColumns: readonly Column<Ingress>[] = [
  nameColumn,
  text('Class', ({ spec }) => orNone(spec.ingressClassName)),
  text('Hosts', ingressHosts),
  text('Address', ({ status }) =>
    (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '').join(','),
  ),
  text('Ports', ({ spec }) => ((spec.tls?.length ?? 0) > 0 ? '80, 443' : '80')),
  ageColumn,
];

export const ingressClassColumns: readonly Column<IngressClass>[] = [
  nameColumn,
  text('Controller', ({ spec }) => spec?.controller ?? ''),
  text('Parameters', ({ spec }) => {
    const parameters = spec?.parameters;
    if (parameters === undefined) return '<none>';
    return `${parameters.kind}${parameters.apiGroup ? `.${parameters.apiGroup}` : ''}/${parameters.name}`;
  }),
  ageColumn,
];

export const networkPolicyColumns: readonly Column<NetworkPolicy>[] = [
  nameColumn,
  text('Pod-Selector', ({ spec }) => formatLabelSelector(spec?.podSelector)),
  ageColumn,
];

export const ipAddressColumns: readonly Column<IPAddress>[] = [
  nameColumn,
  text('ParentRef', ({ spec }) => {
    const { group, resource, namespace, name } = spec?.parentRef ?? { name: '', resource: '' };
    return [group, resource, namespace, name].filter(Boolean).join('/');
  }),
  ageColumn,
];

export const serviceCidrColumns: readonly Column<ServiceCIDR>[] = [
  nameColumn,
  text('CIDRs', ({ spec }) => (spec?.cidrs ?? []).join(',')),
  ageColumn,
];
