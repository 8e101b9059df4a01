import { LabelMatcher, labelSelectorMatcher, matchLabels, newRequirement } from '../../apimachinery/label-selector.ts';
import { controllerOf } from '../../apimachinery/owner-reference.ts';
import type { Pod, TopologySpreadConstraint } from '../../apimachinery/types/core-v1.ts';
import type { NodeInfo } from '../node-info.ts';
import { nodeMatchesPod } from '../node-selector.ts';
import { type Cycle, type NodeFilter, type NodeScorer, rejection, type SchedulerPlugin } from '../plugin.ts';
import type { PodInfo } from '../pod-info.ts';
import { isLeaving } from '../selector-counts.ts';
import { repellingEffects, untoleratedTaint } from '../taints.ts';

const skewed = rejection("node(s) didn't match pod topology spread constraints");
const noLabel = rejection("node(s) didn't match pod topology spread constraints (missing required label)", true);

const hostname = 'kubernetes.io/hostname';

interface Constraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly minDomains: number;
  readonly selector: LabelMatcher;
  readonly honorAffinity: boolean;
  readonly honorTaints: boolean;
}

/** Of pods that ask for nothing themselves: spread gently over nodes and zones. */
const systemDefaults = [
  { topologyKey: hostname, maxSkew: 3 },
  { topologyKey: 'topology.kubernetes.io/zone', maxSkew: 5 },
];

function constraintsOf(pod: Pod, whenUnsatisfiable: string): Constraint[] {
  return (pod.spec.topologySpreadConstraints ?? [])
    .filter((constraint) => constraint.whenUnsatisfiable === whenUnsatisfiable)
    .map((constraint) => ({
      topologyKey: constraint.topologyKey,
      maxSkew: constraint.maxSkew,
      minDomains: constraint.minDomains ?? 1,
      selector: selectorOf(pod, constraint),
      honorAffinity: (constraint.nodeAffinityPolicy ?? 'Honor') === 'Honor',
      honorTaints: (constraint.nodeTaintsPolicy ?? 'Ignore') === 'Honor',
    }));
}

function selectorOf(pod: Pod, { labelSelector, matchLabelKeys = [] }: TopologySpreadConstraint): LabelMatcher {
  const selector = labelSelectorMatcher(labelSelector);
  const more = matchLabelKeys
    .filter((key) => pod.metadata.labels?.[key] !== undefined)
    .map((key) => newRequirement(key, 'in', [pod.metadata.labels![key]!]));
  return more.length === 0 || selector.isNothing ? selector : new LabelMatcher([...selector.requirements, ...more]);
}

/** Whether pods on the node count for the constraint: those on nodes that the pod itself could not go to may not. */
function nodeCounts(pod: Pod, node: NodeInfo, { honorAffinity, honorTaints }: Constraint): boolean {
  if (node.node === undefined || (honorAffinity && !nodeMatchesPod(pod, node.node))) {
    return false;
  }
  return !honorTaints || untoleratedTaint(node.node.spec?.taints, pod.spec.tolerations, repellingEffects) === undefined;
}

/** Matching pods by domain, of one constraint. */
class DomainCounts {
  readonly constraint: Constraint;
  readonly counts: Map<string, number>;
  /** How often the pod to place matches its own selector: 1 or 0. */
  readonly self: number;
  readonly #pod: PodInfo;
  #least: number | undefined;

  constructor(pod: PodInfo, constraint: Constraint, counts: Map<string, number>) {
    this.#pod = pod;
    this.constraint = constraint;
    this.counts = counts;
    this.self = constraint.selector.matches(pod.pod.metadata.labels) ? 1 : 0;
  }

