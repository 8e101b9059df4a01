import type { Ingress, IngressClass, NetworkPolicy, ServiceCIDR } from '../../../apimachinery/types/networking-v1.ts';

export function defaultIngress(ingress: Ingress): void {
  ingress.spec ??= {};
  ingress.status ??= {};
  ingress.status.loadBalancer ??= {};
}

export function defaultIngressClass(ingressClass: IngressClass): void {
  ingressClass.spec ??= {};
  if (ingressClass.spec.parameters !== undefined) ingressClass.spec.parameters.scope ??= 'Cluster';
}

/** A policy governs ingress always, and egress when it has a rule for it. */
export function defaultNetworkPolicy(policy: NetworkPolicy): void {
  policy.spec ??= {};
  const { spec } = policy;
  spec.podSelector ??= {};
  for (const rule of spec.ingress ?? []) for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
  for (const rule of spec.egress ?? []) for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
  if (spec.policyTypes === undefined || spec.policyTypes.length === 0) {
    spec.policyTypes = (spec.egress?.length ?? 0) > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  }
}

export function defaultServiceCidr(cidr: ServiceCIDR): void {
  cidr.spec ??= {};
  cidr.status ??= {};
}
