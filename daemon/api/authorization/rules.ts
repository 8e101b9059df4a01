import type { PolicyRule } from '../../apimachinery/types/rbac-v1.ts';

/** A rule over resources of one API group. */
export function rule(
  group: string,
  resources: readonly string[],
  verbs: readonly string[],
  names?: readonly string[],
): PolicyRule {
  return {
    verbs: [...verbs],
    apiGroups: [group],
    resources: [...resources],
    ...(names === undefined ? {} : { resourceNames: [...names] }),
  };
}

/** A rule over paths that are no resources. */
export function urls(paths: readonly string[], verbs: readonly string[] = ['get']): PolicyRule {
  return { verbs: [...verbs], nonResourceURLs: [...paths] };
}

/** Leave to record events, in both of their groups. */
export const events: readonly PolicyRule[] = [
  { verbs: ['create', 'patch', 'update'], apiGroups: ['', 'events.k8s.io'], resources: ['events'] },
];
