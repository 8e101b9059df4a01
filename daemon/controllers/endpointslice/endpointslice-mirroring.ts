import { isIPv6 } from 'node:net';
import { isApiError } from '../../apimachinery/api-error.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import { makeControllerReference } from '../../apimachinery/owner-reference.ts';
import type { EndpointAddress, EndpointSubset, Endpoints, Service } from '../../apimachinery/types/core-v1.ts';
import type { Endpoint, EndpointPort, EndpointSlice } from '../../apimachinery/types/discovery-v1.ts';
import { endpoints, endpointslices, services } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { joinKey, objectKey } from '../object-key.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { groupByPorts, planSlices, type SliceContent } from './desired-slices.ts';
import type { AddressType } from './pod-endpoint.ts';
import { hasSelector } from './service-selection.ts';
import { managedByLabel, serviceNameLabel } from './slice-labels.ts';
import { WrittenSlices } from './written-slices.ts';

const managedBy = 'endpointslicemirroring-controller.k8s.io';
/** On Endpoints that are not to be mirrored. */
const skipMirrorLabel = 'endpointslice.kubernetes.io/skip-mirror';
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
/** The most addresses of one subset that are mirrored. */
const maxMirroredPerSubset = 1000;

/** Shows Endpoints that users write for Services without a selector as EndpointSlices, which is what consumers read. */
export function startEndpointSliceMirroring(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('endpoint_slice_mirroring', workers, reconcile);
  const written = new WrittenSlices(() => context.now());
  const enqueue = <T extends Endpoints | Service>(object: T): void => queue.add(keyOf(object));
  const endpointsInformer = context.watch(endpoints, { onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
  const serviceInformer = context.watch(services, { onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
  const sliceChanged = (slice: EndpointSlice): void => {
    if (slice.metadata.labels?.[managedByLabel] !== managedBy) return;
    queue.add(joinKey(slice.metadata.namespace, slice.metadata.labels[serviceNameLabel] ?? ''));
  };
  const slices = context.watch(endpointslices, { onUpdate: sliceChanged, onDelete: sliceChanged });
  slices.addIndex('service', (slice) => [
    joinKey(slice.metadata.namespace, slice.metadata.labels?.[serviceNameLabel] ?? ''),
  ]);

  async function reconcile(key: string): Promise<void> {
    if (!written.shownBy(slices.lister, key)) {
      queue.addRateLimited(key);
      return;
    }
    const source = endpointsInformer.lister.get(key);
    const service = serviceInformer.lister.get(key);
    const existing = slices.lister
      .byIndex('service', key)
      .filter((slice) => slice.metadata.labels?.[managedByLabel] === managedBy && !isTerminating(slice));
    const mirrored = source !== undefined && service !== undefined && !hasSelector(service) && isMirrored(source);
    for (const type of ['IPv4', 'IPv6'] as const) {
      const owned = existing.filter((slice) => slice.addressType === type);
      const members = mirrored ? [...membersOf(source, type)] : [];
      if (!mirrored || members.length === 0) await remove(key, owned);
      else await write(key, source, type, owned, members);
    }
  }

  async function write(
    key: string,
    source: Endpoints,
    type: AddressType,
    owned: readonly EndpointSlice[],
    members: readonly { ports: EndpointPort[]; endpoint: Endpoint }[],
  ): Promise<void> {
    const plan = planSlices(owned, groupByPorts(members));
    for (const content of plan.create) {
      written.wrote(key, await context.client.create(endpointslices, newSlice(source, type, content)));
    }
    for (const slice of plan.update) written.wrote(key, await context.client.update(endpointslices, slice));
    await remove(key, plan.delete);
  }

  async function remove(key: string, doomed: readonly EndpointSlice[]): Promise<void> {
    for (const slice of doomed) {
      try {
        await context.client.delete(endpointslices, objectKey(slice));
        written.wrote(key, slice, true);
      } catch (error) {
        if (!isApiError(error, 'NotFound')) throw error;
      }
    }
  }
}

function isMirrored({ metadata }: Endpoints): boolean {
  return (
    metadata.labels?.[skipMirrorLabel] !== 'true' &&
    metadata.annotations?.[leaderAnnotation] === undefined &&
    metadata.deletionTimestamp === undefined
  );
}

function* membersOf(source: Endpoints, type: AddressType): Iterable<{ ports: EndpointPort[]; endpoint: Endpoint }> {
  for (const subset of source.subsets ?? []) {
    const ports = portsOf(subset);
    let count = 0;
    for (const [addresses, ready] of [
      [subset.addresses ?? [], true],
      [subset.notReadyAddresses ?? [], false],
    ] as const) {
      for (const address of addresses) {
        if (isIPv6(address.ip) !== (type === 'IPv6') || count >= maxMirroredPerSubset) continue;
        count++;
        yield { ports, endpoint: endpointOf(address, ready) };
      }
    }
  }
}

function portsOf({ ports = [] }: EndpointSubset): EndpointPort[] {
  return ports.map(({ name = '', port, protocol = 'TCP', appProtocol }) => ({
    name,
    port,
    protocol,
    ...(appProtocol === undefined ? {} : { appProtocol }),
  }));
}

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(targetRef === undefined ? {} : { targetRef }),
  };
}

function newSlice(source: Endpoints, addressType: AddressType, content: SliceContent): EndpointSlice {
  const { name = '', namespace, labels, annotations } = source.metadata;
  const { [lastApplied]: _applied, ...copied } = annotations ?? {};
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      generateName: `${name}-`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...labels, [serviceNameLabel]: name, [managedByLabel]: managedBy },
      annotations: copied,
      ownerReferences: [makeControllerReference(endpoints, source)],
    },
    addressType,
    endpoints: content.endpoints,
    ports: content.ports,
  };
}
