import type { Namespace, Service } from '../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import { endpointslices, namespaces, services } from '../apimachinery/types/resources.ts';
import type { Informer, SharedInformers } from '../client/informer.ts';

const serviceNameLabel = 'kubernetes.io/service-name';

/** What of the cluster has names. */
export interface ClusterView {
  hasNamespace(name: string): boolean;
  service(namespace: string, name: string): Service | undefined;
  slicesOf(namespace: string, service: string): readonly EndpointSlice[];
  servicesByIp(ip: string): readonly Service[];
  slicesByIp(ip: string): readonly EndpointSlice[];
  /** Changes with every change of what is seen. */
  readonly serial: number;
}

export function slicesService(slice: EndpointSlice): string | undefined {
  return slice.metadata.labels?.[serviceNameLabel];
}

/** A view kept fresh by informers, with an index for each question. */
export class InformedClusterView implements ClusterView {
  readonly #services: Informer<Service>;
  readonly #slices: Informer<EndpointSlice>;
  readonly #namespaces: Informer<Namespace>;
  readonly #stop: (() => void)[];
  #serial = Math.floor(Date.now() / 1000);

  constructor(informers: SharedInformers) {
    this.#services = informers.informer(services);
    this.#slices = informers.informer(endpointslices);
    this.#namespaces = informers.informer(namespaces);
    this.#services.addIndex('dns-ip', serviceIps);
    this.#slices.addIndex('dns-service', (slice) => {
      const service = slicesService(slice);
      return service === undefined ? [] : [`${slice.metadata.namespace ?? ''}/${service}`];
    });
    this.#slices.addIndex('dns-ip', (slice) => [
      ...new Set((slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses)),
    ]);
    const changed = () => {
      this.#serial = Math.max(this.#serial + 1, Math.floor(Date.now() / 1000));
    };
    const handler = { onAdd: changed, onUpdate: changed, onDelete: changed };
    this.#stop = [this.#services.addHandler(handler), this.#slices.addHandler(handler)];
  }

  get serial(): number {
    return this.#serial;
  }

  hasNamespace(name: string): boolean {
    return this.#namespaces.lister.get(name) !== undefined;
  }

  service(namespace: string, name: string): Service | undefined {
    return this.#services.lister.get(`${namespace}/${name}`);
  }

  slicesOf(namespace: string, service: string): readonly EndpointSlice[] {
    return this.#slices.lister.byIndex('dns-service', `${namespace}/${service}`);
  }

  servicesByIp(ip: string): readonly Service[] {
    return this.#services.lister.byIndex('dns-ip', ip);
  }

  slicesByIp(ip: string): readonly EndpointSlice[] {
    return this.#slices.lister.byIndex('dns-ip', ip);
  }

  stop(): void {
    for (const stop of this.#stop) stop();
  }
}

function serviceIps(service: Service): string[] {
  const spec = service.spec;
  const ips = spec?.clusterIPs ?? (spec?.clusterIP === undefined ? [] : [spec.clusterIP]);
  return ips.filter((ip) => ip !== '' && ip !== 'None');
}
