import type { Service } from '../../apimachinery/types/core-v1.ts';
import { isHeadless } from './pod-endpoint.ts';

export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
export const headlessLabel = 'service.kubernetes.io/headless';

/** Labels of a slice that are not the Service's to set. */
const reservedLabels: ReadonlySet<string> = new Set([serviceNameLabel, managedByLabel, headlessLabel]);

/** The Service's labels, and those that say whose slice it is. */
export function sliceLabels(service: Service, manager: string): Record<string, string> {
  const own = Object.entries(service.metadata.labels ?? {}).filter(([name]) => !reservedLabels.has(name));
  return {
    ...Object.fromEntries(own),
    [serviceNameLabel]: service.metadata.name ?? '',
    [managedByLabel]: manager,
    ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
  };
}
