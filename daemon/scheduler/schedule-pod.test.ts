import fc from 'fast-check';
import t from 'tap';
import type { KubernetesObject } from '../apimachinery/resource.ts';
import type { Node, Pod, PodAffinityTerm, PodSpec } from '../apimachinery/types/core-v1.ts';
import { FakeClient } from '../client/fake-client.ts';
import { IndexedCache } from '../client/indexed-cache.ts';
import type { Informer } from '../client/informer.ts';
import { NominatedPods } from './nominated-pods.ts';
import type { Cycle } from './plugin.ts';
import { defaultPlugins } from './plugins.ts';
import { podInfoOf } from './pod-info.ts';
import { findPreemption } from './preemption.ts';
import { enoughNodes, PodPlacer } from './schedule-pod.ts';
import { SchedulerCache } from './scheduler-cache.ts';
import type { SchedulerListers } from './scheduler-listers.ts';

function noObjects<T extends KubernetesObject>(): Informer<T> {
  return { lister: new IndexedCache<T>(), hasSynced: () => true, addHandler: () => () => {}, addIndex: () => {} };
}

const listers: SchedulerListers = {
  namespaces: noObjects(),
  services: noObjects(),
  replicaSets: noObjects(),
  statefulSets: noObjects(),
  volumes: noObjects(),
  claims: noObjects(),
  storageClasses: noObjects(),
  disruptionBudgets: noObjects(),
};
const client = new FakeClient();

interface World {
  readonly nodes: readonly Node[];
  readonly placed: readonly Pod[];
}

const hostname = 'kubernetes.io/hostname';
const anyNode = fc.record({
  cpu: fc.integer({ min: 0, max: 6 }),
  zone: fc.constantFrom('a', 'b', undefined),
  cordoned: fc.constantFrom(false, false, true),
  tainted: fc.constantFrom(false, false, true),
});

const term = fc.record({
  labelSelector: fc.record({ matchLabels: fc.record({ app: fc.constantFrom('a', 'b') }) }),
  topologyKey: fc.constantFrom(hostname, 'zone'),
});
const terms = fc.array(term, { maxLength: 2 });

const anyPod = fc.record({
  app: fc.constantFrom('a', 'b'),
  cpu: fc.integer({ min: 0, max: 3 }),
  priority: fc.integer({ min: 0, max: 2 }),
  hostPort: fc.constantFrom(undefined, undefined, 80),
  tolerates: fc.boolean(),
  zone: fc.constantFrom(undefined, undefined, undefined, 'a'),
  near: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: terms }),
  apart: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: terms }),
  spread: fc.constantFrom(undefined, undefined, 'zone', hostname),
});

function makeNode(
  i: number,
  { cpu, zone, cordoned, tainted }: typeof anyNode extends fc.Arbitrary<infer N> ? N : never,
): Node {
  const name = `n${i}`;
  return {
    metadata: { name, labels: { [hostname]: name, ...(zone === undefined ? {} : { zone }) } },
    spec: {
      ...(cordoned ? { unschedulable: true } : {}),
      ...(tainted ? { taints: [{ key: 'k', effect: 'NoSchedule' }] } : {}),
    },
    status: { allocatable: { cpu: String(cpu), memory: '1Gi', pods: '4' } },
  };
}

function makePod(i: number, wish: typeof anyPod extends fc.Arbitrary<infer P> ? P : never): Pod {
  const required = (list: readonly PodAffinityTerm[]) => ({
    requiredDuringSchedulingIgnoredDuringExecution: [...list],
  });
  const spec: PodSpec = {
    priority: wish.priority,
    containers: [
      {
        name: 'c',
        resources: { requests: { cpu: String(wish.cpu) } },
        ...(wish.hostPort === undefined ? {} : { ports: [{ containerPort: 1, hostPort: wish.hostPort }] }),
      },
    ],
    affinity: { podAffinity: required(wish.near), podAntiAffinity: required(wish.apart) },
    ...(wish.tolerates ? { tolerations: [{ operator: 'Exists' }] } : {}),
    ...(wish.zone === undefined ? {} : { nodeSelector: { zone: wish.zone } }),
    ...(wish.spread === undefined
      ? {}
      : {
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: wish.spread,
              whenUnsatisfiable: 'DoNotSchedule',
              labelSelector: { matchLabels: { app: wish.app } },
            },
          ],
        }),
  };
  return { metadata: { name: `p${i}`, uid: `p${i}`, namespace: 'x', labels: { app: wish.app } }, spec };
}

const means = ({ labelSelector }: PodAffinityTerm, pod: Pod): boolean =>
  Object.entries(labelSelector?.matchLabels ?? {}).every(([key, value]) => pod.metadata.labels?.[key] === value);
const required = (pod: Pod, which: 'podAffinity' | 'podAntiAffinity'): readonly PodAffinityTerm[] =>
  pod.spec.affinity?.[which]?.requiredDuringSchedulingIgnoredDuringExecution ?? [];

