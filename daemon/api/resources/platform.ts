import {
  apiservices,
  certificatesigningrequests,
  customresourcedefinitions,
  deviceclasses,
  endpointslices,
  eventsGroupevents,
  flowschemas,
  leases,
  poddisruptionbudgets,
  priorityclasses,
  prioritylevelconfigurations,
  resourceclaims,
  resourceclaimtemplates,
  resourceslices,
  runtimeclasses,
} from '../../apimachinery/types/resources.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';

/** The groups that serve only a kind or two each. */
export const platformRows: readonly ResourceRow[] = [
  defineRow(apiservices, {
    categories: ['api-extensions'],
    storage: 'apiregistration.k8s.io/apiservices',
    allowUnconditionalUpdate: false,
  }),
  defineRow(certificatesigningrequests, { shortNames: ['csr'] }),
  defineRow(customresourcedefinitions, {
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    storage: 'apiextensions.k8s.io/customresourcedefinitions',
    hasGeneration: true,
    allowUnconditionalUpdate: false,
  }),
  defineRow(endpointslices, { hasGeneration: true }),
  defineRow(eventsGroupevents, { shortNames: ['ev'], allowCreateOnUpdate: true }),
  defineRow(flowschemas, { hasGeneration: true }),
  defineRow(prioritylevelconfigurations, { hasGeneration: true }),
  defineRow(leases, { allowCreateOnUpdate: true, allowUnconditionalUpdate: false }),
  defineRow(poddisruptionbudgets, { shortNames: ['pdb'], hasGeneration: true, allowUnconditionalUpdate: false }),
  defineRow(priorityclasses, { shortNames: ['pc'], hasGeneration: true }),
  defineRow(deviceclasses, { hasGeneration: true }),
  defineRow(resourceclaims),
  defineRow(resourceclaimtemplates),
  defineRow(resourceslices, { hasGeneration: true }),
  defineRow(runtimeclasses, { allowUnconditionalUpdate: false }),
];
