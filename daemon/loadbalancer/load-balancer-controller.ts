import type { Service } from '../apimachinery/types/core-v1.ts';
import { services } from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';
import { createEventRecorder } from '../client/event-recorder.ts';
import type { SharedInformers } from '../client/informer.ts';
import { createWorkQueue } from '../client/work-queue.ts';
import type { Logger } from '../log/logger.ts';
import { AddressPool } from './address-pool.ts';
import { addressesOf, wantsAddress } from './load-balancer-class.ts';

export interface LoadBalancerControllerOptions {
  /** Acts as `system:serviceaccount:kube-system:service-controller`. */
  readonly client: ApiClient;
  readonly informers: SharedInformers;
  readonly pool: readonly string[];
  readonly logger: Logger;
}

/** What was asked for cannot be given now; tried again when something changes, and now and then. */
class AllocationError extends Error {
  override readonly name = 'AllocationError';
}

const retryMs = 30_000;

/**
 * Gives Services of type LoadBalancer addresses of the pool, one of each IP family they have, and takes them back. All that is
 * known about who has which is in the Services' status: a successor goes on from there. Run by the leader.
 */
export async function startLoadBalancerController(
  options: LoadBalancerControllerOptions,
): Promise<{ stop(): Promise<void> }> {
  const { client, informers, logger } = options;
  const pool = new AddressPool(options.pool);
  const informer = informers.informer(services);
  const recorder = createEventRecorder(client, { component: 'service-controller', logger });
  const queue = createWorkQueue('service', { logger });
  /** Given away by us and perhaps not seen in the cache yet. */
  const given = new Map<string, string>();

  const keyOf = (service: Service): string => `${service.metadata.namespace}/${service.metadata.name}`;
  const ownersOtherThan = (key: string): Set<string> => {
    const taken = new Set<string>();
    for (const service of informer.lister.list())
      if (keyOf(service) !== key) for (const address of addressesOf(service)) taken.add(address);
    for (const [address, owner] of given) if (owner !== key) taken.add(address);
    return taken;
  };
  const event = (service: Service, type: 'Normal' | 'Warning', reason: string, message: string): void =>
    recorder.event({ ...service, apiVersion: 'v1', kind: 'Service' }, type, reason, message);

  const chosen = (service: Service, key: string): string[] => {
    const taken = ownersOtherThan(key);
    const current = addressesOf(service);
    const wish = service.spec.loadBalancerIP;
    return (service.spec.ipFamilies ?? ['IPv4']).flatMap((name) => {
      const family = name === 'IPv6' ? 6 : 4;
      const isFamily = (address: string): boolean => address.includes(':') === (family === 6);
      if (wish !== undefined && wish !== '' && isFamily(wish)) {
        if (!pool.includes(wish)) throw new AllocationError(`requested address ${wish} is not in the pool`);
        if (taken.has(wish)) throw new AllocationError(`requested address ${wish} is in use`);
        return [wish];
      }
      const kept = current.find((address) => isFamily(address) && pool.includes(address) && !taken.has(address));
      const address = kept ?? pool.firstFree(family, (candidate) => taken.has(candidate));
      return address === undefined ? [] : [address];
    });
  };
  const write = async (service: Service, addresses: readonly string[]): Promise<void> => {
    const { namespace = '', name = '' } = service.metadata;
    const ingress = addresses.length === 0 ? null : addresses.map((ip) => ({ ip, ipMode: 'VIP' }));
    await client.patch(
      services,
      { namespace, name },
      { status: { loadBalancer: { ingress } } },
      { type: 'merge', subresource: 'status' },
    );
  };
  const release = (key: string, keep: readonly string[] = []): void => {
    let released = false;
    for (const [address, owner] of given)
      if (owner === key && !keep.includes(address)) released = given.delete(address) || released;
    if (released) retryWaiting();
  };
  const waiting = new Set<string>();
  const retryWaiting = (): void => {
    for (const key of waiting) queue.add(key);
  };

  const reconcile = async (key: string): Promise<void> => {
    const service = informer.lister.get(key);
    if (service === undefined) {
      waiting.delete(key);
      release(key);
      return;
    }
    const current = addressesOf(service);
    if (!wantsAddress(service)) {
      waiting.delete(key);
      // Another implementation's addresses are its own to take away; one that is being deleted keeps what it has until then.
      if (service.metadata.deletionTimestamp === undefined && current.some((address) => pool.includes(address))) {
        event(service, 'Normal', 'DeletingLoadBalancer', 'Deleting load balancer');
        await write(service, []);
        event(service, 'Normal', 'DeletedLoadBalancer', 'Deleted load balancer');
      }
      release(key);
      return;
    }
    let addresses: string[];
    try {
      addresses = chosen(service, key);
      if (addresses.length === 0) throw new AllocationError('no address of the pool is free');
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      if (!waiting.has(key))
        event(service, 'Warning', 'SyncLoadBalancerFailed', `Error syncing load balancer: ${error.message}`);
      waiting.add(key);
      queue.addAfter(key, retryMs);
      return;
    }
    waiting.delete(key);
    for (const address of addresses) given.set(address, key);
    if (addresses.join() !== current.join()) {
      event(service, 'Normal', 'EnsuringLoadBalancer', 'Ensuring load balancer');
      await write(service, addresses);
      event(service, 'Normal', 'EnsuredLoadBalancer', 'Ensured load balancer');
    }
    release(key, addresses);
  };
  const unsubscribe = informer.addHandler({
    onAdd: (service) => queue.add(keyOf(service)),
    onUpdate: (service) => queue.add(keyOf(service)),
    onDelete: (service) => queue.add(keyOf(service)),
  });
  await informers.start();
  // One worker: two Services never choose at the same time.
  queue.run(reconcile, 1);
  return {
    async stop() {
      unsubscribe();
      await queue.shutDown();
      await recorder.flush();
    },
  };
}
