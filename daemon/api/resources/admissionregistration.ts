import {
  mutatingadmissionpolicies,
  mutatingadmissionpolicybindings,
  mutatingwebhookconfigurations,
  validatingadmissionpolicies,
  validatingadmissionpolicybindings,
  validatingwebhookconfigurations,
} from '../../apimachinery/types/resources.ts';
import {
  defaultAdmissionPolicy,
  defaultMutatingWebhooks,
  defaultPolicyBinding,
  defaultValidatingPolicy,
  defaultValidatingWebhooks,
} from './defaults/admissionregistration.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';
import { separateStatus } from './status-separation.ts';

const extension = { categories: ['api-extensions'], hasGeneration: true, allowUnconditionalUpdate: false };

/** The group admissionregistration.k8s.io, v1. */
export const admissionregistrationRows: readonly ResourceRow[] = [
  defineRow(mutatingadmissionpolicies, { ...extension, defaults: defaultAdmissionPolicy }),
  defineRow(mutatingadmissionpolicybindings, { ...extension, defaults: defaultPolicyBinding }),
  defineRow(mutatingwebhookconfigurations, { ...extension, defaults: defaultMutatingWebhooks }),
  defineRow(validatingadmissionpolicies, {
    ...extension,
    defaults: defaultValidatingPolicy,
    ...separateStatus({ initialStatus: () => ({}) }),
  }),
  defineRow(validatingadmissionpolicybindings, { ...extension, defaults: defaultPolicyBinding }),
  defineRow(validatingwebhookconfigurations, { ...extension, defaults: defaultValidatingWebhooks }),
];
