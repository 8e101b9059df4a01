import { isIPv4, isIPv6 } from 'node:net';
import type { Answer, StringAnswer } from 'dns-packet';
import type { Service } from '../apimachinery/types/core-v1.ts';
import type { Endpoint, EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import { type ClusterView, slicesService } from './cluster-view.ts';
import { addressOfReverseName } from './reverse-name.ts';

/** Seconds. Short: endpoints come and go. Of the two, the one for names that are not there is what a client waits for a new Service. */
const recordTtl = 30;
const negativeTtl = 5;
const specVersion = '1.1.0';

export type ResponseCode = 'NOERROR' | 'NXDOMAIN' | 'SERVFAIL' | 'REFUSED' | 'NOTIMP' | 'FORMERR';

export interface ZoneAnswer {
  readonly code: ResponseCode;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
  readonly additionals: readonly Answer[];
  /** The answer ends in this name outside the cluster: the rest is the upstream's to add. */
  readonly chase?: string;
}

interface NamedEndpoint {
  readonly name: string;
  readonly ip: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

/**
 * The names of the cluster after the Kubernetes DNS specification 1.1. Names come in lower case and without the final dot.
 * Pure but for what it reads from the view.
 */
export class ClusterZone {
  readonly domain: string;
  readonly #view: ClusterView;
  readonly #dnsAddress: string;

  constructor(domain: string, view: ClusterView, dnsAddress: string) {
    this.domain = domain.toLowerCase().replace(/\.$/, '');
    this.#view = view;
    this.#dnsAddress = dnsAddress;
  }

  /** Undefined: the question is not for this zone. */
  resolve(name: string, type: string): ZoneAnswer | undefined {
    if (name === this.domain || name.endsWith(`.${this.domain}`)) return this.#resolveInDomain(name, type);
    if (type !== 'PTR') return undefined;
    const ip = addressOfReverseName(name);
    const targets = ip === undefined ? [] : this.#namesOf(ip);
    if (targets.length === 0) return undefined;
    return found(targets.map((target): StringAnswer => ({ name, type: 'PTR', ttl: recordTtl, data: target })));
  }

  #resolveInDomain(name: string, type: string): ZoneAnswer {
    const labels = name === this.domain ? [] : name.slice(0, -this.domain.length - 1).split('.');
    const [kind, namespace, ...rest] = labels.reverse();
    const nameServer = `ns.dns.${this.domain}`;
    if (kind === undefined) {
      if (type === 'SOA') return found([this.#soa()]);
      if (type === 'NS') {
        return found(
          [{ name, type: 'NS', ttl: recordTtl, data: nameServer }],
          this.#addresses(nameServer, [this.#dnsAddress]),
        );
      }
      return this.#noData();
    }
    if (name === `dns-version.${this.domain}`) {
      return type === 'TXT' ? found([{ name, type: 'TXT', ttl: recordTtl, data: specVersion }]) : this.#noData();
    }
    if (name === `dns.${this.domain}`) return this.#noData();
    if (name === nameServer) return this.#ofType(type, name, [this.#dnsAddress]);
    if (kind === 'svc') return this.#service(name, type, namespace, rest);
    if (kind === 'pod') return this.#pod(name, type, namespace, rest);
    return this.#noName();
  }

  /** `a-b-c-d.namespace.pod`: the address is in the name, and whether there is such a pod is not looked at. */
  #pod(name: string, type: string, namespace: string | undefined, rest: readonly string[]): ZoneAnswer {
    if (namespace === undefined) return this.#noData();
    if (!this.#view.hasNamespace(namespace)) return this.#noName();
    const [label, ...more] = rest;
    if (label === undefined) return this.#noData();
    if (more.length > 0) return this.#noName();
    const ip = addressOfLabel(label);
    return ip === undefined ? this.#noName() : this.#ofType(type, name, [ip]);
  }

  #service(name: string, type: string, namespace: string | undefined, rest: readonly string[]): ZoneAnswer {
    if (namespace === undefined) return this.#noData();
    if (!this.#view.hasNamespace(namespace)) return this.#noName();
    const [serviceName, first, second, ...more] = rest;
    if (serviceName === undefined) return this.#noData();
    const service = this.#view.service(namespace, serviceName);
    if (service === undefined || more.length > 0) return this.#noName();
    const base = `${serviceName}.${namespace}.svc.${this.domain}`;
    if (service.spec?.type === 'ExternalName') return this.#externalName(name, type, service, first);
    // `_port._protocol.service`, or `endpoint.service`.
    if (first?.startsWith('_') === true) return this.#ports(name, type, service, base, first, second);
    if (second !== undefined) return this.#noName();
    if (first !== undefined) {
      const endpoints = this.#endpoints(service).filter((endpoint) => endpoint.name === first);
      if (endpoints.length === 0) return this.#noName();
      if (type === 'SRV') return this.#endpointRecords(name, base, endpoints, undefined, undefined);
      return this.#ofType(type, name, unique(endpoints.map((endpoint) => endpoint.ip)));
    }
    if (type === 'SRV') return this.#ports(name, type, service, base, undefined, undefined);
    if (!isHeadless(service)) return this.#ofType(type, name, clusterIps(service));
    const endpoints = this.#endpoints(service);
    if (endpoints.length === 0) return this.#noName();
    return this.#ofType(type, name, unique(endpoints.map((endpoint) => endpoint.ip)));
  }

  #externalName(name: string, type: string, service: Service, endpoint: string | undefined): ZoneAnswer {
    const target = service.spec?.externalName?.replace(/\.$/, '').toLowerCase();
    if (endpoint !== undefined || target === undefined || target === '') return this.#noName();
    const alias: Answer = { name, type: 'CNAME', ttl: recordTtl, data: target };
    if (type === 'CNAME') return found([alias]);
    if (target === this.domain || target.endsWith(`.${this.domain}`)) {
      // One step is enough: the target of an ExternalName that is itself one is left to the client.
      const rest = target === name ? undefined : this.#resolveInDomain(target, type);
      return { ...found([alias, ...(rest?.answers ?? [])]), additionals: rest?.additionals ?? [] };
    }
    return { ...found([alias]), chase: target };
  }

  /** SRV records; undefined matches every port or protocol. */
  #ports(
    name: string,
    type: string,
    service: Service,
    base: string,
    protocolLabel: string | undefined,
    portLabel: string | undefined,
  ): ZoneAnswer {
    // `_tcp.service` alone names no record, but lies on the way to one.
    const portName = portLabel?.replace(/^_/, '');
    const protocol = protocolLabel?.replace(/^_/, '');
    if (portLabel !== undefined && !portLabel.startsWith('_')) return this.#noName();
    const matches = (port: { name: string; protocol: string }) =>
      (portName === undefined || port.name === portName) &&
      (protocol === undefined || port.protocol.toLowerCase() === protocol);
    if (isHeadless(service)) {
      const endpoints = this.#endpoints(service).filter((endpoint) => endpoint.ports.some(matches));
      if (endpoints.length === 0) return this.#noName();
      return type === 'SRV' ? this.#endpointRecords(name, base, endpoints, portName, protocol) : this.#noData();
    }
    const ports = (service.spec?.ports ?? [])
      .map((port) => ({ name: port.name ?? '', protocol: port.protocol ?? 'TCP', port: port.port }))
      .filter(matches);
    if (ports.length === 0) return this.#noName();
    if (type !== 'SRV') return this.#noData();
    const weight = weightOf(ports.length);
    return found(
      ports.map(({ port }) => serviceRecord(name, base, port, weight)),
      this.#addresses(base, clusterIps(service)),
    );
  }

  #endpointRecords(
    name: string,
    base: string,
    endpoints: readonly NamedEndpoint[],
    portName: string | undefined,
    protocol: string | undefined,
  ): ZoneAnswer {
    const pairs = endpoints.flatMap((endpoint) =>
      endpoint.ports
        .filter(
          (port) =>
            (portName === undefined || port.name === portName) &&
            (protocol === undefined || port.protocol.toLowerCase() === protocol),
        )
        .map(({ port }) => ({ target: `${endpoint.name}.${base}`, port })),
    );
    const targets = unique(pairs.map(({ target, port }) => `${target} ${port}`));
    const weight = weightOf(targets.length);
    return found(
      targets.map((key) => {
        const [target = '', port = ''] = key.split(' ');
        return serviceRecord(name, target, Number(port), weight);
      }),
      endpoints.flatMap((endpoint) => this.#addresses(`${endpoint.name}.${base}`, [endpoint.ip])),
    );
  }

  /** Ready endpoints with the name that each has below its Service. */
  #endpoints(service: Service): NamedEndpoint[] {
    const slices = this.#view.slicesOf(service.metadata?.namespace ?? '', service.metadata?.name ?? '');
    return slices.flatMap((slice) => endpointsOf(slice));
  }

  #namesOf(ip: string): string[] {
    const services = this.#view.servicesByIp(ip);
    if (services.length > 0) {
      return services.map(({ metadata }) => `${metadata?.name}.${metadata?.namespace}.svc.${this.domain}`);
    }
    return unique(
      this.#view.slicesByIp(ip).flatMap((slice) => {
        const service = slicesService(slice);
        if (service === undefined) return [];
        return endpointsOf(slice)
          .filter((endpoint) => endpoint.ip === ip)
          .map((endpoint) => `${endpoint.name}.${service}.${slice.metadata.namespace}.svc.${this.domain}`);
      }),
    );
  }

  #ofType(type: string, name: string, ips: readonly string[]): ZoneAnswer {
    const answers = this.#addresses(name, ips).filter((answer) => answer.type === type);
    return answers.length === 0 ? this.#noData() : found(answers);
  }

  #addresses(name: string, ips: readonly string[]): Answer[] {
    return ips.flatMap((ip): Answer[] => {
      if (isIPv4(ip)) return [{ name, type: 'A', ttl: recordTtl, data: ip }];
      return isIPv6(ip) ? [{ name, type: 'AAAA', ttl: recordTtl, data: ip }] : [];
    });
  }

  #noData(): ZoneAnswer {
    return { code: 'NOERROR', answers: [], authorities: [this.#soa()], additionals: [] };
  }

  #noName(): ZoneAnswer {
    return { code: 'NXDOMAIN', answers: [], authorities: [this.#soa()], additionals: [] };
  }

  #soa(): Answer {
    return {
      name: this.domain,
      type: 'SOA',
      ttl: negativeTtl,
      data: {
        mname: `ns.dns.${this.domain}`,
        rname: `hostmaster.${this.domain}`,
        serial: this.#view.serial,
        refresh: 7200,
        retry: 1800,
        expire: 86400,
        minimum: negativeTtl,
      },
    };
  }
}

