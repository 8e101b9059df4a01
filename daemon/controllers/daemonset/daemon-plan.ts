import { isPodAvailable } from '../../apimachinery/conditions.ts';
import { scaledValue } from '../../apimachinery/int-or-string.ts';
import type { DaemonSet } from '../../apimachinery/types/apps-v1.ts';
import type { Node, Pod } from '../../apimachinery/types/core-v1.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { isUpdated, nodeFitness } from './daemon-pod.ts';

export interface DaemonPlan {
  /** Names of nodes that need a pod. */
  readonly create: readonly string[];
  readonly delete: readonly Pod[];
  readonly failed: readonly Pod[];
  readonly succeeded: readonly Pod[];
}

export interface DaemonPlanInput {
  readonly set: DaemonSet;
  readonly nodes: readonly Node[];
  readonly podsByNode: ReadonlyMap<string, readonly Pod[]>;
  readonly hash: string;
  readonly now: Date;
}

/** One pod on every node that should have one, none elsewhere; of several the oldest stays. */
export function planPlacement(input: DaemonPlanInput): DaemonPlan {
  const create: string[] = [];
  const doomed: Pod[] = [];
  const failed: Pod[] = [];
  const succeeded: Pod[] = [];
  const surge = surgeOf(input) > 0;
  for (const node of input.nodes) {
    const name = node.metadata.name ?? '';
    const { shouldRun, mayStay } = nodeFitness(input.set, node);
    const pods = input.podsByNode.get(name) ?? [];
    if (!mayStay) {
      doomed.push(...pods.filter((pod) => !isTerminating(pod)));
      continue;
    }
    const running: Pod[] = [];
    for (const pod of pods) {
      if (isTerminating(pod)) continue;
      if (pod.status?.phase === 'Failed') failed.push(pod);
      else if (pod.status?.phase === 'Succeeded') succeeded.push(pod);
      else running.push(pod);
    }
    // A pod that is on its way out still holds the node, except where two may overlap.
    const present = surge ? running.length : pods.length;
    if (shouldRun && present === 0) create.push(name);
    if (running.length > 1) doomed.push(...duplicates(input, running));
  }
  const known = new Set(input.nodes.map((node) => node.metadata.name));
  for (const [name, pods] of input.podsByNode) {
    if (!known.has(name)) doomed.push(...pods.filter((pod) => !isTerminating(pod)));
  }
  return { create, delete: [...doomed, ...failed, ...succeeded], failed, succeeded };
}

function duplicates(input: DaemonPlanInput, running: readonly Pod[]): Pod[] {
  const oldestFirst = [...running].sort(compareAge);
  if (surgeOf(input) === 0) return oldestFirst.slice(1);
  // While a node surges it has one pod of each version, until the new one is available.
  const updated = oldestFirst.filter((pod) => isUpdated(input.set, pod, input.hash));
  const old = oldestFirst.filter((pod) => !isUpdated(input.set, pod, input.hash));
  return [...updated.slice(1), ...old.slice(1)];
}

function compareAge(a: Pod, b: Pod): number {
  const text = ({ metadata }: Pod): string => `${metadata.creationTimestamp} ${metadata.name}`;
  return text(a) < text(b) ? -1 : 1;
}

/** What a rolling update does next; nothing under OnDelete. */
export function planUpdate(input: DaemonPlanInput): { create: readonly string[]; delete: readonly Pod[] } {
  if ((input.set.spec.updateStrategy?.type ?? 'RollingUpdate') !== 'RollingUpdate') return { create: [], delete: [] };
  return surgeOf(input) > 0 ? planSurge(input) : planReplace(input);
}

interface NodePods {
  readonly node: string;
  readonly updated: Pod | undefined;
  readonly old: Pod | undefined;
}

/** Nodes with at most one live pod of each version; others are for `planPlacement` to tidy first. */
function* nodePods(input: DaemonPlanInput): Iterable<NodePods | undefined> {
  for (const [node, pods] of input.podsByNode) {
    const live = pods.filter((pod) => !isTerminating(pod));
    const updated = live.filter((pod) => isUpdated(input.set, pod, input.hash));
    const old = live.filter((pod) => !isUpdated(input.set, pod, input.hash));
    yield updated.length > 1 || old.length > 1 ? undefined : { node, updated: updated[0], old: old[0] };
  }
}

function planReplace(input: DaemonPlanInput): { create: readonly string[]; delete: readonly Pod[] } {
  const isAvailable = availability(input);
  const broken: Pod[] = [];
  const candidates: Pod[] = [];
  let unavailable = 0;
  for (const entry of nodePods(input)) {
    if (entry === undefined || (entry.updated === undefined) === (entry.old === undefined)) {
      unavailable++;
    } else if (entry.updated !== undefined) {
      if (!isAvailable(entry.updated)) unavailable++;
    } else if (entry.old !== undefined && isAvailable(entry.old)) {
      candidates.push(entry.old);
    } else if (entry.old !== undefined) {
      // It serves nobody: replacing it costs nothing.
      broken.push(entry.old);
      unavailable++;
    }
  }
  const room = Math.max(0, maxUnavailable(input) - unavailable);
  return { create: [], delete: [...broken, ...candidates.slice(0, room)] };
}

function planSurge(input: DaemonPlanInput): { create: readonly string[]; delete: readonly Pod[] } {
  const isAvailable = availability(input);
  const fit = new Map(input.nodes.map((node) => [node.metadata.name ?? '', nodeFitness(input.set, node).shouldRun]));
  const doomed: Pod[] = [];
  const now: string[] = [];
  const candidates: string[] = [];
  let surging = 0;
  for (const entry of nodePods(input)) {
    if (entry?.old === undefined) continue;
    const { node, updated, old } = entry;
    if (updated !== undefined) {
      if (isAvailable(updated)) doomed.push(old);
      else surging++;
    } else if (fit.get(node) === true) {
      (isAvailable(old) ? candidates : now).push(node);
    }
  }
  const room = Math.max(0, surgeOf(input) - surging - now.length);
  return { create: [...now, ...candidates.slice(0, room)], delete: doomed };
}

function availability({ set, now }: DaemonPlanInput): (pod: Pod) => boolean {
  return (pod) => isPodAvailable(pod, set.spec.minReadySeconds ?? 0, now.getTime());
}

function desiredCount({ set, nodes }: DaemonPlanInput): number {
  return nodes.filter((node) => nodeFitness(set, node).shouldRun).length;
}

function surgeOf(input: DaemonPlanInput): number {
  const { updateStrategy } = input.set.spec;
  if ((updateStrategy?.type ?? 'RollingUpdate') !== 'RollingUpdate') return 0;
  const surge = updateStrategy?.rollingUpdate?.maxSurge ?? 0;
  return surge === 0 || surge === '0%' ? 0 : scaledValue(surge, desiredCount(input), true);
}

function maxUnavailable(input: DaemonPlanInput): number {
  const wanted = input.set.spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1;
  return Math.max(1, scaledValue(wanted, desiredCount(input), true));
}
