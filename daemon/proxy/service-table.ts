import type { Node, Service } from '../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import { healthCheckOf, type NodeTopology, serviceNameLabel, serviceRules } from './service-port-rules.ts';
import type { HealthCheck, ServicePortRule, ServiceRules } from './service-rules.ts';

const zoneLabel = 'topology.kubernetes.io/zone';

/**
 * Services and their EndpointSlices as rules, kept up to date change by change: only the Services that changed since the
 * last `rules` are computed again, and rules that come out as they were stay the same objects.
 */
export class ServiceTable {
  #topology: NodeTopology;
  readonly #services = new Map<string, Service>();
  /** By service, then by slice name. */
  readonly #slices = new Map<string, Map<string, EndpointSlice>>();
  readonly #changed = new Set<string>();
  readonly #rulesOf = new Map<string, readonly ServicePortRule[]>();
  readonly #healthChecks = new Map<string, HealthCheck>();
  #ports: ReadonlyMap<string, ServicePortRule> = new Map();

  constructor(topology: NodeTopology) {
    this.#topology = topology;
  }

  setService(service: Service): void {
    const key = keyOf(service);
    this.#services.set(key, service);
    this.#changed.add(key);
  }

  deleteService(service: Service): void {
    const key = keyOf(service);
    this.#services.delete(key);
    this.#changed.add(key);
  }

  setSlice(slice: EndpointSlice, old?: EndpointSlice): void {
    const before = old === undefined ? undefined : serviceOf(old);
    const service = serviceOf(slice);
    if (before !== undefined && before !== service) this.#removeSlice(before, slice);
    if (service === undefined) return;
    let slices = this.#slices.get(service);
    if (slices === undefined) {
      slices = new Map();
      this.#slices.set(service, slices);
    }
    slices.set(slice.metadata.name ?? '', slice);
    this.#changed.add(service);
  }

  deleteSlice(slice: EndpointSlice): void {
    const service = serviceOf(slice);
    if (service !== undefined) this.#removeSlice(service, slice);
  }

  /** True when the node's zone changed, and with it possibly everything. */
  setNode(node: Node): boolean {
    const zone = node.metadata?.labels?.[zoneLabel] ?? '';
    if (zone === this.#topology.zone) return false;
    this.#topology = { ...this.#topology, zone };
    for (const key of this.#services.keys()) this.#changed.add(key);
    return true;
  }

  rules(): ServiceRules {
    if (this.#changed.size === 0) return { ports: this.#ports };
    const ports = new Map(this.#ports);
    for (const key of this.#changed) {
      const before = this.#rulesOf.get(key) ?? [];
      const service = this.#services.get(key);
      const computed =
        service === undefined
          ? []
          : serviceRules(service, [...(this.#slices.get(key)?.values() ?? [])], this.#topology).map((rule) =>
              unchanged(ports.get(rule.key), rule),
            );
      for (const rule of before) ports.delete(rule.key);
      for (const rule of computed) ports.set(rule.key, rule);
      if (computed.length === 0) this.#rulesOf.delete(key);
      else this.#rulesOf.set(key, computed);
      const healthCheck = service === undefined ? undefined : healthCheckOf(service, computed);
      if (healthCheck === undefined) this.#healthChecks.delete(key);
      else this.#healthChecks.set(key, healthCheck);
    }
    this.#changed.clear();
    this.#ports = ports;
    return { ports };
  }

  /** As of the last call of `rules`. */
  healthChecks(): readonly HealthCheck[] {
    return [...this.#healthChecks.values()];
  }

  #removeSlice(service: string, slice: EndpointSlice): void {
    const slices = this.#slices.get(service);
    if (slices === undefined) return;
    slices.delete(slice.metadata.name ?? '');
    if (slices.size === 0) this.#slices.delete(service);
    this.#changed.add(service);
  }
}

function unchanged(before: ServicePortRule | undefined, now: ServicePortRule): ServicePortRule {
  return before !== undefined && JSON.stringify(before) === JSON.stringify(now) ? before : now;
}

function keyOf(service: Service): string {
  return `${service.metadata?.namespace ?? ''}/${service.metadata?.name ?? ''}`;
}

function serviceOf(slice: EndpointSlice): string | undefined {
  const name = slice.metadata.labels?.[serviceNameLabel];
  return name === undefined ? undefined : `${slice.metadata.namespace ?? ''}/${name}`;
}
