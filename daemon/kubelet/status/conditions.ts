import type { Container, ContainerStatus, Pod, PodCondition } from '../../apimachinery/types/core-v1.ts';
import { type PodRuntime, readySandbox, sandboxIps } from '../pods/pod-runtime.ts';
import { isSidecar } from '../pods/restart-policy.ts';
import type { PodPhase } from './phase.ts';

/** The conditions that are the kubelet's to write. */
export const kubeletConditions = [
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
] as const;

type Finding = Pick<PodCondition, 'status' | 'reason' | 'message'>;

const yes: Finding = { status: 'True' };
const no = (reason: string, message?: string): Finding => ({
  status: 'False',
  reason,
  ...(message === undefined ? {} : { message }),
});

interface ConditionInput {
  readonly pod: Pod;
  readonly phase: PodPhase;
  readonly runtime: PodRuntime;
  readonly containers: readonly ContainerStatus[];
  readonly initContainers: readonly ContainerStatus[];
}

/** `[a b]`, as Go prints a list. */
const names = (list: readonly string[]): string => `[${list.join(' ')}]`;

const statusOf = (statuses: readonly ContainerStatus[], { name }: Container): ContainerStatus | undefined =>
  statuses.find((status) => status.name === name);

function initialized({ pod, phase, containers, initContainers }: ConditionInput): Finding {
  const unknown: string[] = [];
  const incomplete: string[] = [];
  for (const container of pod.spec?.initContainers ?? []) {
    const status = statusOf(initContainers, container);
    if (status === undefined) unknown.push(container.name);
    else if (isSidecar(container) ? status.started !== true : status.ready !== true) incomplete.push(container.name);
  }
  if (phase === 'Succeeded' && unknown.length === 0) return { status: 'True', reason: 'PodCompleted' };
  // Once a container proper has started, initialization is over for good, even if the runtime has lost what came before.
  const started = containers.some(
    ({ state, lastState }) => state?.running ?? state?.terminated ?? lastState?.terminated,
  );
  if (started) return yes;
  const parts = [
    ...(unknown.length > 0 ? [`containers with unknown status: ${names(unknown)}`] : []),
    ...(incomplete.length > 0 ? [`containers with incomplete status: ${names(incomplete)}`] : []),
  ];
  return parts.length === 0 ? yes : no('ContainersNotInitialized', parts.join(', '));
}

function containersReady({ pod, phase, containers, initContainers }: ConditionInput): Finding {
  if (phase === 'Succeeded') return no('PodCompleted');
  if (phase === 'Failed') return no('PodFailed');
  const unknown: string[] = [];
  const unready: string[] = [];
  const sidecars = (pod.spec?.initContainers ?? []).filter(isSidecar);
  for (const container of sidecars) {
    const status = statusOf(initContainers, container);
    if (status === undefined) unknown.push(container.name);
    else if (!status.ready) unready.push(container.name);
  }
  for (const container of pod.spec?.containers ?? []) {
    const status = statusOf(containers, container);
    if (status === undefined) unknown.push(container.name);
    else if (!status.ready) unready.push(container.name);
  }
  const parts = [
    ...(unknown.length > 0 ? [`containers with unknown status: ${names(unknown)}`] : []),
    ...(unready.length > 0 ? [`containers with unready status: ${names(unready)}`] : []),
  ];
  return parts.length === 0 ? yes : no('ContainersNotReady', parts.join(', '));
}

/** Ready: all containers are, and so says every readiness gate, which others write. */
function ready(pod: Pod, containers: Finding): Finding {
  if (containers.status !== 'True') return containers;
  const parts: string[] = [];
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const gate = pod.status?.conditions?.find(({ type }) => type === conditionType);
    if (gate === undefined)
      parts.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    else if (gate.status !== 'True')
      parts.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`);
  }
  return parts.length === 0 ? yes : no('ReadinessGatesNotReady', parts.join(', '));
}

function readyToStart({ pod, runtime }: ConditionInput): Finding {
  const sandbox = readySandbox(runtime);
  const hasNetwork = pod.spec?.hostNetwork === true || sandboxIps(runtime).length > 0;
  return sandbox !== undefined && hasNetwork ? yes : { status: 'False' };
}

/** The kubelet's conditions; each keeps its transition time unless its status changed since `old`. */
export function podConditions(input: ConditionInput, old: readonly PodCondition[], now: string): PodCondition[] {
  const containers = containersReady(input);
  const findings: Record<(typeof kubeletConditions)[number], Finding> = {
    PodReadyToStartContainers: readyToStart(input),
    Initialized: initialized(input),
    Ready: ready(input.pod, containers),
    ContainersReady: containers,
    PodScheduled: yes,
  };
  const { generation } = input.pod.metadata ?? {};
  return kubeletConditions.map((type) => {
    const finding = findings[type];
    const before = old.find((condition) => condition.type === type);
    const lastTransitionTime = before?.status === finding.status ? before.lastTransitionTime : undefined;
    return {
      type,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      lastProbeTime: null as unknown as string,
      lastTransitionTime: lastTransitionTime ?? now,
      ...finding,
    };
  });
}
