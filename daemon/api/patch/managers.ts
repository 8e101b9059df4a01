import { formatTime } from '../../apimachinery/time.ts';
import type { ManagedFieldsEntry } from '../../apimachinery/types/meta-v1.ts';
import { difference, emptySet, type FieldSet, isEmptySet, sortedSet, union } from './field-set.ts';

/** One who owns fields of an object. */
export interface Manager {
  readonly name: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  time: string | undefined;
  fields: FieldSet;
}

export type ManagerIdentity = Pick<Manager, 'name' | 'operation' | 'apiVersion' | 'subresource'>;

/** More updaters than this and the oldest are folded into one. */
const mostUpdaters = 10;
const ancientChanges = 'ancient-changes';

/** An applier is the same whatever version it applies in; an updater is not. */
export function identify({ name, operation, apiVersion, subresource }: ManagerIdentity): string {
  return JSON.stringify([name, operation, operation === 'Apply' ? '' : apiVersion, subresource]);
}

export function decodeManagers(entries: readonly ManagedFieldsEntry[] | undefined): Map<string, Manager> {
  const managers = new Map<string, Manager>();
  for (const entry of entries ?? []) {
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') continue;
    const manager: Manager = {
      name: entry.manager ?? '',
      operation: entry.operation,
      apiVersion: entry.apiVersion ?? '',
      subresource: entry.subresource ?? '',
      time: entry.time,
      fields: (entry.fieldsV1 ?? emptySet) as unknown as FieldSet,
    };
    managers.set(identify(manager), manager);
  }
  return managers;
}

export function encodeManagers(managers: ReadonlyMap<string, Manager>): ManagedFieldsEntry[] {
  return [...managers.values()].sort(compareManagers).map(encodeEntry);
}

export function encodeEntry({ name, operation, apiVersion, subresource, time, fields }: Manager): ManagedFieldsEntry {
  return {
    manager: name,
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: sortedSet(fields) as unknown as Record<string, unknown>,
    ...(subresource === '' ? {} : { subresource }),
  };
}

function compareManagers(left: Manager, right: Manager): number {
  const keys = (manager: Manager) => [
    manager.operation,
    manager.time ?? '',
    manager.name,
    manager.apiVersion,
    manager.subresource,
  ];
  const [a, b] = [keys(left), keys(right)];
  const at = a.findIndex((key, index) => key !== b[index]);
  return at < 0 ? 0 : a[at]! < b[at]! ? -1 : 1;
}

/** Takes fields from all managers but `except`; one left with nothing is gone. */
export function takeFromOthers(managers: Map<string, Manager>, except: string, fields: FieldSet): void {
  if (isEmptySet(fields)) return;
  for (const [id, manager] of managers) {
    if (id === except) continue;
    manager.fields = difference(manager.fields, fields);
    if (isEmptySet(manager.fields)) managers.delete(id);
  }
}

/** Folds the oldest updaters of the object itself into one, so that their number stays bounded. */
export function capUpdaters(managers: Map<string, Manager>): void {
  const updaters = [...managers].filter(
    ([, { operation, subresource }]) => operation === 'Update' && subresource === '',
  );
  if (updaters.length <= mostUpdaters) return;
  updaters.sort(([, left], [, right]) => ((left.time ?? '') < (right.time ?? '') ? -1 : 1));
  const folded = updaters.slice(0, updaters.length - mostUpdaters + 1);
  const { apiVersion, time } = folded.at(-1)![1];
  const ancient: Manager = {
    name: ancientChanges,
    operation: 'Update',
    apiVersion,
    subresource: '',
    time,
    fields: folded.reduce((fields, [, manager]) => union(fields, manager.fields), emptySet),
  };
  for (const [id] of folded) managers.delete(id);
  managers.set(identify(ancient), ancient);
}

/** When a manager's fields were last other than they were before. */
export const stamp = (now: Date): string => formatTime(now);
