import fc from 'fast-check';
import t from 'tap';
import { nodes } from '../../apimachinery/types/resources.ts';
import { TestCluster } from '../testing/test-cluster.ts';
import { CidrSet } from './cidr-set.ts';

t.test('hands out blocks in turn, skips those taken, reuses those freed', async (t) => {
  const set = new CidrSet('10.244.0.0/16', 24);
  t.equal(set.allocate(), '10.244.0.0/24');
  set.occupy('10.244.1.0/24');
  t.equal(set.allocate(), '10.244.2.0/24');
  set.release('10.244.0.0/24');
  t.equal(set.allocate(), '10.244.3.0/24', 'not at once');
  t.notOk(set.occupy('192.168.0.0/24'), 'outside');
  t.equal(new CidrSet('fd00:10:244::/48', 64).allocate(), 'fd00:10:244::/64');
  const v6 = new CidrSet('fd00:10:244::/48', 64);
  v6.allocate();
  t.equal(v6.allocate(), 'fd00:10:244:1::/64');
  t.throws(() => new CidrSet('10.0.0.0/16', 8), RangeError);
  t.throws(() => new CidrSet('10.0.0.0', 24), RangeError);
});

t.test('property: no block is given out twice, and all are given out', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 6 }), fc.array(fc.integer({ min: 0, max: 63 })), (extra, taken) => {
      const set = new CidrSet('10.0.0.0/18', 18 + extra);
      const count = 2 ** extra;
      const occupied = new Set(taken.map((i) => i % count));
      const width = 2 ** (14 - extra);
      for (const i of occupied) set.occupy(`10.0.${Math.floor((i * width) / 256)}.${(i * width) % 256}/${18 + extra}`);
      const given = new Set<string>();
      for (let cidr = set.allocate(); cidr !== undefined; cidr = set.allocate()) {
        if (given.has(cidr)) return false;
        given.add(cidr);
      }
      return given.size === count - occupied.size;
    }),
  );
});

t.test('every node gets its own range, also after a restart', async (t) => {
  const cluster = new TestCluster({ controllers: ['node-ipam-controller'], clusterPodCidr: '10.244.0.0/16,fd00::/48' });
  cluster.seedNode('a');
  const taken = cluster.seedNode('b');
  await cluster.client.update(nodes, {
    ...taken,
    spec: { podCIDR: '10.244.0.0/24', podCIDRs: ['10.244.0.0/24', 'fd00::/64'] },
  });
  await cluster.start();
  t.match((await cluster.get(nodes, 'a')).spec, {
    podCIDR: '10.244.1.0/24',
    podCIDRs: ['10.244.1.0/24', 'fd00:0:0:1::/64'],
  });
  await cluster.restart();
  cluster.seedNode('c');
  await cluster.settle();
  t.equal((await cluster.get(nodes, 'c')).spec?.podCIDR, '10.244.2.0/24');
  await cluster.stop();
});

t.test('says so when the network is used up', async (t) => {
  const cluster = new TestCluster({ controllers: ['node-ipam-controller'], clusterPodCidr: '10.244.0.0/24' });
  cluster.seedNode('a');
  cluster.seedNode('b');
  await cluster.start();
  t.same(await cluster.eventTexts(), ['CIDRNotAvailable Node b status is now: CIDRNotAvailable']);
  await cluster.client.delete(nodes, { name: 'a' });
  await cluster.advance(5);
  t.equal((await cluster.get(nodes, 'b')).spec?.podCIDR, '10.244.0.0/24');
  await cluster.stop();
});
