import { services } from '../../apimachinery/types/resources.ts';
import { defaultService } from './defaults/service.ts';
import { defineRow } from './define-row.ts';
import { serviceFields } from './selectable-fields.ts';
import { prepareServiceForCreate, prepareServiceForUpdate } from './service-strategy.ts';
import { keepSpec } from './status-separation.ts';

export const serviceRow = defineRow(services, {
  shortNames: ['svc'],
  categories: ['all'],
  storage: 'services/specs',
  allowCreateOnUpdate: true,
  defaults: defaultService,
  selectableFields: serviceFields,
  prepareForCreate: prepareServiceForCreate,
  prepareForUpdate: prepareServiceForUpdate,
  statusStrategy: { prepareForUpdate: keepSpec },
});
