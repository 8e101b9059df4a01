import { isPodAvailable, isPodReady, isPodTerminal } from '../../apimachinery/conditions.ts';
import { scaledValue } from '../../apimachinery/int-or-string.ts';
import type { StatefulSet } from '../../apimachinery/types/apps-v1.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { endOrdinal, hasIdentity, ordinalOf, revisionOfPod, startOrdinal } from './stateful-pod.ts';

export type Step =
  | { readonly kind: 'create'; readonly ordinal: number; readonly updated: boolean }
  | { readonly kind: 'delete'; readonly pod: Pod; readonly why: 'failed' | 'succeeded' | 'scale' | 'update' }
  | { readonly kind: 'repair'; readonly ordinal: number; readonly pod: Pod };

export interface PlanInput {
  readonly set: StatefulSet;
  /** The set's pods, being deleted or not. */
  readonly pods: readonly Pod[];
  readonly updateRevision: string;
  readonly currentRevision: string;
  readonly currentReplicas: number;
  readonly now: Date;
}

/**
 * What to do now. In order (OrderedReady) one pod at a time: the next is created once those before it are available, and the
 * last goes first. With Parallel all at once. A rolling update replaces pods from the last to the partition, each after the
 * one above it is back and healthy.
 */
export function planSteps(input: PlanInput): Step[] {
  const { set, pods, now } = input;
  const minReadySeconds = set.spec.minReadySeconds ?? 0;
  const inOrder = set.spec.podManagementPolicy !== 'Parallel';
  const isUp = (pod: Pod): boolean =>
    pod.status?.phase === 'Running' && isPodReady(pod) && isPodAvailable(pod, minReadySeconds, now.getTime());
  const first = startOrdinal(set);
  const last = endOrdinal(set);
  const byOrdinal = new Map<number, Pod>();
  const condemned: { ordinal: number; pod: Pod }[] = [];
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod);
    if (ordinal === undefined) continue;
    if (ordinal >= first && ordinal <= last) byOrdinal.set(ordinal, pod);
    else condemned.push({ ordinal, pod });
  }
  condemned.sort((a, b) => b.ordinal - a.ordinal);

  const steps: Step[] = [];
  for (let ordinal = first; ordinal <= last; ordinal++) {
    const pod = byOrdinal.get(ordinal);
    if (pod === undefined) {
      steps.push({ kind: 'create', ordinal, updated: !wantsCurrent(input, ordinal) });
      if (inOrder) return steps;
      continue;
    }
    if (isPodTerminal(pod)) {
      if (!isTerminating(pod)) {
        steps.push({ kind: 'delete', pod, why: pod.status?.phase === 'Failed' ? 'failed' : 'succeeded' });
      }
      // Its name is free for the next pod once it has gone.
      if (inOrder) return steps;
      continue;
    }
    if (inOrder && (isTerminating(pod) || !isUp(pod))) return steps;
    if (!isTerminating(pod) && !hasIdentity(set, pod, ordinal)) steps.push({ kind: 'repair', ordinal, pod });
  }

  const unhealthy = [...[...byOrdinal.values()], ...condemned.map(({ pod }) => pod)].filter(
    (pod) => !isUp(pod) || isTerminating(pod),
  );
  for (const { pod } of condemned) {
    if (isTerminating(pod)) {
      if (inOrder) return steps;
      continue;
    }
    // An unhealthy pod may go while it is the only one; else scaling down waits for the others.
    if (inOrder && !isUp(pod) && unhealthy.some((other) => other !== pod)) return steps;
    steps.push({ kind: 'delete', pod, why: 'scale' });
    if (inOrder) return steps;
  }
  if (steps.length > 0 && inOrder) return steps;
  return [...steps, ...updateSteps(input, byOrdinal, isUp)];
}

/** Ordinals below the partition (or, without one, those that have not had their turn) stay at the current revision. */
function wantsCurrent({ set, currentReplicas }: PlanInput, ordinal: number): boolean {
  if (set.spec.updateStrategy?.type === 'OnDelete') return false;
  const rolling = set.spec.updateStrategy?.rollingUpdate;
  const kept = rolling === undefined ? currentReplicas : (rolling.partition ?? 0);
  return ordinal < startOrdinal(set) + kept;
}

function updateSteps(
  { set, updateRevision }: PlanInput,
  byOrdinal: ReadonlyMap<number, Pod>,
  isUp: (pod: Pod) => boolean,
): Step[] {
  const { updateStrategy } = set.spec;
  if (updateStrategy?.type === 'OnDelete') return [];
  const lowest = startOrdinal(set) + (updateStrategy?.rollingUpdate?.partition ?? 0);
  const replicas = set.spec.replicas ?? 1;
  const maxUnavailable = Math.max(1, scaledValue(updateStrategy?.rollingUpdate?.maxUnavailable ?? 1, replicas, true));
  const healthy = (pod: Pod | undefined): boolean => pod !== undefined && isUp(pod) && !isTerminating(pod);

  if (maxUnavailable === 1) {
    for (let ordinal = endOrdinal(set); ordinal >= lowest; ordinal--) {
      const pod = byOrdinal.get(ordinal);
      if (pod !== undefined && revisionOfPod(pod) !== updateRevision && !isTerminating(pod)) {
        return [{ kind: 'delete', pod, why: 'update' }];
      }
      if (!healthy(pod)) return [];
    }
    return [];
  }
  let room =
    maxUnavailable - [...byOrdinal.values()].filter((pod) => !healthy(pod)).length - (replicas - byOrdinal.size);
  const steps: Step[] = [];
  for (let ordinal = endOrdinal(set); ordinal >= lowest; ordinal--) {
    const pod = byOrdinal.get(ordinal);
    if (pod === undefined || isTerminating(pod) || revisionOfPod(pod) === updateRevision) continue;
    // One that is down already costs nothing.
    if (isUp(pod)) {
      if (room <= 0) break;
      room--;
    }
    steps.push({ kind: 'delete', pod, why: 'update' });
  }
  return steps;
}
