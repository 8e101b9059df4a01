import { type LabelOf, PodCounts } from './pod-counts.ts';
import type { AffinityTerm, PodInfo } from './pod-info.ts';

export type TermRole = 'requiredAffinity' | 'requiredAntiAffinity' | 'preferredAffinity' | 'preferredAntiAffinity';

/** Placed pods that have one and the same term. */
export interface TermGroup {
  readonly term: AffinityTerm;
  readonly counts: PodCounts;
}

const roles: readonly TermRole[] = [
  'requiredAffinity',
  'requiredAntiAffinity',
  'preferredAffinity',
  'preferredAntiAffinity',
];

/**
 * The (anti-)affinity terms of the pods that are placed, equal ones together: a new pod is held against each distinct
 * term once, however many pods have it.
 */
export class TermCounts {
  readonly #groups: Record<TermRole, Map<string, TermGroup>> = {
    requiredAffinity: new Map(),
    requiredAntiAffinity: new Map(),
    preferredAffinity: new Map(),
    preferredAntiAffinity: new Map(),
  };
  readonly #labelOf: LabelOf;

  constructor(labelOf: LabelOf) {
    this.#labelOf = labelOf;
  }

  get isEmpty(): boolean {
    return roles.every((role) => this.#groups[role].size === 0);
  }

  of(role: TermRole): Iterable<TermGroup> {
    return this.#groups[role].values();
  }

  has(role: TermRole): boolean {
    return this.#groups[role].size > 0;
  }

  podMoved(pod: PodInfo, nodeName: string, by: 1 | -1): void {
    if (!pod.hasAffinity) {
      return;
    }
    for (const role of roles) {
      const groups = this.#groups[role];
      for (const term of pod[role]) {
        let group = groups.get(term.key);
        if (group === undefined) {
          group = { term, counts: new PodCounts(this.#labelOf) };
          groups.set(term.key, group);
        }
        group.counts.add(nodeName, by);
        if (group.counts.byNode.size === 0) {
          groups.delete(term.key);
        }
      }
    }
  }

  forgetLabels(): void {
    for (const role of roles) {
      for (const { counts } of this.#groups[role].values()) {
        counts.forgetLabels();
      }
    }
  }
}
