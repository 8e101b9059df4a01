import { isApiError } from '../../apimachinery/api-error.ts';
import { stableStringify } from '../../apimachinery/hash.ts';
import { keyOf, splitKey } from '../../apimachinery/object-key.ts';
import type { Endpoints, Service } from '../../apimachinery/types/core-v1.ts';
import { endpoints, services } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { isHeadless } from '../endpointslice/pod-endpoint.ts';
import { hasSelector, watchServices } from '../endpointslice/service-selection.ts';
import { headlessLabel } from '../endpointslice/slice-labels.ts';
import { formatTriggerTime, TriggerTimes, triggerTimeAnnotation } from '../endpointslice/trigger-time.ts';
import { isNamespaceTerminating, messageOf } from '../workload/pod-control.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { endpointSubsets } from './endpoint-subsets.ts';

const managedByLabel = 'endpoints.kubernetes.io/managed-by';
const managedBy = 'endpoint-controller';
const overCapacityAnnotation = 'endpoints.kubernetes.io/over-capacity';
/** On Endpoints that are really locks of leader elections, which no Service explains. */
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';

/** Keeps the Endpoints object of each Service with a selector: the older form of EndpointSlices. */
export function startEndpointsController(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('endpoint', workers, reconcile);
  const sources = watchServices(context, (key) => queue.add(key));
  const triggerTimes = new TriggerTimes();
  const informer = context.watch(endpoints, {
    // Left behind by a Service that was deleted while nobody looked.
    onAdd: (object) => {
      if (object.metadata.annotations?.[leaderAnnotation] === undefined) queue.add(keyOf(object));
    },
    onUpdate: (object, old) => {
      if (stableStringify(object.subsets) !== stableStringify(old.subsets)) queue.add(keyOf(object));
    },
    onDelete: (object) => queue.add(keyOf(object)),
  });

  async function reconcile(key: string): Promise<void> {
    const service = sources.services.lister.get(key);
    if (service === undefined) {
      triggerTimes.forget(key);
      await removeLeftover(key);
      return;
    }
    if (service.spec?.type === 'ExternalName' || !hasSelector(service) || isTerminating(service)) return;
    const members = sources.podsOf(service);
    const trigger = triggerTimes.observe(key, service, members);
    const { subsets, truncated } = endpointSubsets(service, members);
    const current = informer.lister.get(key);
    const wanted = desired(service, current, subsets, truncated);
    if (current !== undefined && sameEndpoints(current, wanted)) return;
    try {
      await write(current, withTrigger(wanted, trigger));
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      const message = `Failed to ${current === undefined ? 'create' : 'update'} endpoint ${key}: ${messageOf(error)}`;
      const subject = current ?? wanted;
      const reason = current === undefined ? 'FailedToCreateEndpoint' : 'FailedToUpdateEndpoint';
      if (!isApiError(error, 'Conflict')) context.event(endpoints, subject, 'Warning', reason, message);
      throw error;
    }
  }

  async function write(current: Endpoints | undefined, wanted: Endpoints): Promise<void> {
    if (current === undefined) await context.client.create(endpoints, wanted);
    else await context.client.update(endpoints, wanted);
  }

  async function removeLeftover(key: string): Promise<void> {
    const leftover = informer.lister.get(key);
    if (leftover === undefined || leftover.metadata.annotations?.[leaderAnnotation] !== undefined) return;
    try {
      // Asked for once more: the cache of services may be behind that of endpoints.
      await context.client.get(services, splitKey(key));
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
      await context.client.delete(endpoints, splitKey(key)).catch((failure: unknown) => {
        if (!isApiError(failure, 'NotFound')) throw failure;
      });
    }
  }
}

function desired(
  service: Service,
  current: Endpoints | undefined,
  subsets: Endpoints['subsets'],
  truncated: boolean,
): Endpoints {
  const { name, namespace } = service.metadata;
  const { [overCapacityAnnotation]: _old, ...annotations } = current?.metadata.annotations ?? {};
  const { [headlessLabel]: _headless, ...labels } = service.metadata.labels ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    ...current,
    metadata: {
      ...current?.metadata,
      ...(name === undefined ? {} : { name }),
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...labels, [managedByLabel]: managedBy, ...(isHeadless(service) ? { [headlessLabel]: '' } : {}) },
      annotations: truncated ? { ...annotations, [overCapacityAnnotation]: 'truncated' } : annotations,
    },
    ...(subsets === undefined || subsets.length === 0 ? { subsets: [] } : { subsets }),
  };
}

function sameEndpoints(a: Endpoints, b: Endpoints): boolean {
  const facts = ({ metadata, subsets }: Endpoints): string =>
    stableStringify([
      metadata.labels ?? {},
      metadata.annotations?.[overCapacityAnnotation],
      [...(subsets ?? [])].map((subset) => stableStringify(subset)).sort(),
    ]);
  return facts(a) === facts(b);
}

function withTrigger(object: Endpoints, trigger: number | undefined): Endpoints {
  const { [triggerTimeAnnotation]: _old, ...annotations } = object.metadata.annotations ?? {};
  const all =
    trigger === undefined ? annotations : { ...annotations, [triggerTimeAnnotation]: formatTriggerTime(trigger) };
  const { annotations: _all, ...metadata } = object.metadata;
  return { ...object, metadata: Object.keys(all).length === 0 ? metadata : { ...metadata, annotations: all } };
}
