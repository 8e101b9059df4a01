import type { Service } from '../../apimachinery/types/core-v1.ts';
import { type Errors, invalid } from '../validation/field-error.ts';
import { formatIp, parseIp } from './ip-range.ts';
import type { FieldError } from './resource-row.ts';
import { ServiceIpPool } from './service-ip-pool.ts';
import { PortPool } from './service-port-pool.ts';
import { wantsClusterIp, wantsHealthCheckPort, wantsNodePorts } from './service-strategy.ts';

export interface ServiceAllocatorOptions {
  /** One range, or two of different families: the first is the primary. */
  readonly serviceCidrs: readonly string[];
  readonly nodePortRange: { readonly from: number; readonly to: number };
  /** Numbers below 1; injected by tests. */
  readonly random?: () => number;
}

/** What one write took: kept by the object that the watch will show, or given back when the write fails. */
export interface Allocation {
  /** Broken rules; when there are any, nothing is held. */
  readonly errors: readonly FieldError[];
  /** The write failed, or was a dry run: everything taken is free again. Idempotent. */
  release(): void;
}

const families = { 4: 'IPv4', 6: 'IPv6' } as const;

/** Addresses and ports of a service as stored. */
function holdings(service: Service): { ips: string[]; ports: number[] } {
  const { spec } = service;
  const ips = (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).filter((ip) => ip !== 'None' && ip !== '');
  const ports = (spec.ports ?? []).flatMap(({ nodePort }) => (nodePort ? [nodePort] : []));
  if (spec.healthCheckNodePort) ports.push(spec.healthCheckNodePort);
  return { ips: ips.map(canonicalIp), ports: [...new Set(ports)] };
}

function canonicalIp(text: string): string {
  const ip = parseIp(text);
  return ip === undefined ? text : formatIp(ip);
}

/** Counts holders: a number is free when its last holder lets go. */
class Holders<T> {
  readonly #counts = new Map<T, number>();

  has(value: T): boolean {
    return this.#counts.has(value);
  }

  hold(value: T): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
  }

  release(value: T): void {
    const count = (this.#counts.get(value) ?? 0) - 1;
    if (count > 0) this.#counts.set(value, count);
    else this.#counts.delete(value);
  }
}

/**
 * Cluster IPs and node ports: knows what is in use from the services it is shown (`observe`, `forget`, by a watch) and
 * from allocations under way.
 */
export class ServiceAllocator {
  readonly #pools: readonly ServiceIpPool[];
  readonly #portPool: PortPool;
  readonly #random: () => number;
  readonly #ips = new Holders<string>();
  readonly #ports = new Holders<number>();

  constructor({ serviceCidrs, nodePortRange, random = Math.random }: ServiceAllocatorOptions) {
    this.#pools = serviceCidrs.map((cidr) => new ServiceIpPool(cidr));
    this.#portPool = new PortPool(nodePortRange.from, nodePortRange.to);
    this.#random = random;
  }

  /** A service that is stored. */
  observe(service: Service): void {
    const { ips, ports } = holdings(service);
    for (const ip of ips) this.#ips.hold(ip);
    for (const port of ports) this.#ports.hold(port);
  }

  /** A service that was observed, and is deleted or replaced. */
  forget(service: Service): void {
    const { ips, ports } = holdings(service);
    for (const ip of ips) this.#ips.release(ip);
    for (const port of ports) this.#ports.release(port);
  }

  /**
   * Fills in, in place, the families, cluster IPs, node ports and health-check port that `service` needs and does not
   * have. `old`: the stored service it replaces; what that holds stays its own.
   */
  allocate(service: Service, old?: Service): Allocation {
    const errors: Errors = [];
    const undo: (() => void)[] = [];
    const own = old === undefined ? { ips: [], ports: [] } : holdings(old);
    this.#allocateIps(service, new Set(own.ips), errors, undo);
    if (errors.length === 0) this.#allocatePorts(service, new Set(own.ports), errors, undo);
    const release = () => {
      for (const step of undo.splice(0)) step();
    };
    if (errors.length > 0) release();
    return { errors, release };
  }

  #takeIp(ip: string, undo: (() => void)[]): void {
    this.#ips.hold(ip);
    undo.push(() => this.#ips.release(ip));
  }

  #takePort(port: number, undo: (() => void)[]): void {
    this.#ports.hold(port);
    undo.push(() => this.#ports.release(port));
  }

