import type { Node } from '../../apimachinery/types/core-v1.ts';
import type { Readiness } from './node-health.ts';

/** Share of unready nodes from which on a zone counts as disrupted. */
const unhealthyZoneThreshold = 0.55;
/** Zones with more nodes than this evict slowly when disrupted; smaller ones stop. */
const largeClusterSize = 50;

const evictionsPerSecond = 0.1;
const secondaryEvictionsPerSecond = 0.01;

export type ZoneState = 'Normal' | 'PartialDisruption' | 'FullDisruption';

export function zoneOf(node: Node): string {
  const labels = node.metadata.labels ?? {};
  const region = labels['topology.kubernetes.io/region'] ?? labels['failure-domain.beta.kubernetes.io/region'] ?? '';
  const zone = labels['topology.kubernetes.io/zone'] ?? labels['failure-domain.beta.kubernetes.io/zone'] ?? '';
  return `${region}\0${zone}`;
}

export function zoneState(readiness: readonly Readiness[]): ZoneState {
  const unready = readiness.filter((status) => status !== 'True').length;
  if (unready === readiness.length && unready > 0) return 'FullDisruption';
  return unready > 2 && unready / readiness.length >= unhealthyZoneThreshold ? 'PartialDisruption' : 'Normal';
}

/**
 * How fast nodes of a zone may be tainted NoExecute, per second. When every zone is down the fault is more likely ours than
 * theirs, and nothing is evicted. One zone that is down alone is evicted at the full rate; a partly disrupted one slowly.
 */
export function evictionRate(state: ZoneState, size: number, allDown: boolean): number {
  if (allDown) return 0;
  if (state !== 'PartialDisruption') return evictionsPerSecond;
  return size > largeClusterSize ? secondaryEvictionsPerSecond : 0;
}

/** Lets one node of a zone through at a time, at the zone's rate. */
export class EvictionLimiter {
  readonly #nextAt = new Map<string, number>();

  mayTake(zone: string, rate: number, nowMs: number): boolean {
    return rate > 0 && nowMs >= (this.#nextAt.get(zone) ?? 0);
  }

  took(zone: string, rate: number, nowMs: number): void {
    this.#nextAt.set(zone, nowMs + 1000 / rate);
  }
}
