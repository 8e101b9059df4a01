import type { LabelMatcher } from '../apimachinery/label-selector.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';

/** How many live pods of one namespace match one selector, by node name; nodes with none are absent. */
export type CountByNode = ReadonlyMap<string, number>;

interface Tracked {
  readonly selector: LabelMatcher;
  readonly counts: Map<string, number>;
}

const trackedPerNamespace = 64;

/**
 * Counts of pods by selector, kept up to date as pods come and go. Spreading asks the same question for each pod of a
 * workload: this answers it without looking at all pods again. The selectors least recently asked for are let go.
 */
export class SelectorCounts {
  readonly #namespaces = new Map<string, Map<string, Tracked>>();

  of(namespace: string, selector: LabelMatcher, nodes: Iterable<NodeInfo>): CountByNode {
    let tracked = this.#namespaces.get(namespace);
    if (tracked === undefined) {
      tracked = new Map();
      this.#namespaces.set(namespace, tracked);
    }
    const key = selector.isNothing ? '\0' : selector.toString();
    let entry = tracked.get(key);
    if (entry === undefined) {
      entry = { selector, counts: new Map() };
      for (const node of nodes) {
        for (const pod of node.pods.values()) {
          if (pod.namespace === namespace) {
            count(entry, pod, node.name, 1);
          }
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

  podAdded(pod: PodInfo, nodeName: string): void {
    this.#change(pod, nodeName, 1);
  }

  podRemoved(pod: PodInfo, nodeName: string): void {
    this.#change(pod, nodeName, -1);
  }

  #change(pod: PodInfo, nodeName: string, by: 1 | -1): void {
    const tracked = this.#namespaces.get(pod.namespace);
    if (tracked !== undefined) {
      for (const entry of tracked.values()) {
        count(entry, pod, nodeName, by);
      }
    }
  }
}

/** A pod that is being deleted no longer counts: it makes room. */
export function countsForSpreading(pod: PodInfo): boolean {
  return pod.pod.metadata.deletionTimestamp === undefined;
}

function count(entry: Tracked, pod: PodInfo, nodeName: string, by: 1 | -1): void {
  if (countsForSpreading(pod) && entry.selector.matches(pod.pod.metadata.labels)) {
    const next = (entry.counts.get(nodeName) ?? 0) + by;
    if (next > 0) {
      entry.counts.set(nodeName, next);
    } else {
      entry.counts.delete(nodeName);
    }
  }
}
