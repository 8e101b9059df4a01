import type { DaemonSet } from '../../apimachinery/types/apps-v1.ts';
import type { Node, NodeSelectorTerm, Pod, PodSpec, Toleration } from '../../apimachinery/types/core-v1.ts';
import { daemonsets } from '../../apimachinery/types/resources.ts';
import { nodeMatchesPod } from '../../scheduler/node-selector.ts';
import { untoleratedTaint } from '../../scheduler/taints.ts';
import { podFromTemplate } from '../workload/pod-control.ts';

export const hashLabel = 'controller-revision-hash';
const generationLabel = 'pod-template-generation';
const generationAnnotation = 'deprecated.daemonset.template.generation';

/** A daemon's pod stays through whatever befalls its node, short of a taint that nobody knows. */
const daemonTolerations: readonly Toleration[] = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];
const hostNetworkToleration: Toleration = {
  key: 'node.kubernetes.io/network-unavailable',
  operator: 'Exists',
  effect: 'NoSchedule',
};

/** The pod for one node: the scheduler binds it, and can bind it to no other. */
export function daemonPod(set: DaemonSet, nodeName: string, hash: string): Pod {
  const pod = podFromTemplate(set.spec.template, set, daemonsets);
  const generation = set.metadata.annotations?.[generationAnnotation];
  pod.metadata.labels = {
    ...pod.metadata.labels,
    ...(generation === undefined ? {} : { [generationLabel]: generation }),
    [hashLabel]: hash,
  };
  pod.spec = { ...withTolerations(pod.spec), affinity: onlyNode(pod.spec, nodeName) };
  return pod;
}

function withTolerations(spec: PodSpec): PodSpec {
  const added = spec.hostNetwork === true ? [...daemonTolerations, hostNetworkToleration] : daemonTolerations;
  const present = spec.tolerations ?? [];
  const isPresent = (wanted: Toleration): boolean =>
    present.some(
      (toleration) =>
        toleration.key === wanted.key &&
        toleration.effect === wanted.effect &&
        toleration.operator === wanted.operator &&
        toleration.tolerationSeconds === undefined,
    );
  return { ...spec, tolerations: [...present, ...added.filter((toleration) => !isPresent(toleration))] };
}

/** Replaces the required node affinity, which has decided already that the node is fit. */
function onlyNode(spec: PodSpec, nodeName: string): NonNullable<PodSpec['affinity']> {
  const term: NodeSelectorTerm = { matchFields: [{ key: 'metadata.name', operator: 'In', values: [nodeName] }] };
  return {
    ...spec.affinity,
    nodeAffinity: {
      ...spec.affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
    },
  };
}

/** The node a pod is for: where it runs, or the one its affinity names while it waits for the scheduler. */
export function targetNode(pod: Pod): string | undefined {
  if (pod.spec.nodeName !== undefined && pod.spec.nodeName !== '') return pod.spec.nodeName;
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const field = terms?.[0]?.matchFields?.find(({ key, operator }) => key === 'metadata.name' && operator === 'In');
  return field?.values?.[0];
}

/** Whether the node is to have a pod of the set, and whether one that is there may stay. */
export function nodeFitness(set: DaemonSet, node: Node): { shouldRun: boolean; mayStay: boolean } {
  const template = set.spec.template.spec ?? { containers: [] };
  const pod: Pod = { metadata: {}, spec: withTolerations(template) };
  const fixedNode = template.nodeName ?? '';
  if ((fixedNode !== '' && fixedNode !== node.metadata.name) || !nodeMatchesPod(pod, node)) {
    return { shouldRun: false, mayStay: false };
  }
  const untolerated = (effects: readonly string[]): boolean =>
    untoleratedTaint(node.spec?.taints, pod.spec.tolerations, effects) !== undefined;
  return { shouldRun: !untolerated(['NoExecute', 'NoSchedule']), mayStay: !untolerated(['NoExecute']) };
}

/** Made from the template as it is now, by its hash or, for pods of older controllers, its generation. */
export function isUpdated(set: DaemonSet, pod: Pod, hash: string): boolean {
  const generation = set.metadata.annotations?.[generationAnnotation];
  const labels = pod.metadata.labels ?? {};
  return (
    labels[hashLabel] === hash ||
    (generation !== undefined && labels[generationLabel] === generation && labels[hashLabel] === undefined)
  );
}
