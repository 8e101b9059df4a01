import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { apiVersionOf } from '../../apimachinery/resource.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { difference, emptySet, equalSets, type FieldSet, isEmptySet, union } from './field-set.ts';
import type { JsonObject } from './json-value.ts';
import {
  capUpdaters,
  decodeManagers,
  encodeEntry,
  encodeManagers,
  identify,
  type Manager,
  stamp,
  takeFromOthers,
} from './managers.ts';
import { addedFields, compareObjects } from './owned-fields.ts';
import { shapeOfDefinition } from './value-shape.ts';

/** Fields that only the server writes: nobody owns them. */
export const unmanagedFields: FieldSet = {
  'f:apiVersion': emptySet,
  'f:kind': emptySet,
  'f:metadata': {
    '.': emptySet,
    'f:creationTimestamp': emptySet,
    'f:deletionGracePeriodSeconds': emptySet,
    'f:deletionTimestamp': emptySet,
    'f:generation': emptySet,
    'f:managedFields': emptySet,
    'f:name': emptySet,
    'f:namespace': emptySet,
    'f:resourceVersion': emptySet,
    'f:selfLink': emptySet,
    'f:uid': emptySet,
  },
};

export interface TrackedWrite {
  readonly manager: string;
  /** Empty: the object itself. */
  readonly subresource: string;
  readonly now: Date;
  /** An apply has already written its managed fields. */
  readonly operation?: 'Apply' | 'Update';
}

/**
 * Keeps `metadata.managedFields` of a plain write, in place: the writer owns what it added or changed, and no one else
 * does any more; what is gone has no owner. `old` is undefined for a create. Managed fields that the writer itself sent
 * are taken as sent, so that owners can be migrated; an object that has none, and had none, keeps none after its creation.
 */
export function trackUpdate(
  object: KubernetesObject,
  old: KubernetesObject | undefined,
  row: Pick<ResourceRow, 'handle'>,
  write: TrackedWrite,
): void {
  if (write.operation === 'Apply') return;
  object.metadata ??= {};
  const { metadata } = object;
  const sent = metadata.managedFields;
  const isReset = sent?.length === 1 && sent[0]!.manager === undefined && sent[0]!.operation === undefined;
  const source =
    sent === undefined || sent.length === 0 || write.subresource !== '' ? old?.metadata?.managedFields : sent;
  if (isReset || (old !== undefined && (source === undefined || source.length === 0))) {
    delete metadata.managedFields;
    return;
  }
  const shape = shapeOfDefinition(row.handle.definition);
  if (old === undefined && source === undefined) {
    trackCreate(object, row, write);
    return;
  }
  const managers = decodeManagers(source);
  const comparison = compareObjects((old ?? {}) as JsonObject, object as JsonObject, shape);
  const identity = {
    name: write.manager,
    operation: 'Update' as const,
    apiVersion: apiVersionOf(row.handle),
    subresource: write.subresource,
  };
  const id = identify(identity);
  const changed = union(comparison.modified, comparison.added);
  takeFromOthers(managers, id, union(changed, comparison.removed));
  const before = managers.get(id)?.fields ?? emptySet;
  const fields = difference(union(difference(before, comparison.removed), changed), unmanagedFields);
  if (isEmptySet(fields)) managers.delete(id);
  else if (!equalSets(before, fields)) {
    const manager: Manager = { ...identity, time: stamp(write.now), fields };
    managers.set(id, manager);
  }
  capUpdaters(managers);
  if (managers.size === 0) delete metadata.managedFields;
  else metadata.managedFields = encodeManagers(managers);
}

/** Nearly every create: one writer, who owns all there is. */
function trackCreate(object: KubernetesObject, row: Pick<ResourceRow, 'handle'>, write: TrackedWrite): void {
  const { apiVersion: _version, kind: _kind, ...rest } = object as JsonObject;
  const fields = difference(addedFields(rest, shapeOfDefinition(row.handle.definition)), unmanagedFields);
  if (isEmptySet(fields)) return;
  const entry = encodeEntry({
    name: write.manager,
    operation: 'Update',
    apiVersion: apiVersionOf(row.handle),
    subresource: write.subresource,
    time: stamp(write.now),
    fields,
  });
  object.metadata!.managedFields = [entry];
}
