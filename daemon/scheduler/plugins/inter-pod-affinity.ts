import { LabelMatcher } from '../../apimachinery/label-selector.ts';
import type { NodeInfo } from '../node-info.ts';
import { type Cycle, type NodeFilter, type NodeScorer, rejection, type SchedulerPlugin } from '../plugin.ts';
import type { PodCounts } from '../pod-counts.ts';
import { type AffinityTerm, type PodInfo, termMatches } from '../pod-info.ts';
import type { TermRole } from '../term-counts.ts';

const noAffinity = rejection("node(s) didn't match pod affinity rules", true);
const antiAffinity = rejection("node(s) didn't match pod anti-affinity rules");
const existingAntiAffinity = rejection("node(s) didn't satisfy existing pods anti-affinity rules");

/** A pod that is there counts this much for each required affinity of its own that the new pod meets. */
const hardAffinityWeight = 1;

type Labels = Readonly<Record<string, string>> | undefined;

/** Numbers by label and value, such as zone=a. */
class TopologyCounts {
  readonly #counts: Map<string, Map<string, number>>;

  constructor(from?: TopologyCounts) {
    const counts = from === undefined ? [] : [...from.#counts];
    this.#counts = new Map(counts.map(([key, values]) => [key, new Map(values)]));
  }

  get size(): number {
    return this.#counts.size;
  }

  get(key: string, value: string): number {
    return this.#counts.get(key)?.get(value) ?? 0;
  }

  add(key: string, value: string, by: number): void {
    let values = this.#counts.get(key);
    if (values === undefined) {
      values = new Map();
      this.#counts.set(key, values);
    }
    const next = (values.get(value) ?? 0) + by;
    if (next !== 0) {
      values.set(value, next);
      return;
    }
    values.delete(value);
    if (values.size === 0) {
      this.#counts.delete(key);
    }
  }

  addAll(key: string, counts: ReadonlyMap<string, number>, factor: number): void {
    let values = this.#counts.get(key);
    if (values === undefined) {
      values = new Map();
      this.#counts.set(key, values);
    }
    for (const [value, count] of counts) {
      values.set(value, (values.get(value) ?? 0) + factor * count);
    }
    if (values.size === 0) {
      this.#counts.delete(key);
    }
  }

  /** The number at each label of the node that there are numbers for. */
  *at(node: NodeInfo): Generator<number> {
    for (const [key, values] of this.#counts) {
      const value = node.label(key);
      if (value !== undefined) {
        yield values.get(value) ?? 0;
      }
    }
  }
}

class AffinityFilter implements NodeFilter {
  readonly #pod: PodInfo;
  readonly #namespaceLabels: (namespace: string) => Labels;
  readonly #affinity: TopologyCounts;
  readonly #antiAffinity: TopologyCounts;
  readonly #existing: TopologyCounts;

  constructor(pod: PodInfo, namespaceLabels: (namespace: string) => Labels, from?: AffinityFilter) {
    this.#pod = pod;
    this.#namespaceLabels = namespaceLabels;
    this.#affinity = new TopologyCounts(from === undefined ? undefined : from.#affinity);
    this.#antiAffinity = new TopologyCounts(from === undefined ? undefined : from.#antiAffinity);
    this.#existing = new TopologyCounts(from === undefined ? undefined : from.#existing);
  }

