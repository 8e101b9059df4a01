import { ApiError, apiError } from '../../apimachinery/api-error.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { decodeObject } from '../codec/decode.ts';
import { mergeApplied, pruneUnowned } from './apply-merge.ts';
import {
  difference,
  emptySet,
  equalSets,
  type FieldSet,
  intersection,
  isEmptySet,
  pathsOf,
  union,
} from './field-set.ts';
import { isObject, type JsonObject } from './json-value.ts';
import { unmanagedFields } from './managed-fields.ts';
import { decodeManagers, encodeManagers, identify, type Manager, stamp, takeFromOthers } from './managers.ts';
import { compareObjects, fieldsOf } from './owned-fields.ts';
import { shapeOfDefinition } from './value-shape.ts';

export interface ApplyRequest<T extends KubernetesObject> {
  /** Undefined: the apply creates the object. Never changed. */
  readonly live: T | undefined;
  /** The parsed body: what the applier wants, and nothing else. Never changed. */
  readonly config: T;
  /** The object's schema in `kubernetes-api.json`; empty for a custom resource. */
  readonly definition: string;
  readonly manager: string;
  readonly subresource: string;
  readonly apiVersion: string;
  /** Take over fields that others own. */
  readonly force: boolean;
  readonly now: Date;
}

/** Fields an apply through a path may not own: status belongs to its own path. */
const strippedBySubresource: Readonly<Record<string, FieldSet>> = {
  '': { 'f:status': emptySet },
  status: { 'f:spec': emptySet },
};

/**
 * Server-side apply: the live object with the configuration merged in, what the applier no longer names taken out, and
 * `metadata.managedFields` brought up to date. The result shares nothing with its arguments.
 *
 * Throws the 409 that lists every field of which another manager holds another value, unless `force` is set; BadRequest
 * for a configuration that carries managed fields or list entries without keys.
 */
export function applyServerSide<T extends KubernetesObject>(request: ApplyRequest<T>): T {
  const { live, definition, manager: name, subresource, apiVersion, force, now } = request;
  if (request.config.metadata?.managedFields !== undefined && request.config.metadata.managedFields.length > 0) {
    throw apiError('BadRequest', 'metadata.managedFields must be nil');
  }
  const config = canonical(request.config as unknown as JsonObject, definition);
  const shape = shapeOfDefinition(definition);
  const managers = decodeManagers(live?.metadata?.managedFields);
  adoptUnmanaged(managers, live, definition, now);
  const identity = { name, operation: 'Apply' as const, apiVersion, subresource };
  const id = identify(identity);
  const last = managers.get(id)?.fields ?? emptySet;
  const stripped = union(unmanagedFields, strippedBySubresource[subresource] ?? emptySet);
  const wanted = removeBelow(
    difference(fieldsOf(config, shape), stripped),
    strippedBySubresource[subresource] ?? emptySet,
  );

  const before = (live ?? {}) as JsonObject;
  const merged = mergeApplied(before, config, shape) as JsonObject;
  const owned = [...managers.values()]
    .filter((manager) => identify(manager) !== id)
    .reduce((fields, manager) => union(fields, manager.fields), wanted);
  pruneUnowned(merged, last, owned, shape);

  const { added, modified, removed } = compareObjects(withoutManagedFields(before), merged, shape);
  const touched = union(added, modified);
  if (!force) refuseConflicts(managers, id, touched);
  takeFromOthers(managers, id, union(intersectionOfOthers(managers, id, touched), removed));
  if (isEmptySet(wanted)) managers.delete(id);
  else {
    const time = equalSets(last, wanted) ? (managers.get(id)?.time ?? stamp(now)) : stamp(now);
    managers.set(id, { ...identity, time, fields: wanted });
  }
  merged['metadata'] ??= {};
  const metadata = merged['metadata'] as JsonObject;
  metadata['managedFields'] = encodeManagers(managers);
  return merged as unknown as T;
}

/** Fields under which a whole branch is stripped, whatever it holds. */
function removeBelow(set: FieldSet, branches: FieldSet): FieldSet {
  const kept = Object.entries(set).filter(([element]) => !(element in branches));
  return Object.fromEntries(kept);
}

/** An object from before its fields were managed: what is there belongs to someone who came before. */
function adoptUnmanaged(
  managers: Map<string, Manager>,
  live: KubernetesObject | undefined,
  definition: string,
  now: Date,
): void {
  if (live === undefined || managers.size > 0) return;
  const shape = shapeOfDefinition(definition);
  const { added } = compareObjects({}, live as JsonObject, shape);
  const fields = difference(added, unmanagedFields);
  if (isEmptySet(fields)) return;
  const manager: Manager = {
    name: 'before-first-apply',
    operation: 'Update',
    apiVersion: live.apiVersion ?? '',
    subresource: '',
    time: stamp(now),
    fields,
  };
  managers.set(identify(manager), manager);
}

function intersectionOfOthers(managers: ReadonlyMap<string, Manager>, id: string, touched: FieldSet): FieldSet {
  let fields = emptySet;
  for (const [other, manager] of managers) {
    if (other !== id) fields = union(fields, intersection(manager.fields, touched));
  }
  return fields;
}

function managerText({ name, operation, apiVersion, subresource }: Manager): string {
  const who =
    subresource === ''
      ? JSON.stringify(name)
      : `${JSON.stringify(name)} with subresource ${JSON.stringify(subresource)}`;
  return operation === 'Update' ? `${who} using ${apiVersion}` : who;
}

function refuseConflicts(managers: ReadonlyMap<string, Manager>, id: string, touched: FieldSet): void {
  const conflicts = [...managers]
    .filter(([other]) => other !== id)
    .flatMap(([, manager]) => {
      const paths = pathsOf(intersection(manager.fields, touched));
      return paths.length === 0 ? [] : [{ who: managerText(manager), paths }];
    })
    .sort((left, right) => (left.who < right.who ? -1 : 1));
  const count = conflicts.reduce((sum, { paths }) => sum + paths.length, 0);
  if (count === 0) return;
  const [first] = conflicts;
  const message =
    count === 1
      ? `Apply failed with 1 conflict: conflict with ${first!.who}: ${first!.paths[0]}`
      : `Apply failed with ${count} conflicts: ${conflicts
          .flatMap(({ who, paths }) => [`conflicts with ${who}:`, ...paths.map((path) => `- ${path}`)])
          .join('\n')}`;
  const causes = conflicts.flatMap(({ who, paths }) =>
    paths.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with ${who}`, field })),
  );
  throw new ApiError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason: 'Conflict',
    details: { causes },
    code: 409,
  });
}

/** Quantities and times in the form they are stored in: another spelling of a value is no other value. */
function canonical(config: JsonObject, definition: string): JsonObject {
  return definition === '' ? withoutNulls(config) : decodeObject<JsonObject>(definition, config).object;
}

function withoutNulls(value: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const name in value) {
    const item = value[name];
    if (item === null || item === undefined) continue;
    result[name] = isObject(item) ? withoutNulls(item) : item;
  }
  return result;
}

function withoutManagedFields(object: JsonObject): JsonObject {
  const metadata = object['metadata'];
  if (!isObject(metadata) || metadata['managedFields'] === undefined) return object;
  const { managedFields: _managed, ...rest } = metadata;
  return { ...object, metadata: rest };
}
