import t from 'tap';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Node, Pod, PodSpec, Service } from '../../apimachinery/types/core-v1.ts';
import { FakeClient } from '../../client/fake-client.ts';
import { IndexedCache } from '../../client/indexed-cache.ts';
import type { Informer } from '../../client/informer.ts';
import type { Cycle, SchedulerPlugin } from '../plugin.ts';
import { podInfoOf } from '../pod-info.ts';
import { SchedulerCache } from '../scheduler-cache.ts';
import { imageLocality } from './image-locality.ts';
import { interPodAffinity } from './inter-pod-affinity.ts';
import { nodeAffinity } from './node-affinity.ts';
import { nodeResourcesBalancedAllocation, nodeResourcesFit } from './node-resources-fit.ts';
import { podTopologySpread } from './pod-topology-spread.ts';
import { taintToleration } from './taint-toleration.ts';

const services = new IndexedCache<Service>();
services.set('x/web', { metadata: { name: 'web', namespace: 'x' }, spec: { selector: { app: 'web' } } });

function objects<T extends KubernetesObject>(lister = new IndexedCache<T>()): Informer<T> {
  return { lister, hasSynced: () => true, addHandler: () => () => {}, addIndex: () => {} };
}

function node(
  name: string,
  more: { cpu?: string; memory?: string; labels?: Record<string, string> } & Partial<Node> = {},
): Node {
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...more.labels } },
    spec: more.spec ?? {},
    status: { allocatable: { cpu: more.cpu ?? '4', memory: more.memory ?? '10k', pods: '110' }, ...more.status },
  };
}

function pod(name: string, spec: Partial<PodSpec> = {}, labels: Record<string, string> = {}): Pod {
  return { metadata: { name, namespace: 'x', uid: name, labels }, spec: { containers: [], ...spec } };
}

/** The plugin's rating of each node, in order; undefined when it has nothing to say. */
function ratings(plugin: SchedulerPlugin, wanting: Pod, nodes: readonly Node[], placed: readonly Pod[] = []) {
  const cache = new SchedulerCache();
  for (const each of nodes) {
    cache.setNode(each);
  }
  for (const each of placed) {
    cache.setPod(each);
  }
  const cycle: Cycle = {
    pod: podInfoOf(wanting),
    cache,
    client: new FakeClient(),
    listers: {
      namespaces: objects(),
      services: objects(services),
      replicaSets: objects(),
      statefulSets: objects(),
      volumes: objects(),
      claims: objects(),
      storageClasses: objects(),
      disruptionBudgets: objects(),
    },
  };
  const infos = nodes.map(({ metadata }) => cache.node(metadata.name ?? '')!);
  const scorer = plugin.scorerFor?.(cycle, infos);
  if (scorer === undefined) {
    return undefined;
  }
  const scores = Float64Array.from(infos, (info) => scorer.score(info));
  scorer.normalize?.(scores, infos);
  return [...scores];
}

const requesting = (cpu: string, memory: string): Partial<PodSpec> => ({
  containers: [{ name: 'c', resources: { requests: { cpu, memory } } }],
});

t.test('emptier and evenly used nodes', async (t) => {
  const nodes = [node('n1', { cpu: '4' }), node('n2', { cpu: '6' })];
  const wanting = pod('p', requesting('3', '5k'));
  t.same(ratings(nodeResourcesFit, wanting, nodes), [37, 50]);
  t.same(ratings(nodeResourcesBalancedAllocation, wanting, nodes), [87, 100]);
  t.same(ratings(nodeResourcesBalancedAllocation, pod('p'), nodes), undefined, 'no requests, no balance');
  const busy = pod('b', { ...requesting('2', '5k'), nodeName: 'n1' });
  t.same(ratings(nodeResourcesFit, wanting, nodes, [busy]), [0, 50]);
});

