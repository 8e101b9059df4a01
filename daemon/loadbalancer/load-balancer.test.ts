import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import type { Node, Service, ServiceSpec } from '../apimachinery/types/core-v1.ts';
import { events, services } from '../apimachinery/types/resources.ts';
import { FakeClient } from '../client/fake-client.ts';
import { createSharedInformers } from '../client/shared-informers.ts';
import { createLogger } from '../log/logger.ts';
import { AddressPool } from './address-pool.ts';
import { announcingNode, candidatesFor, eligibleNodes } from './announcer.ts';
import { addressesOf } from './load-balancer-class.ts';
import { startLoadBalancerController } from './load-balancer-controller.ts';

const logger = createLogger('test', 'silent');

t.test('a pool is CIDRs without their edges, ranges and addresses', async (t) => {
  const pool = new AddressPool(['192.0.2.0/30', '198.51.100.7-198.51.100.8', '203.0.113.5', '2001:db8::/127']);
  const all: string[] = [];
  for (const family of [4, 6] as const)
    for (;;) {
      const address = pool.firstFree(family, (candidate) => all.includes(candidate));
      if (address === undefined) break;
      all.push(address);
    }
  t.same(all, ['192.0.2.1', '192.0.2.2', '198.51.100.7', '198.51.100.8', '203.0.113.5', '2001:db8::', '2001:db8::1']);
  for (const address of all) t.ok(pool.includes(address), address);
  for (const address of ['192.0.2.0', '192.0.2.3', '198.51.100.9', '2001:db8::2', 'host'])
    t.notOk(pool.includes(address), address);
});

t.test('what is no pool is refused by name', async (t) => {
  for (const entry of ['', 'ten', '10.0.0.0/33', '10.0.0.9-10.0.0.1', '10.0.0.1-2001:db8::1', '10.0.0.1-2-3'])
    t.throws(() => new AddressPool([entry]), /--load-balancer-pool: .* is not a CIDR/, entry);
});

t.test('the node that answers for an address changes only when it goes', async () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.ipV4(), names, fc.nat(), (address, nodes, pick) => {
      const chosen = announcingNode(address, nodes);
      const gone = nodes[pick % nodes.length];
      const after = announcingNode(address, nodes.filter((name) => name !== gone).reverse());
      return gone === chosen ? after !== chosen : after === chosen;
    }),
  );
});

t.test('only ready nodes announce, and for a Local policy only those with an endpoint', async (t) => {
  const node = (name: string, ready: string, labels = {}): Node => ({
    metadata: { name, labels },
    spec: {},
    status: { conditions: [{ type: 'Ready', status: ready }] },
  });
  const excluded = { 'node.kubernetes.io/exclude-from-external-load-balancers': '' };
  const eligible = eligibleNodes([
    node('a', 'True'),
    node('b', 'True'),
    node('c', 'Unknown'),
    node('d', 'True', excluded),
  ]);
  t.same(eligible, ['a', 'b']);
  const local: Service = { metadata: { name: 's' }, spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local' } };
  const slices = [
    {
      metadata: { name: 's' },
      addressType: 'IPv4',
      endpoints: [
        { addresses: ['10.0.0.1'], nodeName: 'b', conditions: { ready: true } },
        { addresses: ['10.0.0.2'], nodeName: 'a', conditions: { ready: false } },
      ],
    },
  ];
  t.same(candidatesFor(local, slices, eligible), ['b']);
  t.same(candidatesFor({ ...local, spec: { type: 'LoadBalancer' } }, slices, eligible), ['a', 'b']);
});

const service = (name: string, spec: ServiceSpec = {}): Service => ({
  metadata: { namespace: 'x', name },
  spec: { type: 'LoadBalancer', ...spec },
});

async function started(...seed: Service[]) {
  const client = new FakeClient();
  client.seed(services, ...seed);
  const informers = createSharedInformers(client, logger);
  const pool = ['10.9.0.1-10.9.0.2'];
  const controller = await startLoadBalancerController({ client, informers, pool, logger });
  t.teardown(async () => {
    await controller.stop();
    await informers.stop();
  });
  const get = (name: string): Promise<Service> => client.get(services, { namespace: 'x', name });
  /** Waits until the Service has these addresses; tap's own timeout ends a wait in vain. */
  const has = async (name: string, ...addresses: string[]): Promise<void> => {
    while (addressesOf(await get(name)).join() !== addresses.join()) await delay(5);
  };
  const said = async (reason: string): Promise<string> => {
    for (;;) {
      const event = (await client.list(events)).items.find((candidate) => candidate.reason === reason);
      if (event !== undefined) return event.message ?? '';
      await delay(5);
    }
  };
  return { client, get, has, said };
}

t.test('each Service gets one address, the one that it wishes for if that is free', async () => {
  const { client, has, said } = await started(service('wish', { loadBalancerIP: '10.9.0.2' }));
  await has('wish', '10.9.0.2');
  await client.create(services, service('any'));
  await has('any', '10.9.0.1');
  await said('EnsuredLoadBalancer');
});

t.test('an address that is taken, or not ours, is refused with an event', async (t) => {
  const { client, has, said } = await started(service('first', { loadBalancerIP: '10.9.0.1' }));
  await has('first', '10.9.0.1');
  await client.create(services, service('second', { loadBalancerIP: '10.9.0.1' }));
  t.equal(await said('SyncLoadBalancerFailed'), 'Error syncing load balancer: requested address 10.9.0.1 is in use');
});

t.test('who waits gets what is given back', async () => {
  const { client, has, said } = await started(service('a'), service('b'));
  await has('a', '10.9.0.1');
  await has('b', '10.9.0.2');
  await client.create(services, service('c'));
  await said('SyncLoadBalancerFailed');
  await client.delete(services, { namespace: 'x', name: 'a' });
  await has('c', '10.9.0.1');
});

t.test('another class is left alone, and a change of type gives the address back', async (t) => {
  const other = {
    ...service('other', { loadBalancerClass: 'cloud' }),
    status: { loadBalancer: { ingress: [{ ip: '192.0.2.9' }] } },
  };
  const { client, get, has, said } = await started(other, service('mine', { loadBalancerClass: 'balsa.io/pool' }));
  await has('mine', '10.9.0.1');
  await client.patch(services, { namespace: 'x', name: 'mine' }, { spec: { type: 'ClusterIP' } }, { type: 'merge' });
  await has('mine');
  await said('DeletedLoadBalancer');
  t.same(addressesOf(await get('other')), ['192.0.2.9']);
});
