import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { type ClusterEvent, nodeOf } from '../cluster-event.ts';
import { NodeInfo } from '../node-info.ts';
import { type Rejection, rejection, type SchedulerPlugin } from '../plugin.ts';
import { type PodInfo, podInfoOf } from '../pod-info.ts';

const tooManyPods = rejection('Too many pods');
const insufficient = new Map<string, Rejection>();

/** Each combination of lacking resources is one shared object. */
function lacking(names: readonly string[], unresolvable: boolean): Rejection {
  const key = `${unresolvable} ${names.join()}`;
  let known = insufficient.get(key);
  if (known === undefined) {
    known = {
      reasons: names.map((name) => (name === 'pods' ? 'Too many pods' : `Insufficient ${name}`)),
      unresolvable,
    };
    insufficient.set(key, known);
  }
  return known;
}

/** What the node lacks for the pod; undefined when it fits. */
function misfit(pod: PodInfo, node: NodeInfo): Rejection | undefined {
  const { requests } = pod;
  const { allocatable, requested } = node;
  const full = node.pods.size + 1 > node.allowedPods;
  const { milliCpu, memory, ephemeralStorage, scalar } = requests;
  if (milliCpu === 0 && memory === 0 && ephemeralStorage === 0 && scalar === undefined) {
    return full ? tooManyPods : undefined;
  }
  const noCpu = milliCpu > 0 && milliCpu > allocatable.milliCpu - requested.milliCpu;
  const noMemory = memory > 0 && memory > allocatable.memory - requested.memory;
  const noStorage =
    ephemeralStorage > 0 && ephemeralStorage > allocatable.ephemeralStorage - requested.ephemeralStorage;
  if (!full && !noCpu && !noMemory && !noStorage && scalar === undefined) {
    return undefined;
  }
  const names: string[] = [];
  let unresolvable = false;
  const note = (lacks: boolean, name: string, wanted: number, total: number): void => {
    if (lacks) {
      names.push(name);
      unresolvable ||= wanted > total;
    }
  };
  note(full, 'pods', 0, 0);
  note(noCpu, 'cpu', milliCpu, allocatable.milliCpu);
  note(noMemory, 'memory', memory, allocatable.memory);
  note(noStorage, 'ephemeral-storage', ephemeralStorage, allocatable.ephemeralStorage);
  for (const [name, amount] of scalar ?? []) {
    const total = allocatable.scalar?.get(name) ?? 0;
    note(amount > 0 && amount > total - (requested.scalar?.get(name) ?? 0), name, amount, total);
  }
  return names.length === 0 ? undefined : lacking(names, unresolvable);
}

function nodeMayFit(pod: Pod, event: ClusterEvent): boolean {
  const node = nodeOf(event);
  if (node === undefined) {
    return true;
  }
  const bare = new NodeInfo(node.metadata.name ?? '');
  bare.setNode(node);
  if (misfit(podInfoOf(pod), bare) !== undefined) {
    return false;
  }
  // Of an update only a change of what the node offers can have made room.
  return event.kind !== 'NodeUpdate' || !sameAmounts(event.old.status?.allocatable, node.status?.allocatable);
}

function sameAmounts(a: Readonly<Record<string, string>> = {}, b: Readonly<Record<string, string>> = {}): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** The node must have room for what the pod requests; of those that have, the emptier the better. */
export const nodeResourcesFit: SchedulerPlugin = {
  name: 'NodeResourcesFit',
  weight: 1,
  interests: [
    { on: ['NodeAdd', 'NodeUpdate'], hint: nodeMayFit },
    { on: ['AssignedPodDelete'] },
    {
      on: ['AssignedPodUpdate'],
      hint(_pod, event) {
        if (event.kind !== 'AssignedPodUpdate') {
          return false;
        }
        const now = podInfoOf(event.pod).requests;
        const before = podInfoOf(event.old).requests;
        return now.milliCpu < before.milliCpu || now.memory < before.memory;
      },
    },
  ],
  filterFor({ pod }) {
    return { filter: (node) => misfit(pod, node) };
  },
  scorerFor({ pod }) {
    return {
      score(node) {
        const { allocatable } = node;
        let score = 0;
        let weights = 0;
        if (allocatable.milliCpu > 0) {
          score += leastAllocated(node.nonZeroMilliCpu + pod.nonZeroMilliCpu, allocatable.milliCpu);
          weights++;
        }
        if (allocatable.memory > 0) {
          score += leastAllocated(node.nonZeroMemory + pod.nonZeroMemory, allocatable.memory);
          weights++;
        }
        return weights === 0 ? 0 : Math.floor(score / weights);
      },
    };
  },
};

function leastAllocated(requested: number, capacity: number): number {
  return requested > capacity ? 0 : Math.floor(((capacity - requested) * 100) / capacity);
}

/** Prefers nodes on which CPU and memory would be used to a like degree. */
export const nodeResourcesBalancedAllocation: SchedulerPlugin = {
  name: 'NodeResourcesBalancedAllocation',
  weight: 1,
  interests: [],
  scorerFor({ pod }) {
    const { requests } = pod;
    if (requests.milliCpu === 0 && requests.memory === 0) {
      return undefined;
    }
    return {
      score(node) {
        const { allocatable, requested } = node;
        if (allocatable.milliCpu === 0 || allocatable.memory === 0) {
          return 100;
        }
        const cpu = Math.min(1, (requested.milliCpu + requests.milliCpu) / allocatable.milliCpu);
        const memory = Math.min(1, (requested.memory + requests.memory) / allocatable.memory);
        return Math.floor((1 - Math.abs(cpu - memory) / 2) * 100);
      },
    };
  },
};