t.test('preferred node affinity', async (t) => {
  const preferred = (weight: number, value: string) => ({
    weight,
    preference: { matchExpressions: [{ key: 'disk', operator: 'In', values: [value] }] },
  });
  const affinity = {
    nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [preferred(4, 'ssd'), preferred(1, 'hdd')] },
  };
  const nodes = [node('n1', { labels: { disk: 'ssd' } }), node('n2', { labels: { disk: 'hdd' } }), node('n3')];
  t.same(ratings(nodeAffinity, pod('p', { affinity }), nodes), [100, 25, 0]);
  t.same(ratings(nodeAffinity, pod('p'), nodes), undefined);
});

t.test('taints that ask to be avoided', async (t) => {
  const tainted = (name: string, count: number) =>
    node(name, {
      spec: { taints: Array.from({ length: count }, (_, i) => ({ key: `k${i}`, effect: 'PreferNoSchedule' })) },
    });
  const nodes = [tainted('n0', 0), tainted('n1', 1), tainted('n2', 2)];
  t.same(ratings(taintToleration, pod('p'), nodes), [100, 50, 0]);
  t.same(ratings(taintToleration, pod('p', { tolerations: [{ operator: 'Exists' }] }), nodes), [100, 100, 100]);
});

t.test('images', async (t) => {
  const mib = 1024 * 1024;
  const having = (name: string, sizeBytes: number) =>
    node(name, { status: { allocatable: {}, images: [{ names: ['example.com/app:latest'], sizeBytes }] } });
  const wanting = pod('p', { containers: [{ name: 'c', image: 'example.com/app' }] });
  t.same(ratings(imageLocality, wanting, [having('n1', 250 * mib), node('n2')]), [10, 0]);
  t.same(ratings(imageLocality, wanting, [having('n1', 4000 * mib), having('n2', 10 * mib)]), [100, 0]);
  t.same(ratings(imageLocality, wanting, [node('n1')]), undefined);
});

t.test('pods of a service spread over nodes and zones by default', async (t) => {
  const zoned = (name: string, zone: string) => node(name, { labels: { 'topology.kubernetes.io/zone': zone } });
  const nodes = [zoned('a1', 'a'), zoned('a2', 'a'), zoned('b1', 'b')];
  const web = (name: string, nodeName: string) => pod(name, { nodeName }, { app: 'web' });
  const scores = ratings(podTopologySpread, pod('p', {}, { app: 'web' }), nodes, [web('w1', 'a1')])!;
  t.ok(scores[2]! > scores[1]! && scores[1]! > scores[0]!, scores.join());
  t.equal(scores[2], 100);
  t.same(ratings(podTopologySpread, pod('p', {}, { app: 'other' }), nodes), undefined);
});

t.test('a soft constraint leaves out nodes without the label', async (t) => {
  const constraint = {
    maxSkew: 1,
    topologyKey: 'rack',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: { app: 'web' } },
  };
  const nodes = [node('n1', { labels: { rack: '1' } }), node('n2', { labels: { rack: '2' } }), node('n3')];
  const there = pod('w', { nodeName: 'n1' }, { app: 'web' });
  const wanting = pod('p', { topologySpreadConstraints: [constraint] }, { app: 'web' });
  t.same(ratings(podTopologySpread, wanting, nodes, [there]), [0, 100, 0]);
});

t.test('pods that want each other near or far', async (t) => {
  const weighted = (weight: number) => ({
    weight,
    podAffinityTerm: { labelSelector: { matchLabels: { app: 'web' } }, topologyKey: 'kubernetes.io/hostname' },
  });
  const near = { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [weighted(10)] } };
  const far = { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [weighted(10)] } };
  const must = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [weighted(0).podAffinityTerm] } };
  const nodes = [node('n1'), node('n2')];
  const web = pod('w', { nodeName: 'n1' }, { app: 'web' });
  t.same(ratings(interPodAffinity, pod('p', { affinity: near }), nodes, [web]), [100, 0]);
  t.same(ratings(interPodAffinity, pod('p', { affinity: far }), nodes, [web]), [0, 100]);
  const fond = pod('f', { nodeName: 'n2', affinity: must });
  t.same(
    ratings(interPodAffinity, pod('p', {}, { app: 'web' }), nodes, [fond]),
    [0, 100],
    'who is there wants it near',
  );
  t.same(ratings(interPodAffinity, pod('p'), nodes, [web]), undefined);
});
