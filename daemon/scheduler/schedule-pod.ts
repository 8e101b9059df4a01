import type { NodeInfo } from './node-info.ts';
import type { NominatedPods } from './nominated-pods.ts';
import {
  type Cycle,
  isRejection,
  type NodeFilter,
  type NodeScorer,
  type Rejection,
  type SchedulerPlugin,
} from './plugin.ts';

/** The filters that have something to say of one pod, with the plugins they belong to. */
export interface ActiveFilter {
  readonly plugin: SchedulerPlugin;
  readonly filter: NodeFilter;
}

/** Why no node was found: for each node that was looked at, who rejected it and why. */
export interface Unschedulable {
  readonly nodeCount: number;
  /** A verdict on all nodes at once. */
  readonly preFilter?: Rejection;
  readonly rejections: ReadonlyMap<NodeInfo, Rejection>;
  /** Names of the plugins that rejected. */
  readonly plugins: ReadonlySet<string>;
  /** Names of the plugins that left only some nodes to look at. */
  readonly narrowedBy: readonly string[];
  readonly filters: readonly ActiveFilter[];
}

export type ScheduleResult =
  | { readonly node: NodeInfo; readonly feasible: number; readonly evaluated: number }
  | { readonly unschedulable: Unschedulable };

export interface ScheduleSettings {
  readonly plugins: readonly SchedulerPlugin[];
  readonly nominated: NominatedPods;
  readonly random: () => number;
}

const minFeasible = 100;
const minPercentage = 5;

/**
 * How many feasible nodes are enough to choose from: all of up to 100, a share that shrinks from a half to a twentieth in
 * larger clusters. More would cost time and hardly give a better node.
 */
export function enoughNodes(count: number): number {
  if (count < minFeasible) {
    return count;
  }
  const percentage = Math.max(minPercentage, Math.floor(50 - count / 125));
  return Math.max(minFeasible, Math.floor((count * percentage) / 100));
}

/** Finds nodes that suit pods, going round the nodes so that each gets its turn to be looked at first. */
export class PodPlacer {
  readonly #settings: ScheduleSettings;
  #next = 0;

  constructor(settings: ScheduleSettings) {
    this.#settings = settings;
  }

  /** The best node for the pod as the cluster stands now. Changes nothing. */
  place(cycle: Cycle): ScheduleResult {
    const nodes = cycle.cache.nodes;
    const prepared = this.#prepare(cycle);
    if ('preFilter' in prepared) {
      const unschedulable: Unschedulable = {
        nodeCount: nodes.length,
        preFilter: prepared.preFilter,
        rejections: new Map(),
        plugins: new Set([prepared.plugin]),
        narrowedBy: [],
        filters: [],
      };
      return { unschedulable };
    }
    const { filters, only, narrowedBy } = prepared;
    const rejections = new Map<NodeInfo, Rejection>();
    const rejecting = new Set<string>();
    const nominee = this.#nominee(cycle, filters);
    const feasible = nominee === undefined ? this.#search(cycle, filters, only, rejections, rejecting) : [nominee];
    if (feasible.length === 0) {
      for (const name of narrowedBy) {
        rejecting.add(name);
      }
      return {
        unschedulable: { nodeCount: nodes.length, rejections, plugins: rejecting, narrowedBy, filters },
      };
    }
    const evaluated = feasible.length + rejections.size;
    const node = feasible.length === 1 ? feasible[0]! : this.#best(cycle, feasible);
    return { node, feasible: feasible.length, evaluated };
  }

  #prepare(cycle: Cycle):
    | {
        readonly filters: ActiveFilter[];
        readonly only: ReadonlySet<string> | undefined;
        readonly narrowedBy: string[];
      }
    | { readonly preFilter: Rejection; readonly plugin: string } {
    const filters: ActiveFilter[] = [];
    let only: ReadonlySet<string> | undefined;
    const narrowedBy: string[] = [];
    for (const plugin of this.#settings.plugins) {
      const filter = plugin.filterFor?.(cycle);
      if (filter === undefined) {
        continue;
      }
      if (isRejection(filter)) {
        return { preFilter: filter, plugin: plugin.name };
      }
      filters.push({ plugin, filter });
      if (filter.only !== undefined) {
        const allowed: ReadonlySet<string> = filter.only;
        only = only === undefined ? allowed : new Set([...only].filter((name) => allowed.has(name)));
        narrowedBy.push(plugin.name);
      }
    }
    return { filters, only, narrowedBy };
  }

