import type { Pod } from '../apimachinery/types/core-v1.ts';
import type { ApiClient } from '../client/api-client.ts';
import type { EventInterest } from './cluster-event.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { SchedulerCache } from './scheduler-cache.ts';
import type { SchedulerListers } from './scheduler-listers.ts';

/** Why a pod cannot go to a node (or anywhere). Shared constants where possible: a search makes many. */
export interface Rejection {
  readonly reasons: readonly string[];
  /** No pod that leaves the node could change it: preempting would be in vain. */
  readonly unresolvable: boolean;
}

export function rejection(reason: string, unresolvable = false): Rejection {
  return { reasons: [reason], unresolvable };
}

/** One attempt to find a node for one pod. */
export interface Cycle {
  readonly pod: PodInfo;
  readonly cache: SchedulerCache;
  readonly listers: SchedulerListers;
  readonly client: ApiClient;
}

/** Judges nodes for the pod of one cycle. `node` may be a what-if copy of the node in the cache. */
export interface NodeFilter {
  filter(node: NodeInfo): Rejection | undefined;
  /** When set, only these nodes can be right: all others are passed over. */
  readonly only?: ReadonlySet<string>;
  /** A copy that can be told of pods that come to or leave a node in a what-if; absent: such pods change nothing for it but the node. */
  fork?(): NodeFilter;
  podAdded?(pod: PodInfo, node: NodeInfo): void;
  podRemoved?(pod: PodInfo, node: NodeInfo): void;
}

/** Rates the feasible nodes of one cycle: 0 to 100 each, after `normalize` when there is one. */
export interface NodeScorer {
  score(node: NodeInfo): number;
  /** Brings the raw scores, one per feasible node in order, to 0..100 in place. */
  normalize?(scores: Float64Array, nodes: readonly NodeInfo[]): void;
}

/** Something to hold for a pod between the decision and its binding. */
export interface Reservation {
  /** Runs before the pod is bound; throwing sends the pod back to the queue. */
  beforeBind?(): Promise<void>;
  /** The pod will not be bound after all. */
  release?(): void;
}

/**
 * A rule of scheduling. A plugin is a stateless row of the table in `plugins.ts`; what it works out for one pod lives in
 * the filter, scorer or reservation that it returns for that pod's cycle. Returning undefined means: nothing to say of this pod.
 */
export interface SchedulerPlugin {
  readonly name: string;
  /** Factor of its score (0: does not score). */
  readonly weight: number;
  /** What must happen before a pod that this plugin rejected is worth another try. */
  readonly interests: readonly EventInterest[];
  /** Keeps the pod out of the queue until it no longer objects. */
  readonly admits?: (pod: Pod) => boolean;
  /** A Rejection here is of all nodes at once. */
  readonly filterFor?: (cycle: Cycle) => NodeFilter | Rejection | undefined;
  readonly scorerFor?: (cycle: Cycle, nodes: readonly NodeInfo[]) => NodeScorer | undefined;
  readonly reserve?: (cycle: Cycle, node: NodeInfo) => Reservation | undefined;
}

export function isRejection(value: NodeFilter | Rejection): value is Rejection {
  return 'reasons' in value;
}

/** The usual normalization: the greatest becomes 100, the others in proportion; `reverse` makes the least the best. */
export function normalizeToMax(scores: Float64Array, reverse: boolean): void {
  let max = 0;
  for (const score of scores) {
    max = Math.max(max, score);
  }
  for (let i = 0; i < scores.length; i++) {
    const scaled = max === 0 ? 0 : Math.floor((100 * scores[i]!) / max);
    scores[i] = reverse ? 100 - scaled : scaled;
  }
}
