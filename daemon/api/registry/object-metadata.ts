import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { FieldError, ResourceRow } from '../resources/resource-row.ts';
import { badRequest } from '../status-errors.ts';

/** The rules of `metadata` that hold for every kind. */

/** The namespace of the request holds; an object that names another is refused. */
export function setNamespace(row: ResourceRow, object: KubernetesObject, namespace: string): void {
  const metadata = object.metadata!;
  if (!row.handle.namespaced) {
    delete metadata.namespace;
    return;
  }
  if (metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  metadata.namespace = namespace;
}

export function nameMismatch(given: string, expected: string): Error {
  return badRequest(`the name of the object (${given}) does not match the name on the URL (${expected})`);
}

/** Fields of metadata that only the system sets. */
export function keepSystemMetadata(next: KubernetesObject, old: KubernetesObject): void {
  const metadata = next.metadata as Record<string, unknown>;
  const before = old.metadata as Record<string, unknown>;
  for (const field of systemMetadata) {
    if (before[field] === undefined) delete metadata[field];
    else metadata[field] = before[field];
  }
  if (metadata['managedFields'] === undefined && before['managedFields'] !== undefined) {
    metadata['managedFields'] = before['managedFields'];
  }
}

const systemMetadata = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'selfLink',
  'resourceVersion',
  'name',
  'namespace',
  'generateName',
];

/** Finalizers may not be added to an object that is being deleted. */
export function metadataChanges(next: KubernetesObject, old: KubernetesObject): FieldError[] {
  if (next.metadata?.deletionTimestamp === undefined) return [];
  const before = old.metadata?.finalizers ?? [];
  const added = (next.metadata.finalizers ?? []).filter((finalizer) => !before.includes(finalizer));
  if (added.length === 0) return [];
  const list = added.map((finalizer) => JSON.stringify(finalizer)).join(', ');
  return [
    {
      type: 'FieldValueForbidden',
      field: 'metadata.finalizers',
      detail: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`,
    },
  ];
}

/** An object under deletion that nothing holds any more goes with the update that let it go. */
export function mayBeRemoved(object: KubernetesObject): boolean {
  const { metadata } = object;
  if (metadata?.deletionTimestamp === undefined || (metadata.finalizers?.length ?? 0) > 0) return false;
  if ((metadata.deletionGracePeriodSeconds ?? 0) > 0) return false;
  const specFinalizers =
    object.kind === 'Namespace' ? (object as { spec?: { finalizers?: string[] } }).spec?.finalizers : [];
  return (specFinalizers?.length ?? 0) === 0;
}
