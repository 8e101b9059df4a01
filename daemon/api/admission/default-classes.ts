import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { PersistentVolumeClaim } from '../../apimachinery/types/core-v1.ts';
import type { Ingress } from '../../apimachinery/types/networking-v1.ts';
import type { Registry } from '../registry/registry.ts';
import type { AdmissionPlugin } from './admission.ts';

/** The class marked as default by an annotation: the newest one when there are several. */
function defaultClass(
  registry: Registry,
  group: string,
  resource: string,
  annotations: readonly string[],
): KubernetesObject | undefined {
  const created = (object: KubernetesObject) => object.metadata?.creationTimestamp ?? '';
  return registry.hub
    .cacheOf(registry.require(group, 'v1', resource))
    .list('')
    .map(({ object }) => object)
    .filter(({ metadata }) => annotations.some((name) => metadata?.annotations?.[name] === 'true'))
    .sort((a, b) =>
      created(a) < created(b)
        ? 1
        : created(a) > created(b)
          ? -1
          : (a.metadata?.name ?? '') < (b.metadata?.name ?? '')
            ? -1
            : 1,
    )[0];
}

/** A claim that names no storage class gets the default one. */
export function defaultStorageClass(registry: () => Registry): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    operations: ['CREATE'],
    resources: ['persistentvolumeclaims'],
    admit({ object }) {
      const claim = object as PersistentVolumeClaim;
      if (claim.spec === undefined || claim.spec.storageClassName !== undefined) return;
      if (claim.metadata?.annotations?.['volume.beta.kubernetes.io/storage-class'] !== undefined) return;
      const found = defaultClass(registry(), 'storage.k8s.io', 'storageclasses', [
        'storageclass.kubernetes.io/is-default-class',
        'storageclass.beta.kubernetes.io/is-default-class',
      ]);
      if (found !== undefined) claim.spec.storageClassName = found.metadata!.name!;
    },
  };
}

/** An ingress that names no class gets the default one. */
export function defaultIngressClass(registry: () => Registry): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    operations: ['CREATE'],
    resources: ['ingresses.networking.k8s.io'],
    admit({ object }) {
      const ingress = object as Ingress;
      if (ingress.spec?.ingressClassName !== undefined) return;
      if (ingress.metadata?.annotations?.['kubernetes.io/ingress.class'] !== undefined) return;
      const found = defaultClass(registry(), 'networking.k8s.io', 'ingressclasses', [
        'ingressclass.kubernetes.io/is-default-class',
      ]);
      if (found !== undefined) ingress.spec = { ...ingress.spec, ingressClassName: found.metadata!.name! };
    },
  };
}
