import {
  mutatingadmissionpolicies,
  mutatingadmissionpolicybindings,
  mutatingwebhookconfigurations,
  validatingadmissionpolicies,
  validatingadmissionpolicybindings,
  validatingwebhookconfigurations,
} from '../../apimachinery/types/resources.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';

const extension = { categories: ['api-extensions'], hasGeneration: true, allowUnconditionalUpdate: false };

/** The group admissionregistration.k8s.io, v1. */
export const admissionregistrationRows: readonly ResourceRow[] = [
  defineRow(mutatingadmissionpolicies, extension),
  defineRow(mutatingadmissionpolicybindings, extension),
  defineRow(mutatingwebhookconfigurations, extension),
  defineRow(validatingadmissionpolicies, extension),
  defineRow(validatingadmissionpolicybindings, extension),
  defineRow(validatingwebhookconfigurations, extension),
];