  /** The node that room was made on for this pod, when the pod fits there now. */
  #nominee(cycle: Cycle, filters: readonly ActiveFilter[]): NodeInfo | undefined {
    const name = this.#settings.nominated.nodeOf(cycle.pod.uid);
    const node = name === undefined ? undefined : cycle.cache.node(name);
    return node !== undefined && this.judge(cycle, filters, node) === undefined ? node : undefined;
  }

  #search(
    cycle: Cycle,
    filters: readonly ActiveFilter[],
    only: ReadonlySet<string> | undefined,
    rejections: Map<NodeInfo, Rejection>,
    rejecting: Set<string>,
  ): NodeInfo[] {
    const all = cycle.cache.nodes;
    const nodes = only === undefined ? all : [...only].flatMap((name) => cycle.cache.node(name) ?? []);
    const enough = enoughNodes(nodes.length);
    const feasible: NodeInfo[] = [];
    const start = only === undefined && nodes.length > 0 ? this.#next % nodes.length : 0;
    let looked = 0;
    for (; looked < nodes.length && feasible.length < enough; looked++) {
      const node = nodes[(start + looked) % nodes.length]!;
      const verdict = this.judge(cycle, filters, node);
      if (verdict === undefined) {
        feasible.push(node);
      } else {
        rejections.set(node, verdict.rejection);
        rejecting.add(verdict.plugin);
      }
    }
    if (only === undefined) {
      this.#next = start + looked;
    }
    return feasible;
  }

  /**
   * What speaks against the node: nothing, or the first objection. Pods of no lower priority for which room was made on
   * the node count as if they were there; and as if not, in case they go elsewhere.
   */
  judge(
    cycle: Cycle,
    filters: readonly ActiveFilter[],
    node: NodeInfo,
  ): { readonly plugin: string; readonly rejection: Rejection } | undefined {
    const others = this.#settings.nominated.on(node.name);
    if (others.length > 0) {
      const rivals = others.filter((other) => other.uid !== cycle.pod.uid && other.priority >= cycle.pod.priority);
      if (rivals.length > 0) {
        const crowded = node.clone();
        const forks = forkAll(filters);
        for (const rival of rivals) {
          crowded.addPod(rival);
          for (const { filter } of forks) {
            filter.podAdded?.(rival, crowded);
          }
        }
        const verdict = firstObjection(forks, crowded);
        if (verdict !== undefined) {
          return verdict;
        }
      }
    }
    return firstObjection(filters, node);
  }

  #best(cycle: Cycle, feasible: readonly NodeInfo[]): NodeInfo {
    const totals = new Float64Array(feasible.length);
    const scores = new Float64Array(feasible.length);
    for (const plugin of this.#settings.plugins) {
      const scorer = plugin.weight === 0 ? undefined : plugin.scorerFor?.(cycle, feasible);
      if (scorer !== undefined) {
        rate(scorer, feasible, scores);
        for (let i = 0; i < totals.length; i++) {
          totals[i] = totals[i]! + plugin.weight * scores[i]!;
        }
      }
    }
    // Among equals each has the same chance, in one pass.
    let best = 0;
    let equals = 1;
    for (let i = 1; i < totals.length; i++) {
      if (totals[i]! > totals[best]!) {
        best = i;
        equals = 1;
      } else if (totals[i] === totals[best]) {
        equals++;
        if (this.#settings.random() * equals < 1) {
          best = i;
        }
      }
    }
    return feasible[best]!;
  }
}

function rate(scorer: NodeScorer, nodes: readonly NodeInfo[], scores: Float64Array): void {
  for (let i = 0; i < nodes.length; i++) {
    scores[i] = scorer.score(nodes[i]!);
  }
  scorer.normalize?.(scores, nodes);
}

/** Filters that can be told of pods that come and go without disturbing the originals. */
export function forkAll(filters: readonly ActiveFilter[]): ActiveFilter[] {
  return filters.map(({ plugin, filter }) => ({ plugin, filter: filter.fork?.() ?? filter }));
}

export function firstObjection(
  filters: readonly ActiveFilter[],
  node: NodeInfo,
): { readonly plugin: string; readonly rejection: Rejection } | undefined {
  for (const { plugin, filter } of filters) {
    const rejection = filter.filter(node);
    if (rejection !== undefined) {
      return { plugin: plugin.name, rejection };
    }
  }
  return undefined;
}
