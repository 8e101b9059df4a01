import { type LabelMatcher, labelSelectorMatcher, matchNothing } from '../apimachinery/label-selector.ts';
import { milliOf, unitsOf } from '../apimachinery/quantity.ts';
import type { Container, Pod, PodAffinityTerm, ResourceRequirements } from '../apimachinery/types/core-v1.ts';

/** Amounts of resources: thousandths of a CPU, bytes, and counts. */
export interface Resources {
  milliCpu: number;
  memory: number;
  ephemeralStorage: number;
  /** Extended resources and huge pages by name; absent when there are none. */
  scalar?: Map<string, number>;
}

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

/** One term of pod (anti-)affinity, ready to match. */
export interface AffinityTerm {
  readonly namespaces: ReadonlySet<string>;
  readonly namespaceSelector: LabelMatcher;
  readonly selector: LabelMatcher;
  readonly topologyKey: string;
  /** Of a preferred term; 0 of a required one. */
  readonly weight: number;
  /** Equal for equal terms. */
  readonly key: string;
}

/** What scheduling needs to know of a pod, worked out once per version of it. */
export interface PodInfo {
  readonly pod: Pod;
  readonly uid: string;
  readonly namespace: string;
  readonly priority: number;
  readonly requests: Resources;
  /** Requests with a floor for those who ask for nothing, so that scores spread them too. */
  readonly nonZeroMilliCpu: number;
  readonly nonZeroMemory: number;
  readonly hostPorts: readonly HostPort[];
  readonly requiredAffinity: readonly AffinityTerm[];
  readonly requiredAntiAffinity: readonly AffinityTerm[];
  readonly preferredAffinity: readonly AffinityTerm[];
  readonly preferredAntiAffinity: readonly AffinityTerm[];
  readonly hasAffinity: boolean;
  /** Claims of its volumes, by name. */
  readonly claims: readonly string[];
}

const defaultMilliCpu = 100;
const defaultMemory = 200 * 1024 * 1024;

const noTerms: readonly AffinityTerm[] = [];
const infos = new WeakMap<Pod, PodInfo>();

export function podInfoOf(pod: Pod): PodInfo {
  let info = infos.get(pod);
  if (info === undefined) {
    info = makePodInfo(pod);
    infos.set(pod, info);
  }
  return info;
}

export function podPriority(pod: Pod): number {
  return pod.spec.priority ?? 0;
}

function makePodInfo(pod: Pod): PodInfo {
  const { affinity } = pod.spec;
  const requests = podRequests(pod);
  const namespace = pod.metadata.namespace ?? '';
  const required = (terms: readonly PodAffinityTerm[] | undefined) =>
    terms?.map((term) => affinityTerm(pod, term, 0)) ?? noTerms;
  const preferred = (terms: readonly { podAffinityTerm: PodAffinityTerm; weight: number }[] | undefined) =>
    terms?.map((term) => affinityTerm(pod, term.podAffinityTerm, term.weight)) ?? noTerms;
  const requiredAffinity = required(affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution);
  const requiredAntiAffinity = required(affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution);
  const preferredAffinity = preferred(affinity?.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution);
  const preferredAntiAffinity = preferred(affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution);
  return {
    pod,
    uid: pod.metadata.uid ?? `${namespace}/${pod.metadata.name}`,
    namespace,
    priority: podPriority(pod),
    requests: requests.total,
    nonZeroMilliCpu: requests.nonZeroMilliCpu,
    nonZeroMemory: requests.nonZeroMemory,
    hostPorts: hostPortsOf(pod),
    requiredAffinity,
    requiredAntiAffinity,
    preferredAffinity,
    preferredAntiAffinity,
    hasAffinity:
      requiredAffinity.length + requiredAntiAffinity.length + preferredAffinity.length + preferredAntiAffinity.length >
      0,
    claims: claimsOf(pod),
  };
}

function affinityTerm(pod: Pod, term: PodAffinityTerm, weight: number): AffinityTerm {
  const { topologyKey, namespaceSelector } = term;
  const explicit = term.namespaces !== undefined && term.namespaces.length > 0;
  const own = !explicit && namespaceSelector === undefined;
  const names = own ? [pod.metadata.namespace ?? ''] : (term.namespaces ?? []);
  const ofNamespaces = namespaceSelector === undefined ? matchNothing : labelSelectorMatcher(namespaceSelector);
  // The API merges matchLabelKeys and mismatchLabelKeys into the selector when the pod is created.
  const selector = labelSelectorMatcher(term.labelSelector);
  return {
    namespaces: new Set(names),
    namespaceSelector: ofNamespaces,
    selector,
    topologyKey,
    weight,
    key: [topologyKey, weight, [...names].sort(), textOf(ofNamespaces), textOf(selector)].join(' '),
  };
}

function textOf(matcher: LabelMatcher): string {
  return matcher.isNothing ? '<nothing>' : matcher.toString();
}

/** True when `pod` is of a namespace and with labels that `term` means; `namespaceLabels` are those of its namespace. */
export function termMatches(
  term: AffinityTerm,
  pod: Pod,
  namespaceLabels: Readonly<Record<string, string>> | undefined,
): boolean {
  return (
    (term.namespaces.has(pod.metadata.namespace ?? '') || term.namespaceSelector.matches(namespaceLabels)) &&
    term.selector.matches(pod.metadata.labels)
  );
}

