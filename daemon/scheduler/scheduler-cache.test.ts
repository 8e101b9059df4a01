import fc from 'fast-check';
import t from 'tap';
import { matchLabels } from '../apimachinery/label-selector.ts';
import type { Node, Pod } from '../apimachinery/types/core-v1.ts';
import { podInfoOf, termMatches } from './pod-info.ts';
import { SchedulerCache } from './scheduler-cache.ts';

const nodeOf = (name: string, zone: string | undefined): Node => ({
  metadata: { name, labels: { ...(zone === undefined ? {} : { zone }) } },
  spec: {},
  status: { allocatable: { cpu: '4', memory: '4Gi', pods: '10' } },
});

const antiAffinity = {
  podAntiAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: [
      { labelSelector: { matchLabels: { app: 'a' } }, topologyKey: 'zone' },
    ],
  },
};

const podOf = (name: string, app: string, nodeName: string, affine: boolean, leaving: boolean): Pod => ({
  metadata: {
    name,
    namespace: 'x',
    uid: name,
    labels: { app },
    ...(leaving ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
  },
  spec: {
    nodeName,
    priority: app === 'a' ? 1 : 2,
    containers: [
      {
        name: 'c',
        resources: { requests: { cpu: '100m', memory: '1Mi' } },
        ports: [{ containerPort: 1, hostPort: 80 }],
      },
    ],
    ...(affine ? { affinity: antiAffinity } : {}),
  },
});

t.test('counts kept up to date are those of counting afresh', async () => {
  const step = fc.oneof(
    fc.record({
      do: fc.constantFrom('set' as const, 'assume' as const),
      pod: fc.constantFrom('p1', 'p2', 'p3', 'p4'),
      app: fc.constantFrom('a', 'b'),
      node: fc.constantFrom('n1', 'n2', 'n3'),
      affine: fc.boolean(),
      leaving: fc.boolean(),
    }),
    fc.record({
      do: fc.constantFrom('remove' as const, 'forget' as const),
      pod: fc.constantFrom('p1', 'p2', 'p3', 'p4'),
    }),
    fc.record({
      do: fc.constant('node' as const),
      node: fc.constantFrom('n1', 'n2', 'n3'),
      zone: fc.constantFrom('z1', 'z2', undefined),
    }),
    fc.record({ do: fc.constant('gone' as const), node: fc.constantFrom('n1', 'n2', 'n3') }),
    fc.record({ do: fc.constant('ask' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const cache = new SchedulerCache();
      const placed = new Map<string, { pod: Pod; node: string; assumed: boolean }>();
      const zones = new Map<string, string | undefined>();
      const selector = matchLabels({ app: 'a' });
      const check = (): boolean => {
        const expected = (withLeaving: boolean, match: (pod: Pod) => boolean) => {
          const byNode = new Map<string, number>();
          const byZone = new Map<string, number>();
          for (const { pod, node } of placed.values()) {
            if (match(pod) && (withLeaving || pod.metadata.deletionTimestamp === undefined)) {
              byNode.set(node, (byNode.get(node) ?? 0) + 1);
              const zone = zones.get(node);
              if (zone !== undefined) {
                byZone.set(zone, (byZone.get(zone) ?? 0) + 1);
              }
            }
          }
          return [[...byNode].sort(), [...byZone].sort()];
        };
        for (const withLeaving of [true, false]) {
          const counts = cache.counts.of('x', selector, withLeaving);
          const got = [[...counts.byNode].sort(), [...counts.byLabel('zone')].sort()];
          if (
            JSON.stringify(got) !== JSON.stringify(expected(withLeaving, (pod) => pod.metadata.labels?.['app'] === 'a'))
          ) {
            return false;
          }
        }
        const groups = [...cache.terms.of('requiredAntiAffinity')];
        const affine = expected(true, (pod) => pod.spec.affinity !== undefined);
        const got = groups.map(({ counts }) => [[...counts.byNode].sort(), [...counts.byLabel('zone')].sort()]);
        if (JSON.stringify(got) !== JSON.stringify(affine[0]!.length === 0 ? [] : [affine])) {
          return false;
        }
        for (const [name, zone] of zones) {
          const info = cache.node(name);
          const here = [...placed.values()].filter(({ node }) => node === name);
          if (
            info?.label('zone') !== zone ||
            info?.requested.milliCpu !== here.length * 100 ||
            info.pods.size !== here.length ||
            info.portTaken({ ip: '0.0.0.0', protocol: 'TCP', port: 80 }) !== here.length > 0
          ) {
            return false;
          }
        }
        const least = Math.min(...[...placed.values()].map(({ pod }) => pod.spec.priority ?? 0));
        return (
          cache.nodes.length === zones.size &&
          cache.podCount === placed.size &&
          cache.hasBelow(2) === least < 2 &&
          cache.assumedCount === [...placed.values()].filter(({ assumed }) => assumed).length
        );
      };
      for (const action of steps) {
        if (action.do === 'set' || action.do === 'assume') {
          const pod = podOf(action.pod, action.app, action.node, action.affine, action.leaving);
          if (action.do === 'set') {
            cache.setPod(pod);
          } else {
            cache.assume(podInfoOf(pod), action.node);
          }
          placed.set(action.pod, { pod, node: action.node, assumed: action.do === 'assume' });
        } else if (action.do === 'remove') {
          cache.removePod(action.pod);
          placed.delete(action.pod);
        } else if (action.do === 'forget') {
          cache.forget(action.pod);
          if (placed.get(action.pod)?.assumed === true) {
            placed.delete(action.pod);
          }
        } else if (action.do === 'node') {
          cache.setNode(nodeOf(action.node, action.zone));
          zones.set(action.node, action.zone);
        } else if (action.do === 'gone') {
          cache.removeNode(action.node);
          zones.delete(action.node);
        } else if (!check()) {
          return false;
        }
      }
      return check();
    }),
    { numRuns: 300 },
  );
});

t.test('nodes of different zones come in turn', async (t) => {
  const cache = new SchedulerCache();
  for (const [name, zone] of [
    ['a1', 'a'],
    ['a2', 'a'],
    ['a3', 'a'],
    ['b1', 'b'],
  ] as const) {
    cache.setNode({ ...nodeOf(name, undefined), metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } } });
  }
  t.same(
    cache.nodes.map(({ name }) => name),
    ['a1', 'b1', 'a2', 'a3'],
  );
});

