import { isApiError } from '../../apimachinery/api-error.ts';
import { stableStringify } from '../../apimachinery/hash.ts';
import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import type { ClusterRole, PolicyRule } from '../../apimachinery/types/rbac-v1.ts';
import { clusterroles } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';

/** Fills the rules of ClusterRoles with an aggregationRule from the roles that it selects. */
export function startClusterRoleAggregation(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('ClusterRoleAggregator', workers, async (name) => {
    const role = informer.lister.get(name);
    if (role?.aggregationRule === undefined) return;
    const rules = aggregatedRules(role, informer.lister.list());
    if (stableStringify(rules) === stableStringify(role.rules ?? [])) return;
    try {
      await context.client.update(clusterroles, { ...role, rules });
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
  });
  // Any role may be selected by any other: all that aggregate are looked at, and few do.
  const changed = (): void => {
    for (const role of informer.lister.list()) {
      if (role.aggregationRule !== undefined) queue.add(role.metadata.name ?? '');
    }
  };
  const informer = context.watch(clusterroles, { onAdd: changed, onUpdate: changed, onDelete: changed });
}

/** Rules of the selected roles in the order of their names, each once. */
export function aggregatedRules(role: ClusterRole, all: readonly ClusterRole[]): PolicyRule[] {
  const byText = new Map<string, PolicyRule>();
  const sorted = [...all].sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1));
  for (const selector of role.aggregationRule?.clusterRoleSelectors ?? []) {
    const matcher = labelSelectorMatcher(selector);
    for (const other of sorted) {
      if (other.metadata.name === role.metadata.name || !matcher.matches(other.metadata.labels)) continue;
      for (const rule of other.rules ?? []) {
        const text = stableStringify(rule);
        if (!byText.has(text)) byText.set(text, rule);
      }
    }
  }
  return [...byText.values()];
}
