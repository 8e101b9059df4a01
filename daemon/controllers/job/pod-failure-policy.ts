import type { PodFailurePolicy, PodFailurePolicyRule } from '../../apimachinery/types/batch-v1.ts';
import type { ContainerStatus, Pod } from '../../apimachinery/types/core-v1.ts';

export interface PolicyMatch {
  /** The rule's action; undefined when no rule matches, which counts the failure. */
  readonly action: 'FailJob' | 'FailIndex' | 'Ignore' | 'Count' | undefined;
  /** Whether the failure counts towards backoffLimit. */
  readonly counts: boolean;
  /** Why the Job fails: only with FailJob. */
  readonly message: string | undefined;
}

const noMatch: PolicyMatch = { action: undefined, counts: true, message: undefined };

/** The first rule that matches a failed pod decides. Rules with an action unknown here are skipped. */
export function matchFailurePolicy(policy: PodFailurePolicy | undefined, pod: Pod): PolicyMatch {
  for (const [index, rule] of (policy?.rules ?? []).entries()) {
    const cause = matchRule(rule, pod);
    if (cause === undefined) continue;
    switch (rule.action) {
      case 'Ignore':
        return { action: 'Ignore', counts: false, message: undefined };
      case 'Count':
        return { action: 'Count', counts: true, message: undefined };
      case 'FailIndex':
        return { action: 'FailIndex', counts: true, message: undefined };
      case 'FailJob':
        return { action: 'FailJob', counts: true, message: `${cause} matching FailJob rule at index ${index}` };
    }
  }
  return noMatch;
}

/** What matched, in words; undefined when nothing did. */
function matchRule(rule: PodFailurePolicyRule, pod: Pod): string | undefined {
  const { namespace, name } = pod.metadata;
  if (rule.onExitCodes !== undefined) {
    const { containerName, operator, values } = rule.onExitCodes;
    const matches = (status: ContainerStatus): boolean => {
      const exitCode = status.state?.terminated?.exitCode ?? 0;
      if (exitCode === 0 || (containerName !== undefined && containerName !== status.name)) return false;
      return operator === 'In' ? values.includes(exitCode) : operator === 'NotIn' && !values.includes(exitCode);
    };
    const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
    const status = statuses.find(matches);
    if (status === undefined) return undefined;
    const exitCode = status.state?.terminated?.exitCode;
    return `Container ${status.name} for pod ${namespace}/${name} failed with exit code ${exitCode}`;
  }
  const condition = pod.status?.conditions?.find((candidate) =>
    rule.onPodConditions?.some(
      (pattern) => pattern.type === candidate.type && (pattern.status ?? 'True') === candidate.status,
    ),
  );
  return condition === undefined ? undefined : `Pod ${namespace}/${name} has condition ${condition.type}`;
}
