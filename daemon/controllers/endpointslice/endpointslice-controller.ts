import { isApiError } from '../../apimachinery/api-error.ts';
import { isControlledBy, makeControllerReference } from '../../apimachinery/owner-reference.ts';
import type { Pod, Service } from '../../apimachinery/types/core-v1.ts';
import type { Endpoint, EndpointPort, EndpointSlice } from '../../apimachinery/types/discovery-v1.ts';
import { endpointslices, nodes, services } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { indexPodsByNode } from '../node/node-lifecycle.ts';
import { joinKey, objectKey } from '../object-key.ts';
import { messageOf } from '../workload/pod-control.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { groupByPorts, planSlices, type SliceContent } from './desired-slices.ts';
import { type AddressType, addressTypesOf, belongsInEndpoints, endpointPortsOf, podEndpoint } from './pod-endpoint.ts';
import { hasSelector, watchServices } from './service-selection.ts';
import { managedByLabel, serviceNameLabel, sliceLabels } from './slice-labels.ts';
import { formatTriggerTime, TriggerTimes, triggerTimeAnnotation } from './trigger-time.ts';
import { WrittenSlices } from './written-slices.ts';

const managedBy = 'endpointslice-controller.k8s.io';

/** Names of endpoint slices may have 63 characters; generateName adds five. */
const maxSlicePrefix = 63 - 5;

