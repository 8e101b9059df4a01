import type { Service } from '../apimachinery/types/core-v1.ts';

/** `spec.loadBalancerClass` of Services that want an address of the pool by name; those without a class get one, too. */
export const poolClass = 'balsa.io/pool';

export function wantsAddress(service: Service): boolean {
  const { type, loadBalancerClass } = service.spec;
  return (
    type === 'LoadBalancer' &&
    (loadBalancerClass === undefined || loadBalancerClass === poolClass) &&
    service.metadata.deletionTimestamp === undefined
  );
}

export function addressesOf(service: Service): string[] {
  return (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip === undefined ? [] : [ip]));
}