t.test('what a pod requests', async (t) => {
  const container = (cpu: string, restartPolicy?: string) => ({
    name: 'c',
    resources: { requests: { cpu } },
    ...(restartPolicy === undefined ? {} : { restartPolicy }),
  });
  const cpuOf = (spec: Partial<Pod['spec']>): number =>
    podInfoOf({ metadata: { name: 'p' }, spec: { containers: [container('100m')], ...spec } }).requests.milliCpu;
  t.equal(cpuOf({ containers: [container('100m'), container('250m')] }), 350);
  t.equal(cpuOf({ initContainers: [container('1')] }), 1000, 'an init container runs alone');
  t.equal(cpuOf({ initContainers: [container('50m')] }), 100);
  t.equal(cpuOf({ initContainers: [container('50m', 'Always')] }), 150, 'a sidecar stays');
  t.equal(cpuOf({ initContainers: [container('50m', 'Always'), container('200m')] }), 250, 'and is there before');
  t.equal(cpuOf({ initContainers: [container('200m'), container('50m', 'Always')] }), 200, 'but not earlier');
  t.equal(cpuOf({ overhead: { cpu: '10m' } }), 110);
  t.equal(cpuOf({ resources: { requests: { cpu: '2' } } }), 2000, 'the pod as a whole goes before its parts');
  const info = podInfoOf({ metadata: { name: 'p' }, spec: { containers: [{ name: 'c' }] } });
  t.equal(info.nonZeroMilliCpu, 100);
  t.equal(info.nonZeroMemory, 200 * 2 ** 20);
  const gpu = { name: 'c', resources: { requests: { 'example.com/gpu': '2' } } };
  const wanting = podInfoOf({ metadata: { name: 'p' }, spec: { containers: [gpu] } });
  t.same([...(wanting.requests.scalar ?? [])], [['example.com/gpu', 2]]);
});

t.test('whom a term means', async (t) => {
  const other = (namespace: string): Pod => ({
    metadata: { name: 'o', namespace, labels: { app: 'a' } },
    spec: { containers: [] },
  });
  const termOf = (more: object) => {
    const term = { topologyKey: 'zone', labelSelector: { matchLabels: { app: 'a' } }, ...more };
    const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
    return podInfoOf({ metadata: { name: 'p', namespace: 'x' }, spec: { containers: [], affinity } })
      .requiredAffinity[0]!;
  };
  t.ok(termMatches(termOf({}), other('x'), undefined), 'its own namespace');
  t.notOk(termMatches(termOf({}), other('y'), undefined));
  t.ok(termMatches(termOf({ namespaces: ['y'] }), other('y'), undefined));
  t.notOk(termMatches(termOf({ namespaces: ['y'] }), other('x'), undefined));
  t.ok(termMatches(termOf({ namespaceSelector: {} }), other('y'), {}), 'all namespaces');
  t.ok(termMatches(termOf({ namespaceSelector: { matchLabels: { team: 'a' } } }), other('y'), { team: 'a' }));
  t.notOk(termMatches(termOf({ namespaceSelector: { matchLabels: { team: 'a' } } }), other('x'), {}));
});
