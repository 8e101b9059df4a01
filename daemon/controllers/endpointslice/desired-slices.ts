import { stableStringify } from '../../apimachinery/hash.ts';
import type { Endpoint, EndpointPort, EndpointSlice } from '../../apimachinery/types/discovery-v1.ts';

export const maxEndpointsPerSlice = 100;

/** Endpoints that share a set of ports. */
export interface PortGroup {
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

/** What to write so that the slices hold the desired endpoints. `create` are contents without metadata. */
export interface SliceChanges {
  readonly create: readonly SliceContent[];
  readonly update: readonly EndpointSlice[];
  readonly delete: readonly EndpointSlice[];
}

export interface SliceContent {
  readonly ports: EndpointPort[];
  readonly endpoints: Endpoint[];
}

/** Identity of an endpoint across changes of its conditions. */
function endpointKey(endpoint: Endpoint): string {
  const { kind, namespace, name, uid } = endpoint.targetRef ?? {};
  return stableStringify([[...endpoint.addresses].sort(), endpoint.hostname, kind, namespace, name, uid]);
}

/** Slices are grouped by their ports, whatever the order. */
export function portsKey(ports: readonly EndpointPort[] | undefined): string {
  return stableStringify((ports ?? []).map((port) => stableStringify(port)).sort());
}

/** Groups endpoints by the ports they offer. */
export function groupByPorts(
  members: Iterable<{ readonly ports: readonly EndpointPort[]; readonly endpoint: Endpoint }>,
): PortGroup[] {
  const groups = new Map<string, { ports: readonly EndpointPort[]; endpoints: Endpoint[] }>();
  for (const { ports, endpoint } of members) {
    const key = portsKey(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    groups.set(key, group);
    group.endpoints.push(endpoint);
  }
  return [...groups.values()];
}

/**
 * Changes of the slices of one Service and address type, with as few writes as can be: endpoints stay in the slice they are
 * in, new ones fill slices that are written anyway, then the fullest slice with room for all of them, then new slices; a
 * slice that would be deleted while another is created is rewritten instead.
 *
 * With no endpoints at all one empty slice stays, which tells consumers that the Service is known and has none.
 */
export function planSlices(existing: readonly EndpointSlice[], groups: readonly PortGroup[]): SliceChanges {
  const create: SliceContent[] = [];
  const update: EndpointSlice[] = [];
  const remove: EndpointSlice[] = [];
  const byPorts = new Map<string, EndpointSlice[]>();
  for (const slice of existing) {
    const key = portsKey(slice.ports);
    byPorts.set(key, [...(byPorts.get(key) ?? []), slice]);
  }

  for (const group of groups) {
    const key = portsKey(group.ports);
    planGroup(byPorts.get(key) ?? [], group, { create, update, remove });
    byPorts.delete(key);
  }
  for (const slices of byPorts.values()) remove.push(...slices);

  if (remove.length === existing.length && create.length === 0) {
    const placeholder = remove.findIndex(isPlaceholder);
    if (placeholder >= 0) remove.splice(placeholder, 1);
    else create.push({ ports: [], endpoints: [] });
  }
  while (remove.length > 0 && create.length > 0) {
    update.push({ ...remove.pop()!, ...create.pop()! });
  }
  return { create, update, delete: remove };
}

export function isPlaceholder(slice: EndpointSlice): boolean {
  return (slice.endpoints ?? []).length === 0 && (slice.ports ?? []).length === 0;
}

function planGroup(
  slices: readonly EndpointSlice[],
  group: PortGroup,
  plan: { create: SliceContent[]; update: EndpointSlice[]; remove: EndpointSlice[] },
): void {
  const missing = new Map(group.endpoints.map((endpoint) => [endpointKey(endpoint), endpoint]));
  const changed = new Map<EndpointSlice, Endpoint[]>();
  const unchanged: EndpointSlice[] = [];
  const emptied: EndpointSlice[] = [];

  for (const slice of slices) {
    const before = slice.endpoints ?? [];
    const kept: Endpoint[] = [];
    let touched = false;
    for (const endpoint of before) {
      const key = endpointKey(endpoint);
      const desired = missing.get(key);
      if (desired === undefined) continue;
      kept.push(desired);
      missing.delete(key);
      touched ||= stableStringify(desired) !== stableStringify(endpoint);
    }
    if (kept.length === 0) emptied.push(slice);
    else if (touched || kept.length !== before.length) changed.set(slice, kept);
    else unchanged.push(slice);
  }

  const rest = [...missing.values()];
  for (const kept of changed.values()) kept.push(...rest.splice(0, maxEndpointsPerSlice - kept.length));
  while (rest.length > 0 && emptied.length > 0) {
    changed.set(emptied.shift()!, rest.splice(0, maxEndpointsPerSlice));
  }
  if (rest.length > 0) {
    const roomy = fullestWithRoom(unchanged, rest.length);
    if (roomy !== undefined) changed.set(roomy, [...(roomy.endpoints ?? []), ...rest.splice(0)]);
  }
  while (rest.length > 0) {
    plan.create.push({ ports: [...group.ports], endpoints: rest.splice(0, maxEndpointsPerSlice) });
  }
  for (const [slice, endpoints] of changed) plan.update.push({ ...slice, endpoints });
  plan.remove.push(...emptied);
}

function fullestWithRoom(slices: readonly EndpointSlice[], count: number): EndpointSlice | undefined {
  const size = (slice: EndpointSlice): number => (slice.endpoints ?? []).length;
  return slices.filter((slice) => size(slice) + count <= maxEndpointsPerSlice).sort((a, b) => size(b) - size(a))[0];
}
