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
import { decodeNestedSchemas } from '../customresources/nested-schemas.ts';
import {
  prepareRequestApproval,
  prepareRequestForCreate,
  prepareRequestForUpdate,
  prepareRequestStatus,
} from './csr-strategy.ts';
import {
  defaultApiService,
  defaultCertificateSigningRequest,
  defaultCustomResourceDefinition,
  defaultDisruptionBudget,
  defaultFlowSchema,
  defaultLease,
  defaultPriorityClass,
  defaultPriorityLevel,
  defaultResourceClaim,
  defaultResourceClaimTemplate,
} from './defaults/platform.ts';
import { defaultEndpointSlice } from './defaults/service.ts';
import { defineRow } from './define-row.ts';
import { eventsStoredAsCore } from './event-storage.ts';
import type { ResourceRow } from './resource-row.ts';
import { eventFields, requestFields, sliceFields } from './selectable-fields.ts';
import { separateStatus } from './status-separation.ts';

const emptyStatus = { initialStatus: () => ({}) };

/** The groups that serve only a kind or two each. */
export const platformRows: readonly ResourceRow[] = [
  defineRow(apiservices, {
    categories: ['api-extensions'],
    storage: 'apiregistration.k8s.io/apiservices',
    allowUnconditionalUpdate: false,
    defaults: defaultApiService,
    ...separateStatus(emptyStatus),
  }),
  defineRow(certificatesigningrequests, {
    shortNames: ['csr'],
    defaults: defaultCertificateSigningRequest,
    selectableFields: requestFields,
    prepareForCreate: prepareRequestForCreate,
    prepareForUpdate: prepareRequestForUpdate,
    statusStrategy: { prepareForUpdate: prepareRequestStatus },
    subresourceStrategies: { approval: { prepareForUpdate: prepareRequestApproval } },
  }),
  defineRow(customresourcedefinitions, {
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    storage: 'apiextensions.k8s.io/customresourcedefinitions',
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    defaults: (crd) => {
      decodeNestedSchemas(crd);
      defaultCustomResourceDefinition(crd);
    },
    ...separateStatus({
      initialStatus: ({ spec }) => ({
        conditions: [],
        acceptedNames: { plural: '', kind: '' },
        storedVersions: (spec?.versions ?? []).filter(({ storage }) => storage).map(({ name }) => name),
      }),
    }),
  }),
  defineRow(endpointslices, { hasGeneration: true, defaults: defaultEndpointSlice }),
  defineRow(eventsGroupevents, {
    shortNames: ['ev'],
    allowCreateOnUpdate: true,
    stored: eventsStoredAsCore,
    selectableFields: eventFields,
  }),
  defineRow(flowschemas, { hasGeneration: true, defaults: defaultFlowSchema, ...separateStatus(emptyStatus) }),
  defineRow(prioritylevelconfigurations, {
    hasGeneration: true,
    defaults: defaultPriorityLevel,
    ...separateStatus(emptyStatus),
  }),
  defineRow(leases, { allowCreateOnUpdate: true, allowUnconditionalUpdate: false, defaults: defaultLease }),
  defineRow(poddisruptionbudgets, {
    shortNames: ['pdb'],
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    defaults: defaultDisruptionBudget,
    ...separateStatus({
      initialStatus: () => ({ currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 }),
    }),
  }),
  defineRow(priorityclasses, { shortNames: ['pc'], hasGeneration: true, defaults: defaultPriorityClass }),
  defineRow(deviceclasses, { hasGeneration: true }),
  defineRow(resourceclaims, { defaults: defaultResourceClaim, ...separateStatus(emptyStatus) }),
  defineRow(resourceclaimtemplates, { defaults: defaultResourceClaimTemplate }),
  defineRow(resourceslices, { hasGeneration: true, selectableFields: sliceFields }),
  defineRow(runtimeclasses, { allowUnconditionalUpdate: false }),
];
