import { labelSelectorMatcher } from '../apimachinery/label-selector.ts';
import type { Pod } from '../apimachinery/types/core-v1.ts';
import type { PodDisruptionBudget } from '../apimachinery/types/policy-v1.ts';
import { fitMessage } from './fit-error.ts';
import type { NodeInfo } from './node-info.ts';
import type { NominatedPods } from './nominated-pods.ts';
import { type Cycle, type Rejection, rejection } from './plugin.ts';
import type { PodInfo } from './pod-info.ts';
import { type ActiveFilter, firstObjection, forkAll, type Unschedulable } from './schedule-pod.ts';

export interface Candidate {
  readonly node: NodeInfo;
  /** Most important first. */
  readonly victims: readonly PodInfo[];
  readonly budgetViolations: number;
}

export type PreemptionResult =
  | { readonly candidate: Candidate }
  /** `waits`: nothing was tried, so room that is being made for the pod already stays its own. */
  | { readonly message: string; readonly waits: boolean };

const noVictims = rejection('No preemption victims found for incoming pod', true);
const notHelpful = 'Preemption is not helpful for scheduling';

/** At least this many nodes are tried, or this share of them, before the best so far will do. */
const minCandidates = 100;
const candidateShare = 0.1;

/**
 * Looks for a node on which the pod would fit if pods of lower priority left, and for the fewest and least important
 * pods whose leaving is enough. Changes nothing.
 */
export function findPreemption(
  cycle: Cycle,
  failure: Unschedulable,
  nominated: NominatedPods,
  random: () => number,
): PreemptionResult {
  const ineligible = whyIneligible(cycle, failure, nominated);
  if (ineligible !== undefined) {
    return { message: ineligible, waits: true };
  }
  const { nodeCount } = failure;
  const helpful = [...failure.rejections].filter(([, { unresolvable }]) => !unresolvable).map(([node]) => node);
  const wanted = Math.max(minCandidates, Math.floor(nodeCount * candidateShare));
  const start = Math.floor(random() * helpful.length);
  const candidates: Candidate[] = [];
  const rejections: Rejection[] = [];
  const budgets = cycle.listers.disruptionBudgets.lister.list();
  for (let i = 0; i < helpful.length && candidates.length < wanted; i++) {
    const node = helpful[(start + i) % helpful.length]!;
    const result = victimsOn(cycle, failure.filters, node, budgets, nominated);
    if ('victims' in result) {
      candidates.push(result);
    } else {
      rejections.push(result);
    }
  }
  const best = pickBest(candidates);
  return best === undefined
    ? { message: fitMessage({ nodeCount, rejections, others: notHelpful }), waits: false }
    : { candidate: best };
}

function whyIneligible({ pod, cache }: Cycle, failure: Unschedulable, nominated: NominatedPods): string | undefined {
  if (pod.pod.spec.preemptionPolicy === 'Never') {
    return 'not eligible due to preemptionPolicy=Never.';
  }
  const name = nominated.nodeOf(pod.uid) ?? (pod.pod.status?.nominatedNodeName || undefined);
  const node = name === undefined ? undefined : cache.node(name);
  if (node === undefined || failure.rejections.get(node)?.unresolvable === true) {
    return undefined;
  }
  for (const other of node.pods.values()) {
    if (other.priority < pod.priority && isLeavingForAnother(other.pod)) {
      return 'not eligible due to a terminating pod on the nominated node.';
    }
  }
  return undefined;
}

function isLeavingForAnother({ metadata, status }: Pod): boolean {
  return (
    metadata.deletionTimestamp !== undefined &&
    (status?.conditions ?? []).some(
      ({ type, status: is, reason }) =>
        type === 'DisruptionTarget' && is === 'True' && reason === 'PreemptionByScheduler',
    )
  );
}

