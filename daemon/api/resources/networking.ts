import {
  ingressclasses,
  ingresses,
  ipaddresses,
  networkpolicies,
  servicecidrs,
} from '../../apimachinery/types/resources.ts';
import {
  defaultIngress,
  defaultIngressClass,
  defaultNetworkPolicy,
  defaultServiceCidr,
} from './defaults/networking.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';
import { separateStatus } from './status-separation.ts';

/** The group networking.k8s.io, v1. */
export const networkingRows: readonly ResourceRow[] = [
  defineRow(ingressclasses, { hasGeneration: true, defaults: defaultIngressClass }),
  defineRow(ingresses, {
    shortNames: ['ing'],
    storage: 'ingress',
    hasGeneration: true,
    defaults: defaultIngress,
    ...separateStatus({ initialStatus: () => ({ loadBalancer: {} }) }),
  }),
  defineRow(ipaddresses, { shortNames: ['ip'] }),
  defineRow(networkpolicies, { shortNames: ['netpol'], hasGeneration: true, defaults: defaultNetworkPolicy }),
  defineRow(servicecidrs, { defaults: defaultServiceCidr, ...separateStatus({ initialStatus: () => ({}) }) }),
];
