import type { NodeSelectorTerm, Pod } from '../../apimachinery/types/core-v1.ts';
import { nodeOf } from '../cluster-event.ts';
import { nodeMatchesPod, nodeMatchesTerm } from '../node-selector.ts';
import { normalizeToMax, rejection, type SchedulerPlugin } from '../plugin.ts';

const mismatch = rejection("node(s) didn't match Pod's node affinity/selector", true);
const conflict = rejection('pod affinity terms conflict', true);

/** Required: `nodeSelector` and node affinity must match. Preferred: nodes gain the weights of the terms they match. */
export const nodeAffinity: SchedulerPlugin = {
  name: 'NodeAffinity',
  weight: 2,
  interests: [
    {
      on: ['NodeAdd', 'NodeUpdate'],
      hint(pod, event) {
        const node = nodeOf(event);
        return node !== undefined && nodeMatchesPod(pod, node);
      },
    },
  ],
  filterFor({ pod: { pod } }) {
    const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    if (required === undefined && Object.keys(pod.spec.nodeSelector ?? {}).length === 0) {
      return undefined;
    }
    const only = namedNodes(required?.nodeSelectorTerms);
    if (only?.size === 0) {
      return conflict;
    }
    return {
      filter: (node) => (node.node !== undefined && nodeMatchesPod(pod, node.node) ? undefined : mismatch),
      ...(only === undefined ? {} : { only }),
    };
  },
  scorerFor({ pod: { pod } }) {
    const preferred = preferredTerms(pod);
    if (preferred.length === 0) {
      return undefined;
    }
    return {
      score(node) {
        let score = 0;
        for (const { preference, weight } of preferred) {
          if (node.node !== undefined && nodeMatchesTerm(node.node, preference)) {
            score += weight;
          }
        }
        return score;
      },
      normalize: (scores) => normalizeToMax(scores, false),
    };
  },
};

function preferredTerms(pod: Pod) {
  return pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
}

/**
 * The nodes that terms name by `metadata.name`; undefined when any term names none. Pods of a DaemonSet name theirs, so
 * looking at that one instead of all makes their cost independent of the size of the cluster.
 */
function namedNodes(terms: readonly NodeSelectorTerm[] | undefined): ReadonlySet<string> | undefined {
  if (terms === undefined || terms.length === 0) {
    return undefined;
  }
  const names = new Set<string>();
  for (const term of terms) {
    let named: readonly string[] | undefined;
    for (const { key, operator, values = [] } of term.matchFields ?? []) {
      if (key === 'metadata.name' && operator === 'In') {
        named = named === undefined ? values : named.filter((name) => values.includes(name));
      }
    }
    if (named === undefined) {
      return undefined;
    }
    for (const name of named) {
      names.add(name);
    }
  }
  return names;
}