  /** Counts what is on the nodes now. */
  countPlaced(cycle: Cycle): void {
    const { requiredAffinity, requiredAntiAffinity, namespace } = this.#pod;
    const { terms } = cycle.cache;
    const labels = this.#namespaceLabels(namespace);
    for (const { term, counts } of terms.of('requiredAntiAffinity')) {
      if (termMatches(term, this.#pod.pod, labels)) {
        this.#existing.addAll(term.topologyKey, counts.byLabel(term.topologyKey), 1);
      }
    }
    for (const counts of countsMeetingAll(cycle, requiredAffinity)) {
      for (const { topologyKey } of requiredAffinity) {
        this.#affinity.addAll(topologyKey, counts.byLabel(topologyKey), 1);
      }
    }
    for (const term of requiredAntiAffinity) {
      for (const counts of countsMeetingAll(cycle, [term])) {
        this.#antiAffinity.addAll(term.topologyKey, counts.byLabel(term.topologyKey), 1);
      }
    }
  }

  #countExisting(other: PodInfo, node: NodeInfo, by: 1 | -1): void {
    const labels = this.#namespaceLabels(this.#pod.namespace);
    for (const term of other.requiredAntiAffinity) {
      if (termMatches(term, this.#pod.pod, labels)) {
        count(this.#existing, term, node, by);
      }
    }
  }

  #countOwn(other: PodInfo, node: NodeInfo, by: 1 | -1): void {
    const { requiredAffinity, requiredAntiAffinity } = this.#pod;
    const labels = this.#namespaceLabels(other.namespace);
    if (requiredAffinity.length > 0 && requiredAffinity.every((term) => termMatches(term, other.pod, labels))) {
      for (const term of requiredAffinity) {
        count(this.#affinity, term, node, by);
      }
    }
    for (const term of requiredAntiAffinity) {
      if (termMatches(term, other.pod, labels)) {
        count(this.#antiAffinity, term, node, by);
      }
    }
  }

  filter(node: NodeInfo) {
    if (!this.#affinityMet(node)) {
      return noAffinity;
    }
    for (const term of this.#pod.requiredAntiAffinity) {
      const value = node.label(term.topologyKey);
      if (value !== undefined && this.#antiAffinity.get(term.topologyKey, value) > 0) {
        return antiAffinity;
      }
    }
    for (const number of this.#existing.at(node)) {
      if (number > 0) {
        return existingAntiAffinity;
      }
    }
    return undefined;
  }

  #affinityMet(node: NodeInfo): boolean {
    let met = true;
    for (const term of this.#pod.requiredAffinity) {
      const value = node.label(term.topologyKey);
      if (value === undefined) {
        return false;
      }
      met &&= this.#affinity.get(term.topologyKey, value) > 0;
    }
    if (met || this.#affinity.size > 0) {
      return met;
    }
    // The first pod of a group that wants to be with its own kind: there is nobody yet to be with.
    const labels = this.#namespaceLabels(this.#pod.namespace);
    return this.#pod.requiredAffinity.every((term) => termMatches(term, this.#pod.pod, labels));
  }

  fork(): NodeFilter {
    return new AffinityFilter(this.#pod, this.#namespaceLabels, this);
  }

  podAdded(pod: PodInfo, node: NodeInfo): void {
    this.#countExisting(pod, node, 1);
    this.#countOwn(pod, node, 1);
  }

  podRemoved(pod: PodInfo, node: NodeInfo): void {
    this.#countExisting(pod, node, -1);
    this.#countOwn(pod, node, -1);
  }
}

function count(counts: TopologyCounts, term: AffinityTerm, node: NodeInfo, by: number): void {
  const value = node.label(term.topologyKey);
  if (value !== undefined) {
    counts.add(term.topologyKey, value, by);
  }
}

function namespaceLabelsOf({ listers }: Cycle): (namespace: string) => Labels {
  return (namespace) => listers.namespaces.lister.get(namespace)?.metadata?.labels;
}

/** Counts of the placed pods that meet all the terms, one for each namespace they may be in. */
function countsMeetingAll({ cache, listers }: Cycle, terms: readonly AffinityTerm[]): PodCounts[] {
  const [first, ...others] = terms;
  if (first === undefined || terms.some(({ selector }) => selector.isNothing)) {
    return [];
  }
  const selector =
    others.length === 0 ? first.selector : new LabelMatcher(terms.flatMap((term) => term.selector.requirements));
  const names = new Set(first.namespaces);
  if (!first.namespaceSelector.isNothing) {
    for (const { metadata } of listers.namespaces.lister.list()) {
      if (first.namespaceSelector.matches(metadata.labels)) {
        names.add(metadata.name ?? '');
      }
    }
  }
  const meant = [...names].filter((name) => {
    const labels = listers.namespaces.lister.get(name)?.metadata.labels;
    return others.every((term) => term.namespaces.has(name) || term.namespaceSelector.matches(labels));
  });
  return meant.map((name) => cache.counts.of(name, selector, true));
}

function affinityFilter(cycle: Cycle): NodeFilter | undefined {
  const { pod, cache } = cycle;
  const own = pod.requiredAffinity.length > 0 || pod.requiredAntiAffinity.length > 0;
  if (!own && !cache.terms.has('requiredAntiAffinity')) {
    return undefined;
  }
  const filter = new AffinityFilter(pod, namespaceLabelsOf(cycle));
  filter.countPlaced(cycle);
  return filter;
}

function affinityScorer(cycle: Cycle): NodeScorer | undefined {
  const { pod, cache } = cycle;
  const { preferredAffinity, preferredAntiAffinity } = pod;
  if (preferredAffinity.length === 0 && preferredAntiAffinity.length === 0 && cache.terms.isEmpty) {
    return undefined;
  }
  const sums = new TopologyCounts();
  const rateOwn = (terms: readonly AffinityTerm[], sign: 1 | -1): void => {
    for (const term of terms) {
      for (const counts of countsMeetingAll(cycle, [term])) {
        sums.addAll(term.topologyKey, counts.byLabel(term.topologyKey), sign * term.weight);
      }
    }
  };
  const labels = namespaceLabelsOf(cycle)(pod.namespace);
  const rateExisting = (role: TermRole, factorOf: (term: AffinityTerm) => number): void => {
    for (const { term, counts } of cache.terms.of(role)) {
      if (termMatches(term, pod.pod, labels)) {
        sums.addAll(term.topologyKey, counts.byLabel(term.topologyKey), factorOf(term));
      }
    }
  };
  rateOwn(preferredAffinity, 1);
  rateOwn(preferredAntiAffinity, -1);
  rateExisting('requiredAffinity', () => hardAffinityWeight);
  rateExisting('preferredAffinity', ({ weight }) => weight);
  rateExisting('preferredAntiAffinity', ({ weight }) => -weight);
  if (sums.size === 0) {
    return undefined;
  }
  return {
    score(node) {
      let score = 0;
      for (const sum of sums.at(node)) {
        score += sum;
      }
      return score;
    },
    normalize(scores) {
      let least = Number.POSITIVE_INFINITY;
      let most = Number.NEGATIVE_INFINITY;
      for (const score of scores) {
        least = Math.min(least, score);
        most = Math.max(most, score);
      }
      for (let i = 0; i < scores.length; i++) {
        scores[i] = most === least ? 0 : Math.floor((100 * (scores[i]! - least)) / (most - least));
      }
    },
  };
}

/** Pods that want to be with, or away from, other pods in the same node, zone or whatever a label names. */
export const interPodAffinity: SchedulerPlugin = {
  name: 'InterPodAffinity',
  weight: 2,
  interests: [
    { on: ['NodeAdd', 'NodeUpdate', 'AssignedPodAdd', 'AssignedPodUpdate', 'AssignedPodDelete', 'NamespaceChange'] },
  ],
  filterFor: affinityFilter,
  scorerFor: affinityScorer,
};
