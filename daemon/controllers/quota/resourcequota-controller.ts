import { isApiError } from '../../apimachinery/api-error.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import { Quantity } from '../../apimachinery/quantity.ts';
import { addUsage, inScope, type Usage, usageOf } from '../../apimachinery/quota-usage.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { ResourceQuota } from '../../apimachinery/types/core-v1.ts';
import { persistentvolumeclaims, pods, resourcequotas, services } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { sameStatus } from '../workload/status-equal.ts';

/** Everything is counted anew this often, whatever has been seen of it. */
const resyncMs = 5 * 60_000;
/** Changes of one namespace within this time are counted together. */
const gatherMs = 100;

/**
 * Keeps `status.used` of ResourceQuotas: counts what is there, and gives back what is gone. What is new has been charged on
 * admission, before it is here to be counted: counting because of it could take away what others have just been charged.
 */
export function startResourceQuotaController(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('resourcequota_primary', workers, reconcile);
  const quotas = context.watch(resourcequotas, {
    onAdd: (quota) => queue.add(keyOf(quota)),
    onUpdate: (quota, old) => {
      const { hard = {} } = quota.spec ?? {};
      if (sameStatus(hard, old.spec?.hard ?? {}) && sameStatus(hard, quota.status?.hard ?? {})) return;
      queue.add(keyOf(quota));
    },
  });
  const changed = (object: KubernetesObject): void => {
    for (const quota of quotas.lister.list(object.metadata?.namespace)) queue.addAfter(keyOf(quota), gatherMs);
  };
  // Kinds of which more than the number counts, and that come and go most.
  const cached = new Map<string, () => readonly KubernetesObject[]>();
  const follow = <T extends KubernetesObject>(resource: Resource<T>): void => {
    const informer = context.watch(resource, {
      onUpdate: (object, old) => {
        const before = usageOf(resource, old, context.now());
        const usage = usageOf(resource, object, context.now());
        // Only what takes less: more has been charged on admission.
        if ([...before].some(([name, amount]) => (usage.get(name)?.compare(amount) ?? -1) < 0)) changed(object);
      },
      onDelete: changed,
    });
    cached.set(resource.resource, () => informer.lister.list());
  };
  follow(pods);
  follow(services);
  follow(persistentvolumeclaims);

  async function reconcile(key: string): Promise<void> {
    const quota = quotas.lister.get(key);
    if (quota === undefined) return;
    const hard = quota.spec?.hard ?? {};
    const usage = await count(quota, Object.keys(hard));
    const used = Object.fromEntries(
      Object.keys(hard).map((name) => [name, (usage.get(name) ?? zeroLike(name)).toString()]),
    );
    queue.addAfter(key, resyncMs);
    if (sameStatus({ hard, used }, quota.status)) return;
    await context.client.update(resourcequotas, { ...quota, status: { hard, used } }, { subresource: 'status' });
  }

  /** Counts only the kinds that the quota limits. */
  async function count(quota: ResourceQuota, names: readonly string[]): Promise<Usage> {
    const total: Usage = new Map();
    for (const resource of context.settings.resources()) {
      if (!resource.namespaced || !names.some((name) => isAbout(name, resource))) continue;
      for (const object of await objectsOf(resource, quota.metadata.namespace)) {
        if (inScope(quota.spec, resource, object)) addUsage(total, usageOf(resource, object, context.now()));
      }
    }
    return total;
  }

  async function objectsOf(resource: Resource, namespace = ''): Promise<readonly KubernetesObject[]> {
    const all = resource.group === '' ? cached.get(resource.resource) : undefined;
    if (all !== undefined) return all().filter((object) => object.metadata?.namespace === namespace);
    try {
      return (await context.client.list(resource, { namespace })).items;
    } catch (error) {
      if (isApiError(error, 'NotFound')) return [];
      throw error;
    }
  }
}

function isAbout(name: string, resource: Resource): boolean {
  const plural = resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
  if (name === `count/${plural}`) return true;
  if (resource.group !== '') return false;
  switch (resource.resource) {
    case 'pods':
      return (
        name === 'pods' ||
        (/^(requests|limits)\.|^(cpu|memory|ephemeral-storage)$/.test(name) && name !== 'requests.storage')
      );
    case 'services':
      return name === 'services' || name.startsWith('services.');
    case 'persistentvolumeclaims':
      return (
        name === 'persistentvolumeclaims' ||
        name === 'requests.storage' ||
        name.includes('.storageclass.storage.k8s.io/')
      );
    default:
      return name === resource.resource;
  }
}

function zeroLike(name: string): Quantity {
  return new Quantity(0n, /memory|storage/.test(name) ? 'BinarySI' : 'DecimalSI');
}