function hostPortsOf(pod: Pod): HostPort[] {
  const ports: HostPort[] = [];
  for (const container of [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter(isSidecar)]) {
    for (const port of container.ports ?? []) {
      if (port.hostPort !== undefined && port.hostPort > 0) {
        ports.push({ ip: port.hostIP || '0.0.0.0', protocol: port.protocol || 'TCP', port: port.hostPort });
      }
    }
  }
  return ports;
}

function claimsOf(pod: Pod): string[] {
  const claims: string[] = [];
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.persistentVolumeClaim !== undefined) {
      claims.push(volume.persistentVolumeClaim.claimName);
    } else if (volume.ephemeral !== undefined) {
      claims.push(`${pod.metadata.name}-${volume.name}`);
    }
  }
  return claims;
}

function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

interface Request extends Resources {
  nonZeroMilliCpu: number;
  nonZeroMemory: number;
}

function requestOf(resources: ResourceRequirements | undefined): Request {
  const request: Request = { milliCpu: 0, memory: 0, ephemeralStorage: 0, nonZeroMilliCpu: 0, nonZeroMemory: 0 };
  const requests = resources?.requests;
  for (const name in requests) {
    addAmount(request, name, requests[name]!);
  }
  request.nonZeroMilliCpu = requests?.['cpu'] === undefined ? defaultMilliCpu : request.milliCpu;
  request.nonZeroMemory = requests?.['memory'] === undefined ? defaultMemory : request.memory;
  return request;
}

function addAmount(resources: Resources, name: string, amount: string): void {
  switch (name) {
    case 'cpu':
      resources.milliCpu += milliOf(amount);
      break;
    case 'memory':
      resources.memory += unitsOf(amount);
      break;
    case 'ephemeral-storage':
      resources.ephemeralStorage += unitsOf(amount);
      break;
    case 'pods':
      break;
    default:
      resources.scalar ??= new Map();
      resources.scalar.set(name, (resources.scalar.get(name) ?? 0) + unitsOf(amount));
  }
}

/** The amounts of a ResourceList, such as a node's allocatable; `pods` is not among them. */
export function resourcesOf(list: Readonly<Record<string, string>> | undefined): Resources {
  const resources: Resources = { milliCpu: 0, memory: 0, ephemeralStorage: 0 };
  for (const name in list) {
    addAmount(resources, name, list[name]!);
  }
  return resources;
}

const counts = ['milliCpu', 'memory', 'ephemeralStorage', 'nonZeroMilliCpu', 'nonZeroMemory'] as const;

function combine(a: Request, b: Request, how: (x: number, y: number) => number): Request {
  const result: Request = { ...a };
  for (const name of counts) {
    result[name] = how(a[name], b[name]);
  }
  if (a.scalar !== undefined || b.scalar !== undefined) {
    const scalar = new Map(a.scalar);
    for (const [name, amount] of b.scalar ?? []) {
      scalar.set(name, how(scalar.get(name) ?? 0, amount));
    }
    result.scalar = scalar;
  }
  return result;
}

const sum = (x: number, y: number): number => x + y;

/**
 * What a pod takes while it runs: its containers together, or its greediest init container with the sidecars
 * started before it, whichever is more; then what is set for the pod as a whole, and its overhead.
 */
function podRequests(pod: Pod): { total: Resources; nonZeroMilliCpu: number; nonZeroMemory: number } {
  const { containers, initContainers = [], overhead } = pod.spec;
  const none: Request = { milliCpu: 0, memory: 0, ephemeralStorage: 0, nonZeroMilliCpu: 0, nonZeroMemory: 0 };
  let running = none;
  for (const container of containers) {
    running = combine(running, requestOf(container.resources), sum);
  }
  let sidecars = none;
  let starting = none;
  for (const container of initContainers) {
    const request = requestOf(container.resources);
    if (isSidecar(container)) {
      running = combine(running, request, sum);
      sidecars = combine(sidecars, request, sum);
      starting = combine(starting, sidecars, Math.max);
    } else {
      starting = combine(starting, combine(sidecars, request, sum), Math.max);
    }
  }
  let total = combine(running, starting, Math.max);
  const podLevel = pod.spec.resources?.requests;
  if (podLevel !== undefined) {
    const whole = requestOf(pod.spec.resources);
    total = {
      ...total,
      ...(podLevel['cpu'] === undefined ? {} : { milliCpu: whole.milliCpu, nonZeroMilliCpu: whole.milliCpu }),
      ...(podLevel['memory'] === undefined ? {} : { memory: whole.memory, nonZeroMemory: whole.memory }),
      ...(whole.scalar === undefined ? {} : { scalar: new Map([...(total.scalar ?? []), ...whole.scalar]) }),
    };
  }
  if (overhead !== undefined) {
    const more = resourcesOf(overhead);
    total = combine(total, { ...more, nonZeroMilliCpu: more.milliCpu, nonZeroMemory: more.memory }, sum);
  }
  const { nonZeroMilliCpu, nonZeroMemory, ...resources } = total;
  return { total: resources, nonZeroMilliCpu, nonZeroMemory };
}
