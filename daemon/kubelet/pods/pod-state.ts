import type { Pod } from '../../apimachinery/types/core-v1.ts';
import type { StartFailure } from '../status/container-status.ts';
import type { MountedVolume } from '../volumes/plugin.ts';
import { emptyPodRuntime, isExited, type PodRuntime, type RuntimeContainer } from './pod-runtime.ts';
import { readTerminationMessage } from './termination-message.ts';

/** Why the kubelet ended a pod by its own decision. */
export interface Verdict {
  readonly reason: string;
  readonly message: string;
  /** The pod was never let in. */
  readonly refused?: boolean;
}

/** What one pod worker remembers between its steps; lost when the kubelet ends, and found again from runtime and API. */
export interface PodState {
  /** The newest object from the API. */
  pod: Pod;
  readonly seen: string;
  runtime: PodRuntime;
  readonly failures: Map<string, StartFailure>;
  /** By container id. */
  readonly lastWords: Map<string, string>;
  /** The kubelet ended the pod by its own decision. */
  verdict: Verdict | undefined;
  volumes: ReadonlyMap<string, MountedVolume> | undefined;
  volumesAt: number;
  /** What of the pod the volumes were last made from. */
  volumesFor: string;
  admitted: boolean;
  /** By container id: the resources the runtime was last told, as text. */
  readonly resources: Map<string, string>;
}

export function newPodState(pod: Pod): PodState {
  return {
    pod,
    seen: new Date().toISOString(),
    runtime: emptyPodRuntime,
    failures: new Map(),
    lastWords: new Map(),
    verdict: undefined,
    volumes: undefined,
    volumesAt: 0,
    volumesFor: '',
    admitted: false,
    resources: new Map(),
  };
}

/** Reads the termination messages of containers that have ended since the last time. */
export async function collectLastWords(state: PodState): Promise<void> {
  const present = new Set(state.runtime.containers.map(({ status }) => status.id));
  for (const id of state.lastWords.keys()) if (!present.has(id)) state.lastWords.delete(id);
  for (const container of state.runtime.containers) {
    const { id } = container.status;
    if (isExited(container) && !state.lastWords.has(id))
      state.lastWords.set(id, await readTerminationMessage(container));
  }
}

export const lastWordsOf = (state: PodState, { status }: RuntimeContainer): string =>
  state.lastWords.get(status.id) ?? '';

/** What of a pod's object a kubelet acts on: its own status coming back changes none of it. */
export function podVersion(pod: Pod): string {
  const { generation, labels, annotations, deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata ?? {};
  const gates = (pod.spec?.readinessGates ?? []).map(
    ({ conditionType }) => pod.status?.conditions?.find(({ type }) => type === conditionType)?.status,
  );
  // Objects of servers that do not count generations still differ in their spec.
  const spec = generation === undefined ? pod.spec : generation;
  return JSON.stringify([spec, labels, annotations, deletionTimestamp, deletionGracePeriodSeconds, gates]);
}