/** Whether the pod may go to the node, worked out from the rules with no regard to cost. */
function mayGo({ nodes, placed }: World, pod: Pod, node: Node): boolean {
  const nodeByName = new Map(nodes.map((other) => [other.metadata.name, other]));
  const label = (of: Node | undefined, key: string) => of?.metadata.labels?.[key];
  const on = (other: Pod) => nodeByName.get(other.spec.nodeName);
  const sameDomain = (other: Pod, key: string) =>
    label(node, key) !== undefined && label(on(other), key) === label(node, key);
  const here = placed.filter(({ spec }) => spec.nodeName === node.metadata.name);
  const cpuOf = (of: Pod) => Number(of.spec.containers[0]?.resources?.requests?.['cpu'] ?? 0);
  const portOf = (of: Pod) => of.spec.containers[0]?.ports?.[0]?.hostPort;
  const tolerates = (pod.spec.tolerations ?? []).length > 0;
  const wanted = cpuOf(pod);
  const free = Number(node.status?.allocatable?.['cpu']) - here.reduce((sum, other) => sum + cpuOf(other), 0);
  if ((node.spec?.unschedulable === true || (node.spec?.taints ?? []).length > 0) && !tolerates) return false;
  if (pod.spec.nodeSelector !== undefined && label(node, 'zone') !== pod.spec.nodeSelector['zone']) return false;
  if (here.length >= 4 || (wanted > 0 && wanted > free)) return false;
  if (portOf(pod) !== undefined && here.some((other) => portOf(other) === portOf(pod))) return false;
  for (const apart of required(pod, 'podAntiAffinity')) {
    if (placed.some((other) => means(apart, other) && sameDomain(other, apart.topologyKey))) return false;
  }
  for (const other of placed) {
    for (const apart of required(other, 'podAntiAffinity')) {
      if (means(apart, pod) && sameDomain(other, apart.topologyKey)) return false;
    }
  }
  const near = required(pod, 'podAffinity');
  if (near.some(({ topologyKey }) => label(node, topologyKey) === undefined)) return false;
  const friends = placed.filter((other) => near.every((one) => means(one, other)));
  const met = near.every(({ topologyKey }) => friends.some((other) => sameDomain(other, topologyKey)));
  const nobodyYet = !friends.some((other) =>
    near.some(({ topologyKey }) => label(on(other), topologyKey) !== undefined),
  );
  if (!met && !(nobodyYet && near.every((one) => means(one, pod)))) return false;
  for (const { topologyKey, labelSelector, maxSkew } of pod.spec.topologySpreadConstraints ?? []) {
    const counts = new Map<string, number>();
    for (const other of nodes) {
      const domain = label(other, topologyKey);
      const eligible = pod.spec.nodeSelector === undefined || label(other, 'zone') === pod.spec.nodeSelector['zone'];
      if (domain !== undefined && eligible) {
        const matching = placed.filter(
          (one) =>
            one.spec.nodeName === other.metadata.name &&
            means({ labelSelector: labelSelector ?? {}, topologyKey }, one),
        );
        counts.set(domain, (counts.get(domain) ?? 0) + matching.length);
      }
    }
    const domain = label(node, topologyKey);
    if (domain === undefined || (counts.get(domain) ?? 0) + 1 - Math.min(...counts.values()) > maxSkew) return false;
  }
  return true;
}

const worlds = fc.tuple(
  fc.array(anyNode, { minLength: 1, maxLength: 5 }),
  fc.array(anyPod, { minLength: 1, maxLength: 14 }),
);

t.test(
  'a node is found if and only if the rules allow one, and preemption makes one by as little as it can',
  async (t) => {
    let found = 0;
    let none = 0;
    let preempted = 0;
    fc.assert(
      fc.property(worlds, ([nodeWishes, podWishes]) => {
        const nodes = nodeWishes.map((wish, i) => makeNode(i, wish));
        let placed: Pod[] = [];
        const cache = new SchedulerCache();
        for (const node of nodes) {
          cache.setNode(node);
        }
        const nominated = new NominatedPods();
        const placer = new PodPlacer({ plugins: defaultPlugins, nominated, random: () => 0.5 });
        for (const [i, wish] of podWishes.entries()) {
          const pod = makePod(i, wish);
          const cycle: Cycle = { pod: podInfoOf(pod), cache, listers, client };
          const allowed = nodes
            .filter((node) => mayGo({ nodes, placed }, pod, node))
            .map(({ metadata }) => metadata.name);
          const result = placer.place(cycle);
          let target: string;
          if ('node' in result) {
            if (!allowed.includes(result.node.name)) {
              return false;
            }
            found++;
            target = result.node.name;
          } else {
            if (allowed.length > 0) {
              return false;
            }
            none++;
            const preemption = findPreemption(cycle, result.unschedulable, nominated, () => 0);
            if ('message' in preemption) {
              continue;
            }
            preempted++;
            const { node, victims } = preemption.candidate;
            const gone = new Set(victims.map(({ uid }) => uid));
            const rest = placed.filter(({ metadata }) => !gone.has(metadata.uid ?? ''));
            const isRight =
              victims.length > 0 &&
              victims.every(
                (victim) => victim.priority < wish.priority && cache.nodeNameOf(victim.uid) === node.name,
              ) &&
              mayGo({ nodes, placed: rest }, pod, nodes.find(({ metadata }) => metadata.name === node.name)!) &&
              // The least important victim could not have been spared.
              !mayGo({ nodes, placed: [...rest, victims.at(-1)!.pod] }, pod, node.node!);
            if (!isRight) {
              return false;
            }
            for (const uid of gone) {
              cache.removePod(uid);
            }
            placed = rest;
            target = node.name;
          }
          const bound: Pod = { ...pod, spec: { ...pod.spec, nodeName: target } };
          placed.push(bound);
          cache.setPod(bound);
        }
        return true;
      }),
      { numRuns: 400 },
    );
    t.ok(found > 100 && none > 100 && preempted > 20, `tried ${found} found, ${none} not, ${preempted} preempted`);
  },
);

t.test('how many nodes are enough', async (t) => {
  t.equal(enoughNodes(0), 0);
  t.equal(enoughNodes(50), 50);
  t.equal(enoughNodes(100), 100);
  t.equal(enoughNodes(1000), 420);
  t.equal(enoughNodes(10_000), 500);
});
