import { formatTime } from '../../apimachinery/time.ts';
import type {
  ContainerImage,
  NodeAddress,
  NodeCondition,
  NodeStatus,
  NodeSystemInfo,
} from '../../apimachinery/types/core-v1.ts';
import type { Image } from '../runtime.ts';
import type { HostResources } from './host-facts.ts';

const MAX_IMAGES = 50;
const MAX_NAMES_PER_IMAGE = 5;

export interface Pressures {
  readonly memory: boolean;
  readonly disk: boolean;
  readonly pid: boolean;
}

export interface NodeFacts {
  readonly addresses: readonly NodeAddress[];
  readonly port: number;
  readonly info: NodeSystemInfo;
  readonly resources: HostResources;
  readonly images: readonly Image[];
  readonly pressures: Pressures;
  /** Why the node cannot run pods; undefined when it can. */
  readonly problem: string | undefined;
}

interface ConditionText {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

const pressureTexts = {
  MemoryPressure: {
    clear: ['KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    pressed: ['KubeletHasInsufficientMemory', 'kubelet has insufficient memory available'],
  },
  DiskPressure: {
    clear: ['KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    pressed: ['KubeletHasDiskPressure', 'kubelet has disk pressure'],
  },
  PIDPressure: {
    clear: ['KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
    pressed: ['KubeletHasInsufficientPID', 'kubelet has insufficient PID available'],
  },
} as const;

type PressureType = keyof typeof pressureTexts;

function pressure(type: PressureType, pressed: boolean): ConditionText {
  const [reason, message] = pressureTexts[type][pressed ? 'pressed' : 'clear'];
  return { status: pressed ? 'True' : 'False', reason, message };
}

function findings({ pressures, problem }: NodeFacts): [string, ConditionText][] {
  const ready: ConditionText =
    problem === undefined
      ? { status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : { status: 'False', reason: 'KubeletNotReady', message: problem };
  return [
    ['MemoryPressure', pressure('MemoryPressure', pressures.memory)],
    ['DiskPressure', pressure('DiskPressure', pressures.disk)],
    ['PIDPressure', pressure('PIDPressure', pressures.pid)],
    ['Ready', ready],
  ];
}

/** The kubelet's conditions with fresh heartbeats; those of others stay as they are. */
export function nodeConditions(facts: NodeFacts, old: readonly NodeCondition[], now: Date): NodeCondition[] {
  const time = formatTime(now);
  const ours = findings(facts).map(([type, text]): NodeCondition => {
    const before = old.find((condition) => condition.type === type);
    const since = before?.status === text.status ? before.lastTransitionTime : undefined;
    return { type, ...text, lastHeartbeatTime: time, lastTransitionTime: since ?? time };
  });
  const types = new Set(ours.map(({ type }) => type));
  return [...old.filter(({ type }) => !types.has(type)), ...ours];
}

function nodeImages(images: readonly Image[]): ContainerImage[] {
  return [...images]
    .sort((a, b) => (a.size < b.size ? 1 : a.size > b.size ? -1 : 0))
    .slice(0, MAX_IMAGES)
    .map(({ repoDigests, repoTags, size }) => ({
      names: [...repoDigests, ...repoTags].slice(0, MAX_NAMES_PER_IMAGE),
      sizeBytes: Number(size),
    }));
}

/** All of a node's status that the kubelet writes. */
export function nodeStatus(facts: NodeFacts, old: NodeStatus, now: Date = new Date()): NodeStatus {
  return {
    ...old,
    addresses: [...facts.addresses],
    capacity: { ...facts.resources.capacity },
    allocatable: { ...facts.resources.allocatable },
    conditions: nodeConditions(facts, old.conditions ?? [], now),
    daemonEndpoints: { kubeletEndpoint: { Port: facts.port } },
    nodeInfo: facts.info,
    images: nodeImages(facts.images),
    runtimeHandlers: [{ name: '', features: { recursiveReadOnlyMounts: false, userNamespaces: false } }],
  };
}

/** Whether two statuses differ by more than heartbeats. */
export function differs(a: NodeStatus, b: NodeStatus): boolean {
  const strip = ({ conditions = [], ...rest }: NodeStatus): string =>
    JSON.stringify({ ...rest, conditions: conditions.map(({ lastHeartbeatTime: _, ...one }) => one) });
  return strip(a) !== strip(b);
}