/** Takes all pods of lower priority off a copy of the node, then puts back as many as fit, the most important first. */
function victimsOn(
  cycle: Cycle,
  filters: readonly ActiveFilter[],
  node: NodeInfo,
  budgets: readonly PodDisruptionBudget[],
  nominated: NominatedPods,
): Candidate | Rejection {
  const { priority } = cycle.pod;
  const lower = cycle.cache.hasBelow(priority) ? [...node.pods.values()].filter((pod) => pod.priority < priority) : [];
  if (lower.length === 0) {
    return noVictims;
  }
  const copy = node.clone();
  const forks = forkAll(filters);
  const remove = (pod: PodInfo): void => {
    copy.removePod(pod.uid);
    for (const { filter } of forks) {
      filter.podRemoved?.(pod, copy);
    }
  };
  const add = (pod: PodInfo): void => {
    copy.addPod(pod);
    for (const { filter } of forks) {
      filter.podAdded?.(pod, copy);
    }
  };
  for (const pod of lower) {
    remove(pod);
  }
  for (const rival of nominated.on(node.name)) {
    if (rival.uid !== cycle.pod.uid && rival.priority >= cycle.pod.priority) {
      add(rival);
    }
  }
  const verdict = firstObjection(forks, copy);
  if (verdict !== undefined) {
    return verdict.rejection;
  }
  lower.sort(moreImportantFirst);
  const { violating, others } = byBudget(lower, budgets);
  const victims: PodInfo[] = [];
  let budgetViolations = 0;
  const reprieve = (pod: PodInfo): boolean => {
    add(pod);
    if (firstObjection(forks, copy) === undefined) {
      return true;
    }
    remove(pod);
    victims.push(pod);
    return false;
  };
  for (const pod of violating) {
    budgetViolations += reprieve(pod) ? 0 : 1;
  }
  for (const pod of others) {
    reprieve(pod);
  }
  victims.sort(moreImportantFirst);
  return { node, victims, budgetViolations };
}

function startOf(pod: PodInfo): number {
  return Date.parse(pod.pod.status?.startTime ?? pod.pod.metadata.creationTimestamp ?? '') || 0;
}

/** Higher priority first; of equals the one that has run for longer. */
function moreImportantFirst(a: PodInfo, b: PodInfo): number {
  return b.priority - a.priority || startOf(a) - startOf(b);
}

/** Parts pods by whether taking them (after those before them) would break a disruption budget. */
function byBudget(pods: readonly PodInfo[], budgets: readonly PodDisruptionBudget[]) {
  const left = budgets.map((budget) => budget.status?.disruptionsAllowed ?? 0);
  const violating: PodInfo[] = [];
  const others: PodInfo[] = [];
  for (const pod of pods) {
    let violates = false;
    budgets.forEach((budget, i) => {
      const selector = labelSelectorMatcher(budget.spec?.selector);
      const covers =
        budget.metadata.namespace === pod.namespace &&
        !selector.isEverything &&
        selector.matches(pod.pod.metadata.labels) &&
        budget.status?.disruptedPods?.[pod.pod.metadata.name ?? ''] === undefined;
      if (covers) {
        left[i] = left[i]! - 1;
        violates ||= left[i]! < 0;
      }
    });
    (violates ? violating : others).push(pod);
  }
  return { violating, others };
}

/** What makes one candidate better than another, in order of weight: less is better. */
const criteria: readonly ((candidate: Candidate) => number)[] = [
  ({ budgetViolations }) => budgetViolations,
  ({ victims }) => victims[0]?.priority ?? Number.NEGATIVE_INFINITY,
  // Shifted to be positive, so that more victims never sum to less.
  ({ victims }) => victims.reduce((sum, { priority }) => sum + priority + 2 ** 31, 0),
  ({ victims }) => victims.length,
  ({ victims }) => -Math.min(...victims.filter((pod) => pod.priority === victims[0]?.priority).map(startOf)),
];

function pickBest(candidates: readonly Candidate[]): Candidate | undefined {
  let best = candidates;
  for (const cost of criteria) {
    if (best.length <= 1) {
      break;
    }
    const costs = best.map(cost);
    const least = Math.min(...costs);
    best = best.filter((_, i) => costs[i] === least);
  }
  return best[0];
}
