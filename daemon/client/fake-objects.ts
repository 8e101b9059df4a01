import { type ApiError, apiError } from '../apimachinery/api-error.ts';
import { parseFieldSelector } from '../apimachinery/field-selector.ts';
import { parseLabelSelector } from '../apimachinery/label-selector.ts';
import type { KubernetesObject, Resource } from '../apimachinery/resource.ts';
import type { Pod } from '../apimachinery/types/core-v1.ts';
import type { Status } from '../apimachinery/types/meta-v1.ts';
import type { ListOptions, ObjectKey, WatchEvent } from './api-client.ts';

/** One write, as watchers see it. */
export interface Change {
  readonly version: number;
  readonly collection: string;
  readonly object: KubernetesObject;
  readonly old: KubernetesObject | undefined;
  readonly deleted: boolean;
}

export type Matcher = (object: KubernetesObject) => boolean;

export function collectionName(resource: Resource): string {
  return `${resource.group}/${resource.resource}`;
}

export function keyText({ namespace, name }: ObjectKey): string {
  return namespace ? `${namespace}/${name}` : name;
}

export function matcherOf({ namespace, labelSelector, fieldSelector }: ListOptions): Matcher {
  const labels = parseLabelSelector(labelSelector ?? '');
  const fields = parseFieldSelector(fieldSelector ?? '');
  return (object) =>
    (namespace === undefined || namespace === '' || object.metadata?.namespace === namespace) &&
    labels.matches(object.metadata?.labels) &&
    (fields.isEverything ||
      fields.matches(Object.fromEntries(fields.requirements.map(({ field }) => [field, fieldValue(object, field)]))));
}

function fieldValue(object: unknown, path: string): string {
  let value: unknown = object;
  for (const part of path.split('.')) {
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[part] : undefined;
  }
  return value === undefined || value === null ? '' : String(value);
}

/** What a watcher with a selector sees of a change: an object that comes into its view is added, one that leaves is deleted. */
export function eventOf(change: Change, matches: Matcher): WatchEvent<KubernetesObject> | undefined {
  const before = change.old !== undefined && matches(change.old);
  const after = !change.deleted && matches(change.object);
  if (after) {
    return { type: before ? 'MODIFIED' : 'ADDED', object: change.object };
  }
  return before ? { type: 'DELETED', object: change.object } : undefined;
}

export function graceOf(pod: Pod, requested: number | undefined): number {
  const terminal = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  if (!pod.spec.nodeName || terminal) {
    return 0;
  }
  return requested ?? pod.spec.terminationGracePeriodSeconds ?? 30;
}

export function mergeBySubresource<T extends KubernetesObject>(
  resource: Resource<T>,
  old: T,
  next: T,
  subresource: string,
): T {
  const withStatus = old as T & { status?: unknown };
  if (subresource === 'status') {
    // The status path keeps all but the status; metadata such as labels comes along, as in the original.
    return { ...old, metadata: next.metadata, status: (next as typeof withStatus).status };
  }
  if (!resource.subresources.includes('status')) {
    return next;
  }
  const merged = { ...next } as typeof withStatus;
  if (withStatus.status === undefined) {
    delete merged.status;
  } else {
    merged.status = withStatus.status;
  }
  return merged;
}

export function specOf(object: KubernetesObject): unknown {
  return (object as { spec?: unknown }).spec;
}

export function pickDefined<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}

export function deepFreeze(value: unknown): void {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) {
      deepFreeze(member);
    }
  }
}

function qualified(resource: Resource): string {
  return resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
}

function detailsOf(resource: Resource, name: string): Status['details'] {
  return { name, kind: resource.resource, ...(resource.group === '' ? {} : { group: resource.group }) };
}

export function notFound(resource: Resource, name: string): ApiError {
  return apiError('NotFound', `${qualified(resource)} "${name}" not found`, detailsOf(resource, name));
}

export function exists(resource: Resource, name: string): ApiError {
  return apiError('AlreadyExists', `${qualified(resource)} "${name}" already exists`, detailsOf(resource, name));
}

export function conflict(resource: Resource, name: string, why: string): ApiError {
  return apiError(
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`,
    detailsOf(resource, name),
  );
}
