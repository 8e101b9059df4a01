import {
  configmaps,
  endpoints,
  events,
  limitranges,
  namespaces,
  nodes,
  persistentvolumeclaims,
  persistentvolumes,
  pods,
  podtemplates,
  replicationcontrollers,
  resourcequotas,
  secrets,
  serviceaccounts,
  services,
} from '../../apimachinery/types/resources.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';

/** The core group, v1. */
export const coreRows: readonly ResourceRow[] = [
  defineRow(configmaps, { shortNames: ['cm'] }),
  defineRow(endpoints, { shortNames: ['ep'], storage: 'services/endpoints', allowCreateOnUpdate: true }),
  defineRow(events, { shortNames: ['ev'], allowCreateOnUpdate: true }),
  defineRow(limitranges, { shortNames: ['limits'], allowCreateOnUpdate: true }),
  defineRow(namespaces, { shortNames: ['ns'] }),
  defineRow(nodes, { shortNames: ['no'], storage: 'minions' }),
  defineRow(persistentvolumeclaims, { shortNames: ['pvc'] }),
  defineRow(persistentvolumes, { shortNames: ['pv'] }),
  defineRow(pods, { shortNames: ['po'], categories: ['all'], hasGeneration: true }),
  defineRow(podtemplates, { hasGeneration: true }),
  defineRow(replicationcontrollers, {
    shortNames: ['rc'],
    categories: ['all'],
    storage: 'controllers',
    hasGeneration: true,
  }),
  defineRow(resourcequotas, { shortNames: ['quota'] }),
  defineRow(secrets),
  defineRow(serviceaccounts, { shortNames: ['sa'] }),
  defineRow(services, {
    shortNames: ['svc'],
    categories: ['all'],
    storage: 'services/specs',
    allowCreateOnUpdate: true,
  }),
];
