import type { Namespace } from '../../apimachinery/types/core-v1.ts';
import { keepStatus, setOrDelete } from './status-separation.ts';

/** A new namespace is active, and held by its own finalizer until its content is gone. */
export function prepareNamespaceForCreate(namespace: Namespace): void {
  // A name that the server made was not known yet when the defaults were set.
  const { name = '' } = namespace.metadata;
  namespace.metadata.labels = { ...namespace.metadata.labels, 'kubernetes.io/metadata.name': name };
  namespace.status = { phase: 'Active' };
  const finalizers = namespace.spec.finalizers ?? [];
  if (!finalizers.includes('kubernetes')) namespace.spec.finalizers = [...finalizers, 'kubernetes'];
}

/** Only `finalize` changes the finalizers of the spec. */
export function prepareNamespaceForUpdate(namespace: Namespace, old: Namespace): void {
  setOrDelete(namespace.spec, 'finalizers', old.spec.finalizers);
  keepStatus(namespace, old);
}
