import { findCondition } from '../../apimachinery/conditions.ts';
import { milliOf } from '../../apimachinery/quantity.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { isTerminating } from '../workload/pod-state.ts';
import type { PodUsage } from './pod-metrics.ts';

/** A starting pod's CPU is not taken at its word for this long, in milliseconds. */
const cpuInitializationMs = 5 * 60_000;
/** A pod that was never ready for this long after its start counts as starting. */
const initialReadinessMs = 30_000;

export interface CalculatorInput {
  readonly pods: readonly Pod[];
  readonly usage: PodUsage;
  readonly resource: string;
  readonly container: string | undefined;
  readonly currentReplicas: number;
  /** Ratios of usage to target within 1 ± tolerance change nothing. */
  readonly tolerance: { readonly up: number; readonly down: number };
  readonly now: Date;
}

export interface CalculatedReplicas {
  readonly replicas: number;
  /** Average usage of a pod, in thousandths of the unit. */
  readonly averageValue: number;
  /** In percent of the request; only for targets in those terms. */
  readonly utilization: number | undefined;
}

/** Pods by what their measurement is worth. */
interface Groups {
  readonly ready: Map<string, number>;
  readonly unready: string[];
  readonly missing: string[];
}

/** Replicas for an average utilisation of `target` percent of what the pods request. Throws in the original's words. */
export function replicasForUtilization(input: CalculatorInput, target: number): CalculatedReplicas {
  const groups = groupPods(input);
  const requests = requestsOf(input);
  const usageRatio = (usage: ReadonlyMap<string, number>): { ratio: number; utilization: number; average: number } => {
    let used = 0;
    let requested = 0;
    for (const [name, value] of usage) {
      used += value;
      requested += requests.get(name) ?? 0;
    }
    if (requested === 0) throw new Error('no metrics returned matched known pods');
    const utilization = Math.trunc((used * 100) / requested);
    return { ratio: utilization / target, utilization, average: Math.trunc(used / usage.size) };
  };
  const measured = usageRatio(groups.ready);
  const replicas = settle(input, groups, measured.ratio, {
    // A pod that nobody measured is taken to use all it asked for when that keeps pods, and nothing when it saves some.
    missingUsage: (name) => Math.trunc(((requests.get(name) ?? 0) * Math.max(100, target)) / 100),
    ratioOf: (usage) => usageRatio(usage).ratio,
  });
  return { replicas, averageValue: measured.average, utilization: measured.utilization };
}

/** Replicas for an average of `target` thousandths of the unit. */
export function replicasForAverageValue(input: CalculatorInput, target: number): CalculatedReplicas {
  const groups = groupPods(input);
  const average = (usage: ReadonlyMap<string, number>): number =>
    [...usage.values()].reduce((sum, value) => sum + value, 0) / usage.size;
  const measured = average(groups.ready);
  const replicas = settle(input, groups, measured / target, {
    missingUsage: () => target,
    ratioOf: (usage) => average(usage) / target,
  });
  return { replicas, averageValue: Math.trunc(measured), utilization: undefined };
}

interface Estimate {
  readonly missingUsage: (name: string) => number;
  readonly ratioOf: (usage: ReadonlyMap<string, number>) => number;
}

/** Fills in for what is not measured so that it never causes scaling in the direction that the rest calls for. */
function settle(input: CalculatorInput, groups: Groups, ratio: number, estimate: Estimate): number {
  const { currentReplicas } = input;
  const raisesWithUnready = groups.unready.length > 0 && ratio > 1;
  if (!raisesWithUnready && groups.missing.length === 0) {
    return isTolerated(input, ratio) ? currentReplicas : Math.ceil(ratio * groups.ready.size);
  }
  const usage = new Map(groups.ready);
  for (const name of groups.missing) {
    if (ratio < 1) usage.set(name, estimate.missingUsage(name));
    else if (ratio > 1) usage.set(name, 0);
  }
  if (raisesWithUnready) for (const name of groups.unready) usage.set(name, 0);
  const corrected = estimate.ratioOf(usage);
  if (isTolerated(input, corrected) || (ratio < 1 && corrected > 1) || (ratio > 1 && corrected < 1)) {
    return currentReplicas;
  }
  const replicas = Math.ceil(corrected * usage.size);
  const turnsBack = (corrected < 1 && replicas > currentReplicas) || (corrected > 1 && replicas < currentReplicas);
  return turnsBack ? currentReplicas : replicas;
}

function isTolerated({ tolerance }: CalculatorInput, ratio: number): boolean {
  return ratio >= 1 - tolerance.down && ratio <= 1 + tolerance.up;
}

function groupPods({ pods, usage, resource, now }: CalculatorInput): Groups {
  const ready = new Map<string, number>();
  const unready: string[] = [];
  const missing: string[] = [];
  for (const pod of pods) {
    const name = pod.metadata.name ?? '';
    if (isTerminating(pod) || pod.status?.phase === 'Failed') continue;
    const value = usage.get(name);
    if (pod.status?.phase === 'Pending') unready.push(name);
    else if (value === undefined) missing.push(name);
    else if (resource === 'cpu' && isStarting(pod, now)) unready.push(name);
    else ready.set(name, value);
  }
  if (ready.size === 0) throw new Error('did not receive metrics for targeted pods (pods might be unready)');
  return { ready, unready, missing };
}

function isStarting(pod: Pod, now: Date): boolean {
  const condition = findCondition(pod.status?.conditions, 'Ready');
  const startedAt = parseTime(pod.status?.startTime);
  if (condition === undefined || startedAt === undefined) return true;
  const changedAt = parseTime(condition.lastTransitionTime) ?? startedAt;
  if (startedAt + cpuInitializationMs > now.getTime()) return condition.status === 'False';
  return condition.status === 'False' && startedAt + initialReadinessMs > changedAt;
}

function requestsOf({ pods, resource, container }: CalculatorInput): Map<string, number> {
  const requests = new Map<string, number>();
  for (const pod of pods) {
    const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
    const counted = [...pod.spec.containers, ...sidecars].filter(
      ({ name }) => container === undefined || name === container,
    );
    let sum = 0;
    for (const { name, resources } of counted) {
      const request = resources?.requests?.[resource];
      if (request === undefined) {
        throw new Error(`missing request for ${resource} in container ${name} of Pod ${pod.metadata.name}`);
      }
      sum += milliOf(request);
    }
    requests.set(pod.metadata.name ?? '', sum);
  }
  return requests;
}
