import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Service } from '../../apimachinery/types/core-v1.ts';
import type { FieldError, ResourceRow } from '../resources/resource-row.ts';
import type { ServiceAllocator } from '../resources/service-allocation.ts';
import type { ResourceCache } from './resource-cache.ts';

/** What a write holds until it is done. */
export interface Reservation {
  readonly errors: readonly FieldError[];
  release(): void;
}

/** Takes what an object needs and no other may have, before it is validated and stored. */
export type Reserve = (
  row: ResourceRow,
  object: KubernetesObject,
  old: KubernetesObject | undefined,
) => Reservation | undefined;

/** Cluster IPs and node ports of services: the allocator sees those that are stored, by the watch cache. */
export function reserveForServices(allocator: ServiceAllocator, cache: ResourceCache): Reserve {
  const observed = new Map<string, Service>();
  const load = (): void => {
    for (const service of observed.values()) allocator.forget(service);
    observed.clear();
    for (const { key, object } of cache.list('')) observed.set(key, object as Service);
    for (const service of observed.values()) allocator.observe(service);
  };
  load();
  cache.onReset(load);
  cache.subscribe((events) => {
    for (const { type, object } of events) {
      const before = observed.get(object.key);
      if (before !== undefined) allocator.forget(before);
      if (type === 'DELETED') {
        observed.delete(object.key);
        continue;
      }
      observed.set(object.key, object.object as Service);
      allocator.observe(object.object as Service);
    }
  });
  return (row, object, old) =>
    row.storage === 'services/specs' ? allocator.allocate(object as Service, old as Service | undefined) : undefined;
}
