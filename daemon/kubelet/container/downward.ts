import { parseQuantity, type Quantity } from '../../apimachinery/quantity.ts';
import type { Container, Pod, ResourceFieldSelector } from '../../apimachinery/types/core-v1.ts';

/** What the downward API knows about a pod beyond its spec. */
export interface DownwardFacts {
  readonly podIps: readonly string[];
  readonly hostIps: readonly string[];
  /** Stands in for a limit that is not set. */
  readonly nodeAllocatable: Readonly<Record<string, string>>;
}

/** The form of labels and annotations in a downward API file: sorted `key="value"` lines. */
export function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}

const fields: Readonly<Record<string, (pod: Pod, facts: DownwardFacts) => string>> = {
  'metadata.name': (pod) => pod.metadata?.name ?? '',
  'metadata.namespace': (pod) => pod.metadata?.namespace ?? '',
  'metadata.uid': (pod) => pod.metadata?.uid ?? '',
  'metadata.labels': (pod) => formatMap(pod.metadata?.labels),
  'metadata.annotations': (pod) => formatMap(pod.metadata?.annotations),
  'spec.nodeName': (pod) => pod.spec?.nodeName ?? '',
  'spec.serviceAccountName': (pod) => pod.spec?.serviceAccountName ?? '',
  'status.hostIP': (_, facts) => facts.hostIps[0] ?? '',
  'status.hostIPs': (_, facts) => facts.hostIps.join(','),
  'status.podIP': (_, facts) => facts.podIps[0] ?? '',
  'status.podIPs': (_, facts) => facts.podIps.join(','),
};

/** The value of a `fieldRef`. Throws when the path names no field that pods expose. */
export function fieldValue(pod: Pod, path: string, facts: DownwardFacts): string {
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (subscript !== null) return pod.metadata?.[subscript[1] as 'labels' | 'annotations']?.[subscript[2] ?? ''] ?? '';
  const read = fields[path];
  if (read === undefined) throw new Error(`unsupported fieldPath: ${path}`);
  return read(pod, facts);
}

/** The value of a `resourceFieldRef`: the amount in units of the divisor, rounded up. Throws for an unknown container. */
export function resourceValue(pod: Pod, ref: ResourceFieldSelector, facts: DownwardFacts, self?: Container): string {
  const name = ref.containerName ?? '';
  const container =
    name === ''
      ? self
      : [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].find((one) => one.name === name);
  if (container === undefined) throw new Error(`container ${name} not found`);
  const match = /^(limits|requests)\.(.+)$/.exec(ref.resource);
  if (match === null) throw new Error(`unsupported container resource : ${ref.resource}`);
  const [, kind, resource = ''] = match;
  const set = container.resources?.[kind as 'limits' | 'requests']?.[resource];
  const text = set ?? (kind === 'limits' ? facts.nodeAllocatable[resource] : undefined) ?? '0';
  const divisor = parseQuantity(ref.divisor === undefined || ref.divisor === '0' ? '1' : ref.divisor);
  return ceilingDivision(parseQuantity(text), divisor);
}

function ceilingDivision(amount: Quantity, divisor: Quantity): string {
  return String((amount.nanos + divisor.nanos - 1n) / divisor.nanos);
}