function found(answers: readonly Answer[], additionals: readonly Answer[] = []): ZoneAnswer {
  return { code: 'NOERROR', answers, authorities: [], additionals };
}

function serviceRecord(name: string, target: string, port: number, weight: number): Answer {
  return { name, type: 'SRV', ttl: recordTtl, data: { priority: 0, weight, port, target } };
}

/** Equal shares of 100. */
function weightOf(records: number): number {
  return Math.max(1, Math.floor(100 / Math.max(1, records)));
}

function isHeadless(service: Service): boolean {
  return service.spec?.clusterIP === 'None';
}

function clusterIps(service: Service): string[] {
  const spec = service.spec;
  const ips = spec?.clusterIPs ?? [];
  return ips.length > 0 ? ips : spec?.clusterIP === undefined ? [] : [spec.clusterIP];
}

function endpointsOf(slice: EndpointSlice): NamedEndpoint[] {
  const ports = (slice.ports ?? []).map((port) => ({
    name: port.name ?? '',
    protocol: port.protocol ?? 'TCP',
    port: port.port ?? 0,
  }));
  return (slice.endpoints ?? [])
    .filter((endpoint) => endpoint.conditions?.ready !== false)
    .flatMap((endpoint) => endpoint.addresses.map((ip) => ({ name: endpointName(endpoint, ip), ip, ports })));
}

function endpointName(endpoint: Endpoint, ip: string): string {
  if (endpoint.hostname !== undefined && endpoint.hostname !== '') return endpoint.hostname.toLowerCase();
  return ip.replaceAll(/[.:]/g, '-');
}

/** `10-244-0-1` or `fd00--1` */
function addressOfLabel(label: string): string | undefined {
  const four = label.replaceAll('-', '.');
  if (isIPv4(four)) return four;
  const six = label.replaceAll('-', ':');
  return isIPv6(six) ? six : undefined;
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