  #allocateIps(service: Service, own: ReadonlySet<string>, errors: Errors, undo: (() => void)[]): void {
    const { spec } = service;
    if (!wantsClusterIp(service)) return;
    if (spec.clusterIP && spec.clusterIPs === undefined) spec.clusterIPs = [spec.clusterIP];
    this.#chooseFamilies(service);
    if (spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None') {
      spec.clusterIP = 'None';
      spec.clusterIPs = ['None'];
      return;
    }
    const chosen: string[] = [];
    for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
      const pool = this.#pools.find(({ range }) => families[range.family] === family);
      const asked = spec.clusterIPs?.[index];
      if (pool === undefined) {
        invalid(errors, `spec.ipFamilies[${index}]`, family, 'not configured on this cluster');
        return;
      }
      const address = asked
        ? this.#claim(pool, asked, own, spec.clusterIPs ?? [], errors)
        : this.#pick(pool, family, errors);
      if (address === undefined) return;
      if (!own.has(canonicalIp(address))) this.#takeIp(canonicalIp(address), undo);
      chosen.push(address);
    }
    spec.clusterIPs = chosen;
    spec.clusterIP = chosen[0];
  }

  /** Policy and families of the user's addresses, of what is asked for, or of the cluster. */
  #chooseFamilies({ spec }: Service): void {
    const configured = this.#pools.map(({ range }) => families[range.family]);
    const given = (spec.clusterIPs ?? []).flatMap((text) => {
      const ip = parseIp(text);
      return ip === undefined ? [] : [families[ip.family]];
    });
    const isHeadless = spec.clusterIPs?.[0] === 'None';
    const noSelector = Object.keys(spec.selector ?? {}).length === 0;
    if (spec.ipFamilyPolicy === undefined) {
      const asked = Math.max(given.length, spec.ipFamilies?.length ?? 0);
      spec.ipFamilyPolicy =
        asked > 1 ? 'RequireDualStack' : isHeadless && noSelector ? 'RequireDualStack' : 'SingleStack';
    }
    const wanted =
      spec.ipFamilyPolicy === 'SingleStack' ? 1 : isHeadless && noSelector ? 2 : Math.min(2, configured.length);
    const all = isHeadless && noSelector ? ([...configured, 'IPv4', 'IPv6'] as const) : configured;
    const list = [...new Set([...(spec.ipFamilies ?? []), ...given, ...all])];
    const atLeast = Math.max(wanted, spec.ipFamilies?.length ?? 0, 1);
    spec.ipFamilies = list.slice(0, atLeast);
  }

  #claim(
    pool: ServiceIpPool,
    asked: string,
    own: ReadonlySet<string>,
    all: readonly string[],
    errors: Errors,
  ): string | undefined {
    const canonical = canonicalIp(asked);
    if (own.has(canonical)) return asked;
    if (!pool.contains(asked)) {
      invalid(
        errors,
        'spec.clusterIPs',
        all,
        `failed to allocate IP ${asked}: the provided IP (${asked}) is not in the valid range. The range of valid IPs is ${pool.range.cidr}`,
      );
      return undefined;
    }
    if (this.#ips.has(canonical)) {
      invalid(errors, 'spec.clusterIPs', all, `failed to allocate IP ${asked}: provided IP is already allocated`);
      return undefined;
    }
    return asked;
  }

  #pick(pool: ServiceIpPool, family: string, errors: Errors): string | undefined {
    const address = pool.allocate((ip) => this.#ips.has(ip), this.#random);
    if (address === undefined) {
      errors.push({
        type: 'InternalError',
        field: 'spec.clusterIPs',
        detail: `Internal error: failed to allocate a serviceIP: range is full (${family})`,
      });
    }
    return address;
  }

  #allocatePorts(service: Service, own: ReadonlySet<number>, errors: Errors, undo: (() => void)[]): void {
    const { spec } = service;
    const taken = new Map<number, Set<string>>();
    const ports = spec.ports ?? [];
    for (const [index, port] of ports.entries()) {
      if (!port.nodePort) continue;
      // TCP and UDP on one number belong together; the same protocol twice is for validation to refuse.
      const first = taken.get(port.nodePort);
      if (first === undefined) {
        if (!own.has(port.nodePort) && !this.#claimPort(port.nodePort, `spec.ports[${index}].nodePort`, errors, undo))
          return;
        taken.set(port.nodePort, new Set([port.protocol ?? 'TCP']));
      } else first.add(port.protocol ?? 'TCP');
    }
    if (wantsNodePorts(service)) {
      for (const [index, port] of ports.entries()) {
        if (port.nodePort) continue;
        const sibling = ports.find(
          (other) =>
            other.port === port.port &&
            other.nodePort &&
            taken.get(other.nodePort)?.has(port.protocol ?? 'TCP') === false,
        );
        const chosen = sibling?.nodePort ?? this.#portPool.allocate((number) => this.#ports.has(number), this.#random);
        if (chosen === undefined) {
          errors.push({
            type: 'InternalError',
            field: `spec.ports[${index}].nodePort`,
            detail: 'Internal error: failed to allocate a nodePort: range is full',
          });
          return;
        }
        if (sibling === undefined) this.#takePort(chosen, undo);
        port.nodePort = chosen;
        taken.set(chosen, (taken.get(chosen) ?? new Set()).add(port.protocol ?? 'TCP'));
      }
    }
    if (wantsHealthCheckPort(service)) this.#allocateHealthCheck(service, own, errors, undo);
  }

  #allocateHealthCheck({ spec }: Service, own: ReadonlySet<number>, errors: Errors, undo: (() => void)[]): void {
    const field = 'spec.healthCheckNodePort';
    if (spec.healthCheckNodePort) {
      if (!own.has(spec.healthCheckNodePort)) this.#claimPort(spec.healthCheckNodePort, field, errors, undo);
      return;
    }
    const chosen = this.#portPool.allocate((number) => this.#ports.has(number), this.#random);
    if (chosen === undefined) {
      errors.push({
        type: 'InternalError',
        field,
        detail: 'Internal error: failed to allocate requested HealthCheck NodePort: range is full',
      });
      return;
    }
    this.#takePort(chosen, undo);
    spec.healthCheckNodePort = chosen;
  }

  #claimPort(port: number, field: string, errors: Errors, undo: (() => void)[]): boolean {
    if (!this.#portPool.contains(port)) {
      invalid(
        errors,
        field,
        port,
        `provided port is not in the valid range. The range of valid ports is ${this.#portPool}`,
      );
      return false;
    }
    if (this.#ports.has(port)) {
      invalid(errors, field, port, 'provided port is already allocated');
      return false;
    }
    this.#takePort(port, undo);
    return true;
  }
}
