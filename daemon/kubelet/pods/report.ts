import type { PodStatus } from '../../apimachinery/types/core-v1.ts';
import { uidOf } from '../container/labels.ts';
import { qosClass } from '../container/qos.ts';
import type { KubeletContext } from '../context.ts';
import { podStatus } from '../status/pod-status.ts';
import { collectLastWords, lastWordsOf, type PodState } from './pod-state.ts';

/** Works out the pod's status from what is known now, and hands it on to be written. */
export async function reportStatus(context: KubeletContext, state: PodState, terminated: boolean): Promise<PodStatus> {
  const { pod, verdict } = state;
  if (verdict?.refused === true) {
    // Nothing is known of the containers of a pod that was never let in.
    const { generation } = pod.metadata ?? {};
    const { reason, message } = verdict;
    const observed = generation === undefined ? {} : { observedGeneration: generation };
    const status: PodStatus = { ...observed, phase: 'Failed', reason, message, qosClass: qosClass(pod) };
    context.status.set(pod, status);
    return status;
  }
  await collectLastWords(state);
  const status = podStatus({
    pod,
    runtime: state.runtime,
    runtimeName: context.runtimeName,
    results: context.probes,
    startFailure: (container) => state.failures.get(container),
    terminationMessage: (container) => lastWordsOf(state, container),
    terminated,
    hostIps: context.hostIps,
    old: context.status.current(uidOf(pod)) ?? pod.status ?? {},
    ...(verdict === undefined ? {} : { verdict }),
  });
  context.status.set(pod, status);
  return status;
}
