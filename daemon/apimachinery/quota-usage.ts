import { isPodTerminal } from './conditions.ts';
import { parseQuantity, Quantity } from './quantity.ts';
import type { KubernetesObject, Resource } from './resource.ts';
import { parseTime } from './time.ts';
import type { Container, PersistentVolumeClaim, Pod, ResourceQuotaSpec, Service } from './types/core-v1.ts';

/** Amounts by the name a ResourceQuota limits them under: `requests.cpu`, `count/jobs.batch`, `services.nodeports`. */
export type Usage = Map<string, Quantity>;

const one = Quantity.of(1);

function addTo(usage: Usage, name: string, amount: Quantity): void {
  usage.set(name, (usage.get(name) ?? new Quantity(0n, amount.format)).add(amount));
}

export function addUsage(total: Usage, more: Usage): void {
  for (const [name, amount] of more) addTo(total, name, amount);
}

/** Core kinds that are also counted under their bare name. */
const bareCounts: ReadonlySet<string> = new Set([
  'configmaps',
  'persistentvolumeclaims',
  'pods',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'services',
]);

/** What one object uses of a quota. A pod that has finished uses only its place among the objects. */
export function usageOf(resource: Resource, object: KubernetesObject, now: Date): Usage {
  const name = resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
  const usage: Usage = new Map([[`count/${name}`, one]]);
  if (resource.group !== '') return usage;
  if (resource.resource === 'pods') {
    addPod(usage, object as Pod, now);
  } else if (bareCounts.has(resource.resource)) {
    usage.set(resource.resource, one);
  }
  if (resource.resource === 'services') addService(usage, object as Service);
  if (resource.resource === 'persistentvolumeclaims') addClaim(usage, object as PersistentVolumeClaim);
  return usage;
}

function addPod(usage: Usage, pod: Pod, now: Date): void {
  if (isPodTerminal(pod) || isOverdue(pod, now)) return;
  usage.set('pods', one);
  for (const [kind, amounts] of [
    ['requests', podAmounts(pod, 'requests')],
    ['limits', podAmounts(pod, 'limits')],
  ] as const) {
    for (const [name, amount] of amounts) {
      usage.set(`${kind}.${name}`, amount);
      if (kind === 'requests' && ['cpu', 'memory', 'ephemeral-storage'].includes(name)) usage.set(name, amount);
    }
  }
}

/** Its grace period has passed and it is still there: its node is lost, and must not hold the namespace's quota. */
function isOverdue(pod: Pod, now: Date): boolean {
  const deletedAt = parseTime(pod.metadata.deletionTimestamp);
  const grace = pod.metadata.deletionGracePeriodSeconds;
  return deletedAt !== undefined && grace !== undefined && deletedAt + grace * 1000 < now.getTime();
}

/** The sum over the containers, or what the greatest init container needs if that is more; sidecars run beside both. */
function podAmounts(pod: Pod, kind: 'requests' | 'limits'): Usage {
  const of = (container: Container): Usage =>
    new Map(Object.entries(container.resources?.[kind] ?? {}).map(([name, text]) => [name, parseQuantity(text)]));
  const total: Usage = new Map();
  const sidecars: Usage = new Map();
  const peak: Usage = new Map();
  for (const container of pod.spec.initContainers ?? []) {
    if (container.restartPolicy === 'Always') {
      addUsage(total, of(container));
      addUsage(sidecars, of(container));
      raise(peak, sidecars);
    } else {
      const needed = new Map(sidecars);
      addUsage(needed, of(container));
      raise(peak, needed);
    }
  }
  for (const container of pod.spec.containers) addUsage(total, of(container));
  raise(total, peak);
  const overhead = Object.entries(pod.spec.overhead ?? {});
  for (const [name, text] of overhead) {
    if (kind === 'requests' || total.has(name)) addTo(total, name, parseQuantity(text));
  }
  return total;
}

function raise(usage: Usage, floor: Usage): void {
  for (const [name, amount] of floor) {
    const current = usage.get(name);
    if (current === undefined || current.compare(amount) < 0) usage.set(name, amount);
  }
}

function addService(usage: Usage, service: Service): void {
  const { type, ports = [], allocateLoadBalancerNodePorts } = service.spec ?? {};
  if (type === 'LoadBalancer') usage.set('services.loadbalancers', one);
  if (type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts !== false)) {
    usage.set('services.nodeports', Quantity.of(ports.length));
  } else if (type === 'LoadBalancer') {
    usage.set('services.nodeports', Quantity.of(ports.filter((port) => (port.nodePort ?? 0) !== 0).length));
  }
}

function addClaim(usage: Usage, claim: PersistentVolumeClaim): void {
  const storage = claim.spec.resources?.requests?.['storage'];
  const className = claim.spec.storageClassName ?? '';
  const prefix = `${className}.storageclass.storage.k8s.io/`;
  if (className !== '') usage.set(`${prefix}persistentvolumeclaims`, one);
  if (storage === undefined) return;
  usage.set('requests.storage', parseQuantity(storage));
  if (className !== '') usage.set(`${prefix}requests.storage`, parseQuantity(storage));
}

/** Whether the quota's scopes take in this object. Scopes speak of pods alone (but for volume attribute classes). */
export function inScope(spec: ResourceQuotaSpec | undefined, resource: Resource, object: KubernetesObject): boolean {
  const requirements = [
    ...(spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists', values: undefined })),
    ...(spec?.scopeSelector?.matchExpressions ?? []),
  ];
  if (requirements.length === 0) return true;
  if (resource.group !== '' || resource.resource !== 'pods') return false;
  const pod = object as Pod;
  return requirements.every(({ scopeName, operator, values = [] }) => {
    switch (scopeName) {
      case 'Terminating':
        return (pod.spec.activeDeadlineSeconds ?? -1) >= 0;
      case 'NotTerminating':
        return pod.spec.activeDeadlineSeconds === undefined;
      case 'BestEffort':
        return isBestEffort(pod);
      case 'NotBestEffort':
        return !isBestEffort(pod);
      case 'CrossNamespacePodAffinity':
        return usesCrossNamespaceAffinity(pod);
      case 'PriorityClass': {
        const name = pod.spec.priorityClassName ?? '';
        if (operator === 'In') return values.includes(name);
        if (operator === 'NotIn') return !values.includes(name);
        return operator === 'Exists' ? name !== '' : name === '';
      }
      default:
        return false;
    }
  });
}

function isBestEffort(pod: Pod): boolean {
  return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].every(({ resources }) =>
    [resources?.requests, resources?.limits].every(
      (list) => list?.['cpu'] === undefined && list?.['memory'] === undefined,
    ),
  );
}

function usesCrossNamespaceAffinity(pod: Pod): boolean {
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  const terms = [podAffinity, podAntiAffinity].flatMap((affinity) => [
    ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ podAffinityTerm }) => podAffinityTerm),
  ]);
  return terms.some((term) => (term.namespaces ?? []).length > 0 || term.namespaceSelector !== undefined);
}
