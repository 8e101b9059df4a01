import type { Node, NodeSelectorRequirement, NodeSelectorTerm, Pod } from '../apimachinery/types/core-v1.ts';

const integer = /^[+-]?[0-9]+$/;

/** Whether a value (undefined: not there) meets a requirement on it, as node affinity understands the operators. */
function meets(value: string | undefined, { operator, values = [] }: NodeSelectorRequirement): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      const bound = values[0];
      if (value === undefined || bound === undefined || !integer.test(value) || !integer.test(bound)) {
        return false;
      }
      return operator === 'Gt' ? BigInt(value) > BigInt(bound) : BigInt(value) < BigInt(bound);
    }
    default:
      return false;
  }
}

/** A term without any requirement matches no node. */
export function nodeMatchesTerm(node: Node, { matchExpressions = [], matchFields = [] }: NodeSelectorTerm): boolean {
  if (matchExpressions.length === 0 && matchFields.length === 0) {
    return false;
  }
  const labels = node.metadata.labels ?? {};
  return (
    matchExpressions.every((requirement) => meets(labels[requirement.key], requirement)) &&
    matchFields.every(
      (requirement) => requirement.key === 'metadata.name' && meets(node.metadata.name ?? '', requirement),
    )
  );
}

/** Whether the node has all that the pod's `nodeSelector` and required node affinity ask for. */
export function nodeMatchesPod(pod: Pod, node: Node): boolean {
  const { nodeSelector, affinity } = pod.spec;
  const labels = node.metadata.labels;
  for (const key in nodeSelector) {
    if (labels?.[key] !== nodeSelector[key]) {
      return false;
    }
  }
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return terms === undefined || terms.some((term) => nodeMatchesTerm(node, term));
}
