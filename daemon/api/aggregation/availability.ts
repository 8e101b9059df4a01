import type { APIServiceCondition, APIServiceSpec } from '../../apimachinery/types/apiregistration-v1.ts';
import type { Service } from '../../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../../apimachinery/types/discovery-v1.ts';
import type { Registry } from '../registry/registry.ts';

/** Where an extension server is reached, and the name its certificate must have. */
export interface ExtensionTarget {
  readonly host: string;
  readonly port: number;
  readonly servername: string;
}

export type Unavailable = Pick<APIServiceCondition, 'reason' | 'message'>;

/** The Service of an APIService as a target, or why it is none. */
export function targetOf(registry: Registry, spec: APIServiceSpec): ExtensionTarget | Unavailable {
  const { name = '', namespace = '', port = 443 } = spec.service ?? {};
  const services = registry.hub.cacheOf(registry.require('', 'v1', 'services'));
  const service = services.get(`${namespace}/${name}`)?.object as Service | undefined;
  const about = `service/${name} in ${JSON.stringify(namespace)}`;
  if (service === undefined) return { reason: 'ServiceNotFound', message: `${about} is not present` };
  const servername = `${name}.${namespace}.svc`;
  if (service.spec?.type === 'ExternalName') return { host: service.spec.externalName ?? '', port, servername };
  const chosen = service.spec?.ports?.find((one) => one.port === port);
  if (chosen === undefined) {
    return { reason: 'ServicePortError', message: `${about} is not listening on port ${port}` };
  }
  const slices = registry.hub
    .cacheOf(registry.require('discovery.k8s.io', 'v1', 'endpointslices'))
    .list(namespace)
    .map((stored) => stored.object as EndpointSlice)
    .filter((slice) => slice.metadata?.labels?.['kubernetes.io/service-name'] === name);
  if (slices.length === 0) {
    return { reason: 'EndpointsNotFound', message: `cannot find endpointslices for ${about}` };
  }
  const portName = chosen.name ?? '';
  const isReady = slices.some(
    (slice) =>
      slice.ports?.some((one) => (one.name ?? '') === portName) &&
      slice.endpoints?.some(({ conditions, addresses }) => conditions?.ready !== false && addresses.length > 0),
  );
  if (!isReady) {
    return {
      reason: 'MissingEndpoints',
      message: `endpoints for ${about} have no addresses with port name ${JSON.stringify(portName)}`,
    };
  }
  return { host: service.spec?.clusterIP ?? '', port, servername };
}
