import { isApiError } from '../../apimachinery/api-error.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Endpoints } from '../../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../../apimachinery/types/discovery-v1.ts';
import type { Logger } from '../../log/logger.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { Registry } from '../registry/registry.ts';
import { ensure, reconcile } from './bootstrap.ts';
import { ServerLeases } from './server-leases.ts';

/** The first address of a range: what the `kubernetes` service has. */
export function firstAddress(cidr: string): string {
  const [base = '', bits = ''] = cidr.split('/');
  if (base.includes(':'))
    return base.endsWith('::')
      ? `${base}1`
      : base.replace(/[0-9a-f]+$/i, (last) => (Number.parseInt(last, 16) + 1).toString(16));
  const address = base.split('.').reduce((value, part) => value * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(address / size) * size + 1;
  return [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.');
}

export interface ServiceAddress {
  readonly serviceCidr: string;
  readonly advertiseAddress: string;
  readonly port: number;
}

const labels = { component: 'apiserver', provider: 'kubernetes' };

/** `default/kubernetes`: the API itself as a service; its endpoints are the servers that live. */
async function publishKubernetesService(
  registry: Registry,
  { serviceCidr, port }: ServiceAddress,
  leases: ServerLeases,
): Promise<void> {
  await ensure(registry, '', 'v1', 'services', {
    metadata: { name: 'kubernetes', namespace: 'default', labels },
    spec: {
      type: 'ClusterIP',
      clusterIP: firstAddress(serviceCidr),
      sessionAffinity: 'None',
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: port }],
    },
  } as KubernetesObject);
  await leases.renew();
  await setEndpoints(registry, await leases.live(), port);
}

/** Takes this server out of the endpoints, as it does when it stops in order. */
async function withdrawKubernetesService(registry: Registry, leases: ServerLeases, port: number): Promise<void> {
  await leases.withdraw();
  await setEndpoints(registry, await leases.live(), port);
}

/** As often as kube-apiserver: a dead server is out of the endpoints within this and the time of its lease. */
const repairMs = 10_000;

/**
 * Publishes the service, puts it back when someone takes it away, and takes dead servers out of it. `stop` withdraws this
 * server.
 */
export async function maintainKubernetesService(
  registry: Registry,
  address: ServiceAddress,
  logger: Logger,
): Promise<{ stop(): Promise<void> }> {
  const leases = new ServerLeases(registry.store, address.advertiseAddress);
  const publish = () =>
    publishKubernetesService(registry, address, leases).catch((error: unknown) =>
      // Such as a loopback address: the API itself serves all the same.
      logger.error({ err: error }, 'cannot publish the service default/kubernetes'),
    );
  let publishing = publish();
  await publishing;
  const timer = setInterval(() => {
    publishing = publishing.then(publish);
  }, repairMs);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      // What is under way must not put this server back.
      await publishing;
      await withdrawKubernetesService(registry, leases, address.port).catch((error: unknown) =>
        logger.warn({ err: error }, 'cannot withdraw the service default/kubernetes'),
      );
    },
  };
}

async function setEndpoints(registry: Registry, addresses: readonly string[], port: number): Promise<void> {
  const ports = [{ name: 'https', port, protocol: 'TCP' }];
  const subsets = addresses.length === 0 ? [] : [{ addresses: addresses.map((ip) => ({ ip })), ports }];
  const endpoints: Endpoints = {
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' },
    },
    subsets,
  };
  const slice: EndpointSlice = {
    metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: addresses[0]?.includes(':') ? 'IPv6' : 'IPv4',
    ports,
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  };
  try {
    await reconcile(registry, '', 'v1', 'endpoints', endpoints, (current) => {
      const next = cloneObject(current) as Endpoints;
      next.subsets = subsets;
      return next;
    });
    await reconcile(registry, 'discovery.k8s.io', 'v1', 'endpointslices', slice, (current) => {
      const next = cloneObject(current) as EndpointSlice;
      next.endpoints = slice.endpoints;
      next.ports = ports;
      return next;
    });
  } catch (error) {
    if (!isApiError(error, 'NotFound')) throw error;
  }
}
