import fc from 'fast-check';
import t from 'tap';
import type { Endpoint, EndpointPort, EndpointSlice } from '../../apimachinery/types/discovery-v1.ts';
import { groupByPorts, isPlaceholder, maxEndpointsPerSlice, planSlices, portsKey } from './desired-slices.ts';

const ports: EndpointPort[][] = [
  [{ name: 'a', port: 1 }],
  [
    { name: 'a', port: 2 },
    { name: 'b', port: 3 },
  ],
];

const endpoint = (pod: number, ready = true): Endpoint => ({
  addresses: [`10.0.${Math.floor(pod / 256)}.${pod % 256}`],
  conditions: { ready },
  targetRef: { kind: 'Pod', name: `p${pod}`, uid: `u${pod}` },
});

let made = 0;
const slice = (content: Pick<EndpointSlice, 'ports' | 'endpoints'>): EndpointSlice => ({
  metadata: { name: `s${made}`, uid: `s${made++}` },
  addressType: 'IPv4',
  ...content,
});

/** The slices after a plan has been carried out. */
function carryOut(existing: readonly EndpointSlice[], plan: ReturnType<typeof planSlices>): EndpointSlice[] {
  const gone = new Set(plan.delete.map(({ metadata }) => metadata.uid));
  const updated = new Map(plan.update.map((each) => [each.metadata.uid, each]));
  return [
    ...existing.filter(({ metadata }) => !gone.has(metadata.uid)).map((each) => updated.get(each.metadata.uid) ?? each),
    ...plan.create.map(slice),
  ];
}

const contents = (slices: readonly EndpointSlice[]): string[] =>
  slices.flatMap((each) => (each.endpoints ?? []).map((e) => `${portsKey(each.ports)} ${JSON.stringify(e)}`)).sort();

/** Which pods there are, which ports each has, which are ready. */
const population = fc.array(fc.record({ pod: fc.nat(400), set: fc.nat(1), ready: fc.boolean() }), { maxLength: 300 });

function membersOf(people: readonly { pod: number; set: number; ready: boolean }[]) {
  const byPod = new Map(people.map((each) => [each.pod, each]));
  return [...byPod.values()].map(({ pod, set, ready }) => ({
    ports: ports[set] ?? [],
    endpoint: endpoint(pod, ready),
  }));
}

t.test('property: from any slices to any endpoints in one plan, and then nothing more to do', async () => {
  fc.assert(
    fc.property(population, population, population, (first, second, third) => {
      let slices: EndpointSlice[] = [];
      for (const people of [first, second, third]) {
        const members = membersOf(people);
        slices = carryOut(slices, planSlices(slices, groupByPorts(members)));
        const wanted = members.map((m) => `${portsKey(m.ports)} ${JSON.stringify(m.endpoint)}`).sort();
        if (JSON.stringify(contents(slices)) !== JSON.stringify(wanted)) return false;
        if (slices.some((each) => (each.endpoints ?? []).length > maxEndpointsPerSlice)) return false;
        if (members.length === 0 && !(slices.length === 1 && isPlaceholder(slices[0]!))) return false;
        if (members.length > 0 && slices.some((each) => (each.endpoints ?? []).length === 0)) return false;
        const again = planSlices(slices, groupByPorts(members));
        if (again.create.length + again.update.length + again.delete.length > 0) return false;
      }
      return true;
    }),
  );
});

t.test('property: one changed pod costs one write', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 350 }), fc.nat(349), (count, which) => {
      const members = Array.from({ length: count }, (_, pod) => ({ ports: ports[0]!, endpoint: endpoint(pod) }));
      const slices = carryOut([], planSlices([], groupByPorts(members)));
      const changed = members.map((m, i) => (i === which % count ? { ...m, endpoint: endpoint(i, false) } : m));
      const plan = planSlices(slices, groupByPorts(changed));
      return plan.update.length === 1 && plan.create.length === 0 && plan.delete.length === 0;
    }),
  );
});

t.test('a new endpoint goes into the fullest slice that has room', async (t) => {
  const full = Array.from({ length: 100 }, (_, i) => endpoint(i));
  const half = Array.from({ length: 50 }, (_, i) => endpoint(100 + i));
  const few = [endpoint(200)];
  const slices = [full, half, few].map((endpoints) => slice({ ports: ports[0]!, endpoints }));
  const plan = planSlices(slices, [{ ports: ports[0]!, endpoints: [...full, ...half, ...few, endpoint(300)] }]);
  t.equal(plan.update.length, 1);
  t.equal(plan.update[0]?.metadata.uid, slices[1]?.metadata.uid);
  t.equal(plan.update[0]?.endpoints?.length, 51);
});
