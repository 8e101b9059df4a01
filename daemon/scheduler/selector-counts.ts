import type { LabelMatcher } from '../apimachinery/label-selector.ts';
import { type LabelOf, PodCounts } from './pod-counts.ts';
import type { PodInfo } from './pod-info.ts';

export interface PlacedPod {
  readonly info: PodInfo;
  readonly nodeName: string;
}

interface Tracked {
  readonly selector: LabelMatcher;
  readonly withLeaving: boolean;
  readonly counts: PodCounts;
}

const trackedPerNamespace = 64;

/**
 * Counts of pods by selector, kept up to date as pods come and go. Spreading and affinity ask the same question for each
 * pod of a workload: this answers without looking at all pods again. The selectors least recently asked for are let go.
 */
export class SelectorCounts {
  readonly #namespaces = new Map<string, Map<string, Tracked>>();
  readonly #labelOf: LabelOf;
  readonly #placed: () => Iterable<PlacedPod>;

  constructor(labelOf: LabelOf, placed: () => Iterable<PlacedPod>) {
    this.#labelOf = labelOf;
    this.#placed = placed;
  }

  /** `withLeaving`: pods that are being deleted count too. */
  of(namespace: string, selector: LabelMatcher, withLeaving: boolean): PodCounts {
    let tracked = this.#namespaces.get(namespace);
    if (tracked === undefined) {
      tracked = new Map();
      this.#namespaces.set(namespace, tracked);
    }
    const key = `${withLeaving} ${selector.isNothing ? '\0' : selector.toString()}`;
    let entry = tracked.get(key);
    if (entry === undefined) {
      entry = { selector, withLeaving, counts: new PodCounts(this.#labelOf) };
      for (const { info, nodeName } of this.#placed()) {
        if (info.namespace === namespace) {
          count(entry, info, nodeName, 1);
        }
      }
    }
    tracked.delete(key);
    tracked.set(key, entry);
    if (tracked.size > trackedPerNamespace) {
      tracked.delete(tracked.keys().next().value!);
    }
    return entry.counts;
  }

  podMoved(pod: PodInfo, nodeName: string, by: 1 | -1): void {
    const tracked = this.#namespaces.get(pod.namespace);
    if (tracked !== undefined) {
      for (const entry of tracked.values()) {
        count(entry, pod, nodeName, by);
      }
    }
  }

  forgetLabels(): void {
    for (const tracked of this.#namespaces.values()) {
      for (const { counts } of tracked.values()) {
        counts.forgetLabels();
      }
    }
  }
}

export function isLeaving(pod: PodInfo): boolean {
  return pod.pod.metadata.deletionTimestamp !== undefined;
}

function count({ selector, withLeaving, counts }: Tracked, pod: PodInfo, nodeName: string, by: 1 | -1): void {
  if ((withLeaving || !isLeaving(pod)) && selector.matches(pod.pod.metadata.labels)) {
    counts.add(nodeName, by);
  }
}
