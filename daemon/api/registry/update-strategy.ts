import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { ResourceRow, UpdateStrategy } from '../resources/resource-row.ts';

/** What a write to the object (empty) or to a subresource may change. */
export function strategyOf(row: ResourceRow, subresource: string): UpdateStrategy<KubernetesObject> {
  if (subresource === '') return row;
  if (subresource === 'status' && row.statusStrategy !== undefined) return row.statusStrategy;
  return row.subresourceStrategies?.[subresource] ?? (subresource === 'status' ? defaultStatusStrategy : row);
}

/** Where a row says nothing: a status write changes the status alone. */
const defaultStatusStrategy: UpdateStrategy<KubernetesObject> = {
  prepareForUpdate(object, old) {
    const next = object as Record<string, unknown>;
    const before = old as Record<string, unknown>;
    for (const key of Object.keys(next)) if (!keptByStatus.has(key)) delete next[key];
    for (const key of Object.keys(before)) if (!keptByStatus.has(key)) next[key] = before[key];
    next['metadata'] = {
      ...(before['metadata'] as object),
      managedFields: (next['metadata'] as { managedFields?: unknown }).managedFields,
    };
  },
};

const keptByStatus: ReadonlySet<string> = new Set(['metadata', 'status', 'apiVersion', 'kind']);
