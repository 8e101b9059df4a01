import { apiError } from '../../apimachinery/api-error.ts';
import { isCustomDefinition } from '../codec/custom-definitions.ts';
import { type CustomResources, cleanupFinalizer } from '../customresources/custom-resources.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { Registry } from '../registry/registry.ts';
import type { AdmissionPlugin } from './admission.ts';

/**
 * A definition that is deleted stays until its objects are gone: the finalizer for that is put on when the deletion is
 * asked for.
 */
export const cleanUpInstances = (registry: () => Registry): AdmissionPlugin => ({
  name: 'CustomResourceCleanup',
  operations: ['DELETE'],
  resources: ['customresourcedefinitions.apiextensions.k8s.io'],
  async admit({ row, name, old, dryRun, identity }) {
    if (dryRun || old?.metadata?.deletionTimestamp !== undefined) return;
    if (old?.metadata?.finalizers?.includes(cleanupFinalizer)) return;
    await registry().writes.update(
      { row, namespace: '', name, subresource: '' },
      (current) => {
        const next = cloneObject(current);
        next.metadata!.finalizers = [...(next.metadata!.finalizers ?? []), cleanupFinalizer];
        return next;
      },
      { identity, dryRun: false, fieldManager: 'kube-apiserver', fieldValidation: 'Ignore', warn: () => undefined },
    );
  },
});

/** No objects of a definition that is being deleted. */
export const refuseTerminating = (customResources: () => CustomResources | undefined): AdmissionPlugin => ({
  name: 'CustomResourceTerminating',
  operations: ['CREATE'],
  validate({ row }) {
    const { group, resource } = row.handle;
    if (!isCustomDefinition(row.handle.definition)) return;
    if (customResources()?.isTerminating(group, resource) !== true) return;
    throw apiError('MethodNotAllowed', 'create not allowed while custom resource definition is terminating', {
      ...(group === '' ? {} : { group }),
      kind: resource,
    });
  },
});
