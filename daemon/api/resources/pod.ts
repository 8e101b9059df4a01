import { pods } from '../../apimachinery/types/resources.ts';
import { defaultPod } from './defaults/pod-spec.ts';
import { defineRow } from './define-row.ts';
import {
  podGracePeriod,
  preparePodEphemeralContainers,
  preparePodForCreate,
  preparePodForUpdate,
  preparePodResize,
  preparePodStatusForUpdate,
} from './pod-strategy.ts';
import { podFields } from './selectable-fields.ts';

export const podRow = defineRow(pods, {
  shortNames: ['po'],
  categories: ['all'],
  hasGeneration: true,
  defaults: defaultPod,
  selectableFields: podFields,
  prepareForCreate: preparePodForCreate,
  prepareForUpdate: preparePodForUpdate,
  statusStrategy: { prepareForUpdate: preparePodStatusForUpdate },
  subresourceStrategies: {
    ephemeralcontainers: { prepareForUpdate: preparePodEphemeralContainers },
    resize: { prepareForUpdate: preparePodResize },
    // A binding sets what an update may not touch; its own rules are in `subresources/binding.ts`.
    binding: { validateUpdate: () => [] },
  },
  gracePeriod: podGracePeriod,
});
