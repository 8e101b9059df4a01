import {
  ingressclasses,
  ingresses,
  ipaddresses,
  networkpolicies,
  servicecidrs,
} from '../../apimachinery/types/resources.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';

/** The group networking.k8s.io, v1. */
export const networkingRows: readonly ResourceRow[] = [
  defineRow(ingressclasses, { hasGeneration: true }),
  defineRow(ingresses, { shortNames: ['ing'], storage: 'ingress', hasGeneration: true }),
  defineRow(ipaddresses, { shortNames: ['ip'] }),
  defineRow(networkpolicies, { shortNames: ['netpol'], hasGeneration: true }),
  defineRow(servicecidrs),
];