  fork(): DomainCounts {
    return new DomainCounts(this.#pod, this.constraint, new Map(this.counts));
  }

  get least(): number {
    if (this.#least === undefined) {
      const enough = this.counts.size >= this.constraint.minDomains;
      let least = enough ? Number.POSITIVE_INFINITY : 0;
      for (const count of this.counts.values()) {
        least = Math.min(least, count);
      }
      this.#least = least === Number.POSITIVE_INFINITY ? 0 : least;
    }
    return this.#least;
  }

  podMoved(pod: PodInfo, node: NodeInfo, by: 1 | -1): void {
    const { selector, topologyKey } = this.constraint;
    const domain = node.label(topologyKey);
    if (
      domain !== undefined &&
      pod.namespace === this.#pod.namespace &&
      !isLeaving(pod) &&
      selector.matches(pod.pod.metadata.labels) &&
      nodeCounts(this.#pod.pod, node, this.constraint)
    ) {
      this.counts.set(domain, (this.counts.get(domain) ?? 0) + by);
      this.#least = undefined;
    }
  }
}

class SpreadFilter implements NodeFilter {
  readonly #domains: readonly DomainCounts[];

  constructor(domains: readonly DomainCounts[]) {
    this.#domains = domains;
  }

  filter(node: NodeInfo) {
    for (const domains of this.#domains) {
      const { topologyKey, maxSkew } = domains.constraint;
      const domain = node.label(topologyKey);
      if (domain === undefined) {
        return noLabel;
      }
      if ((domains.counts.get(domain) ?? 0) + domains.self - domains.least > maxSkew) {
        return skewed;
      }
    }
    return undefined;
  }

  fork(): NodeFilter {
    return new SpreadFilter(this.#domains.map((domains) => domains.fork()));
  }

  podAdded(pod: PodInfo, node: NodeInfo): void {
    for (const domains of this.#domains) {
      domains.podMoved(pod, node, 1);
    }
  }

  podRemoved(pod: PodInfo, node: NodeInfo): void {
    for (const domains of this.#domains) {
      domains.podMoved(pod, node, -1);
    }
  }
}

function spreadFilter({ pod, cache }: Cycle): NodeFilter | undefined {
  const constraints = constraintsOf(pod.pod, 'DoNotSchedule');
  if (constraints.length === 0) {
    return undefined;
  }
  const eligible = cache.nodes.filter((node) =>
    constraints.every(({ topologyKey }) => node.label(topologyKey) !== undefined),
  );
  const domains = constraints.map((constraint) => {
    const { byNode } = cache.counts.of(pod.namespace, constraint.selector, false);
    const counts = new Map<string, number>();
    for (const node of eligible) {
      if (nodeCounts(pod.pod, node, constraint)) {
        const domain = node.label(constraint.topologyKey)!;
        counts.set(domain, (counts.get(domain) ?? 0) + (byNode.get(node.name) ?? 0));
      }
    }
    return new DomainCounts(pod, constraint, counts);
  });
  return new SpreadFilter(domains);
}

/** What the services and the controller that the pod belongs to select; undefined when it belongs to none. */
function defaultSelector({ pod: { pod }, listers }: Cycle): LabelMatcher | undefined {
  const requirements = [];
  for (const service of listers.services.lister.list(pod.metadata.namespace)) {
    const selector = service.spec?.selector;
    if (selector !== undefined && Object.keys(selector).length > 0) {
      const matcher = matchLabels(selector);
      if (matcher.matches(pod.metadata.labels)) {
        requirements.push(...matcher.requirements);
      }
    }
  }
  const owner = controllerOf(pod);
  const key = `${pod.metadata.namespace}/${owner?.name}`;
  const workload =
    owner?.kind === 'ReplicaSet'
      ? listers.replicaSets.lister.get(key)
      : owner?.kind === 'StatefulSet'
        ? listers.statefulSets.lister.get(key)
        : undefined;
  if (workload?.spec?.selector !== undefined) {
    requirements.push(...labelSelectorMatcher(workload.spec.selector).requirements);
  }
  return requirements.length === 0 ? undefined : new LabelMatcher(requirements);
}

function spreadScorer(cycle: Cycle, nodes: readonly NodeInfo[]): NodeScorer | undefined {
  const { pod, cache } = cycle;
  let constraints = constraintsOf(pod.pod, 'ScheduleAnyway');
  // The defaults rate whatever labels a node has; constraints of the pod's own leave out nodes that lack one.
  const needsAllLabels = constraints.length > 0;
  if ((pod.pod.spec.topologySpreadConstraints ?? []).length === 0) {
    const selector = defaultSelector(cycle);
    if (selector !== undefined) {
      constraints = systemDefaults.map((defaults) => ({
        ...defaults,
        minDomains: 1,
        selector,
        honorAffinity: true,
        honorTaints: false,
      }));
    }
  }
  if (constraints.length === 0) {
    return undefined;
  }
  const ignored = new Set<NodeInfo>();
  if (needsAllLabels) {
    for (const node of nodes) {
      if (constraints.some(({ topologyKey }) => node.label(topologyKey) === undefined)) {
        ignored.add(node);
      }
    }
  }
  const parts = constraints.map((constraint) => {
    const placed = cache.counts.of(pod.namespace, constraint.selector, false);
    const { byNode } = placed;
    if (constraint.topologyKey === hostname) {
      return { constraint, byNode, byDomain: undefined, weight: Math.log(nodes.length - ignored.size + 2) };
    }
    const domains = new Set<string>();
    for (const node of nodes) {
      const domain = node.label(constraint.topologyKey);
      if (domain !== undefined && !ignored.has(node)) {
        domains.add(domain);
      }
    }
    const everyNodeCounts = !constraint.honorTaints && (!constraint.honorAffinity || goesAnywhere(pod.pod));
    const byDomain =
      everyNodeCounts && (!needsAllLabels || constraints.length === 1)
        ? placed.byLabel(constraint.topologyKey)
        : sumByDomain(byNode, (name) => {
            const node = cache.node(name);
            const complete =
              !needsAllLabels || constraints.every(({ topologyKey }) => node?.label(topologyKey) !== undefined);
            return node !== undefined && complete && nodeCounts(pod.pod, node, constraint)
              ? node.label(constraint.topologyKey)
              : undefined;
          });
    return { constraint, byNode, byDomain, weight: Math.log(domains.size + 2) };
  });
  return {
    score(node) {
      if (ignored.has(node)) {
        return 0;
      }
      let score = 0;
      for (const { constraint, byNode, byDomain, weight } of parts) {
        const domain = node.label(constraint.topologyKey);
        if (domain !== undefined) {
          const count = byDomain === undefined ? byNode.get(node.name) : byDomain.get(domain);
          score += (count ?? 0) * weight + (constraint.maxSkew - 1);
        }
      }
      return Math.round(score);
    },
    normalize(scores, rated) {
      let least = Number.POSITIVE_INFINITY;
      let most = 0;
      for (let i = 0; i < scores.length; i++) {
        if (!ignored.has(rated[i]!)) {
          least = Math.min(least, scores[i]!);
          most = Math.max(most, scores[i]!);
        }
      }
      for (let i = 0; i < scores.length; i++) {
        if (ignored.has(rated[i]!)) {
          scores[i] = 0;
        } else {
          scores[i] = most === 0 ? 100 : Math.floor((100 * (most + least - scores[i]!)) / most);
        }
      }
    },
  };
}

function sumByDomain(byNode: ReadonlyMap<string, number>, domainOf: (nodeName: string) => string | undefined) {
  const sums = new Map<string, number>();
  for (const [name, count] of byNode) {
    const domain = domainOf(name);
    if (domain !== undefined) {
      sums.set(domain, (sums.get(domain) ?? 0) + count);
    }
  }
  return sums;
}

/** The pod asks nothing of nodes: what it could not go to is no question. */
function goesAnywhere({ spec }: Pod): boolean {
  return (
    spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution === undefined &&
    Object.keys(spec.nodeSelector ?? {}).length === 0
  );
}

/** Keeps the pods that a constraint selects evenly spread over the domains of a node label. */
export const podTopologySpread: SchedulerPlugin = {
  name: 'PodTopologySpread',
  weight: 2,
  interests: [{ on: ['NodeAdd', 'NodeUpdate', 'AssignedPodAdd', 'AssignedPodUpdate', 'AssignedPodDelete'] }],
  filterFor: spreadFilter,
  scorerFor: spreadScorer,
};