export function startEndpointSliceController(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('services', workers, reconcile);
  const sources = watchServices(context, (key) => queue.add(key));
  const triggerTimes = new TriggerTimes();
  const written = new WrittenSlices(() => context.now());
  const sliceChanged = (slice: EndpointSlice): void => {
    const service = serviceKeyOf(slice);
    if (service !== undefined) queue.add(service);
  };
  const slices = context.watch(endpointslices, {
    onAdd: sliceChanged,
    onUpdate: (slice, old) => {
      if (slice.metadata.resourceVersion !== old.metadata.resourceVersion) sliceChanged(slice);
    },
    onDelete: (slice) => {
      const service = serviceKeyOf(slice);
      if (service === undefined) return;
      written.gone(service, slice);
      queue.add(service);
    },
  });
  slices.addIndex('service', (slice) => [
    joinKey(slice.metadata.namespace, slice.metadata.labels?.[serviceNameLabel] ?? ''),
  ]);
  const podsOn = indexPodsByNode(sources.pods);
  const nodeInformer = context.watch(nodes, {
    onAdd: (node) => nodeChanged(node.metadata.name),
    onUpdate: (node, old) => {
      const zone = 'topology.kubernetes.io/zone';
      if (node.metadata.labels?.[zone] !== old.metadata.labels?.[zone]) nodeChanged(node.metadata.name);
    },
  });

  /** The zone of its endpoints may have changed, or become known. */
  function nodeChanged(name: string | undefined): void {
    for (const pod of podsOn(name ?? '')) sources.queueServicesOf(pod);
  }

  async function reconcile(key: string): Promise<void> {
    const service = sources.services.lister.get(key);
    if (service === undefined) {
      triggerTimes.forget(key);
      written.forget(key);
      return;
    }
    if (service.spec?.type === 'ExternalName' || !hasSelector(service) || isTerminating(service)) return;
    if (!written.shownBy(slices.lister, key)) {
      queue.addRateLimited(key);
      return;
    }
    const members = sources.podsOf(service);
    const trigger = triggerTimes.observe(key, service, members);
    const existing = slices.lister
      .byIndex('service', key)
      .filter((slice) => slice.metadata.labels?.[managedByLabel] === managedBy && !isTerminating(slice));
    try {
      await syncSlices(key, service, members, existing, trigger);
    } catch (error) {
      const message = `Error updating Endpoint Slices for Service ${key}: ${messageOf(error)}`;
      if (!isApiError(error, 'Conflict')) {
        context.event(services, service, 'Warning', 'FailedToUpdateEndpointSlices', message);
      }
      throw error;
    }
  }

  async function syncSlices(
    key: string,
    service: Service,
    members: readonly Pod[],
    existing: readonly EndpointSlice[],
    trigger: number | undefined,
  ): Promise<void> {
    const types = addressTypesOf(service);
    const foreign = existing.filter((slice) => !types.includes(slice.addressType as AddressType));
    await deleteSlices(key, foreign);
    for (const type of types) {
      const owned = existing.filter((slice) => slice.addressType === type);
      const plan = planSlices(owned, groupByPorts(endpointsOf(service, members, type)));
      const planned = new Set([...plan.update, ...plan.delete].map((slice) => slice.metadata.uid));
      const relabelled = owned.filter((slice) => !planned.has(slice.metadata.uid) && !isWellLabelled(slice, service));
      for (const content of plan.create) {
        written.wrote(key, await context.client.create(endpointslices, newSlice(service, type, content, trigger)));
      }
      for (const slice of [...plan.update, ...relabelled]) {
        written.wrote(key, await context.client.update(endpointslices, refreshedSlice(service, slice, trigger)));
      }
      await deleteSlices(key, plan.delete);
    }
  }

  function* endpointsOf(
    service: Service,
    members: readonly Pod[],
    type: AddressType,
  ): Iterable<{ ports: EndpointPort[]; endpoint: Endpoint }> {
    for (const pod of members) {
      if (!belongsInEndpoints(pod, true)) continue;
      const node = nodeInformer.lister.get(pod.spec?.nodeName ?? '');
      // A node that is gone takes its pods out of service, unless the Service wants them ready or not.
      if (node === undefined && service.spec?.publishNotReadyAddresses !== true) continue;
      const endpoint = podEndpoint(pod, node, service, type);
      if (endpoint !== undefined) yield { ports: endpointPortsOf(service, pod), endpoint };
    }
  }

  async function deleteSlices(key: string, doomed: readonly EndpointSlice[]): Promise<void> {
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

function serviceKeyOf(slice: EndpointSlice): string | undefined {
  const { labels, namespace } = slice.metadata;
  const service = labels?.[serviceNameLabel];
  return service === undefined || labels?.[managedByLabel] !== managedBy ? undefined : joinKey(namespace, service);
}

function isWellLabelled(slice: EndpointSlice, service: Service): boolean {
  const wanted = sliceLabels(service, managedBy);
  const labels = slice.metadata.labels ?? {};
  return (
    isControlledBy(slice, service) &&
    Object.keys(labels).length === Object.keys(wanted).length &&
    Object.entries(wanted).every(([name, value]) => labels[name] === value)
  );
}

function newSlice(
  service: Service,
  addressType: AddressType,
  content: SliceContent,
  trigger: number | undefined,
): EndpointSlice {
  const { name = '', namespace } = service.metadata;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      generateName: name.length + 1 > maxSlicePrefix ? name : `${name}-`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: sliceLabels(service, managedBy),
      ...(trigger === undefined ? {} : { annotations: { [triggerTimeAnnotation]: formatTriggerTime(trigger) } }),
      ownerReferences: [makeControllerReference(services, service)],
    },
    addressType,
    endpoints: content.endpoints,
    ports: content.ports,
  };
}

function refreshedSlice(service: Service, slice: EndpointSlice, trigger: number | undefined): EndpointSlice {
  const { [triggerTimeAnnotation]: _old, ...annotations } = slice.metadata.annotations ?? {};
  const owners = (slice.metadata.ownerReferences ?? []).filter((reference) => reference.controller !== true);
  return {
    ...slice,
    metadata: {
      ...slice.metadata,
      labels: sliceLabels(service, managedBy),
      annotations:
        trigger === undefined ? annotations : { ...annotations, [triggerTimeAnnotation]: formatTriggerTime(trigger) },
      ownerReferences: [...owners, makeControllerReference(services, service)],
    },
  };
}
