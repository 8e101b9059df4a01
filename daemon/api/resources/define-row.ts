import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import { builtinColumns } from '../table/builtin-columns.ts';
import type { Column, ResourceRow } from './resource-row.ts';

/** What a row says beyond its handle; `storage` defaults to the plural name, as Kubernetes lays most kinds out. */
export type RowFacts<T extends KubernetesObject> = Omit<ResourceRow<T>, 'handle' | 'singular' | 'storage'> & {
  readonly storage?: string;
};

/**
 * A row of the resource table. The functions of a row only ever see objects of its own handle, so the table may forget
 * their exact type: the one cast is here.
 */
export function defineRow<T extends KubernetesObject>(handle: Resource<T>, facts: RowFacts<T> = {}): ResourceRow {
  const row: ResourceRow<T> = {
    columns: builtinColumns(handle as Resource<never>) as unknown as readonly Column<T>[],
    ...facts,
    handle,
    singular: handle.kind.toLowerCase(),
    storage: facts.storage ?? handle.resource,
  };
  return row as unknown as ResourceRow;
}
