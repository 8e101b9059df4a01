import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import { builtinColumns } from '../table/builtin-columns.ts';
import { warningsOf } from '../validation/warnings.ts';
import type { Column, ResourceRow, UpdateStrategy } from './resource-row.ts';
import { validationOf } from './validation-of-row.ts';

/** What a row says beyond its handle; `storage` defaults to the plural name, as Kubernetes lays most kinds out. */
export type RowFacts<T extends KubernetesObject> = Omit<
  ResourceRow<T>,
  'handle' | 'singular' | 'storage' | 'columns' | 'validate' | 'validateUpdate' | 'warnings'
> & { readonly storage?: string };

/**
 * A row of the resource table: the facts given, with the columns and the rules of its kind. The functions of a row only
 * ever see objects of its own handle, so the table may forget their exact type: the casts are here.
 */
export function defineRow<T extends KubernetesObject>(handle: Resource<T>, facts: RowFacts<T> = {}): ResourceRow {
  const rules = validationOf(handle as Resource);
  const given = facts as RowFacts<KubernetesObject>;
  const subresources = Object.entries(given.subresourceStrategies ?? {}).map(
    ([name, strategy]): [string, UpdateStrategy<KubernetesObject>] => [
      name,
      { validateUpdate: rules.subresource(name), ...strategy },
    ],
  );
  return {
    ...given,
    handle: handle as Resource,
    singular: handle.kind.toLowerCase(),
    storage: facts.storage ?? handle.resource,
    columns: builtinColumns(handle as Resource<never>) as unknown as readonly Column<KubernetesObject>[],
    warnings: warningsOf(handle as Resource),
    validate: rules.validate,
    validateUpdate: rules.validateUpdate,
    ...(given.statusStrategy === undefined
      ? {}
      : { statusStrategy: { validateUpdate: rules.validateStatusUpdate, ...given.statusStrategy } }),
    ...(subresources.length === 0 ? {} : { subresourceStrategies: Object.fromEntries(subresources) }),
  };
}
