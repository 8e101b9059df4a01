import { type Labels, labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import type { Namespace, Pod } from '../../apimachinery/types/core-v1.ts';
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '../../apimachinery/types/networking-v1.ts';

export type Direction = 'ingress' | 'egress';

/** One `from`/`to` with its `ports`, resolved to addresses. What is undefined matches everything. */
export interface PolicyRule {
  /** Unique, and the same as long as the policy has it. */
  readonly key: string;
  readonly peers: { readonly ips: readonly string[]; readonly blocks: readonly IpBlock[] } | undefined;
  readonly ports: { readonly ranges: readonly PortRange[]; readonly named: readonly NamedPort[] } | undefined;
}

export interface IpBlock {
  readonly cidr: string;
  readonly except: readonly string[];
}

export interface PortRange {
  readonly protocol: string;
  readonly first: number;
  readonly last: number;
}

/** A port by its name leads to another number in each pod. */
export interface NamedPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

/** Pods that are selected by the same policies share their rules: what none of them allows is dropped. */
export interface DirectionRules {
  /** Address of each isolated pod of this node to its group. */
  readonly pods: ReadonlyMap<string, string>;
  readonly groups: ReadonlyMap<string, readonly PolicyRule[]>;
}

export interface PolicyRules {
  readonly ingress: DirectionRules;
  readonly egress: DirectionRules;
  /** Addresses of this node's pods that are isolated in any direction: a pod always reaches itself. */
  readonly isolated: readonly string[];
}

interface KnownPod {
  readonly namespace: string;
  readonly labels: Labels;
  readonly ips: readonly string[];
  readonly local: boolean;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

export interface PolicyInput {
  readonly nodeName: string;
  readonly policies: readonly NetworkPolicy[];
  readonly pods: readonly Pod[];
  readonly namespaces: readonly Namespace[];
}

const allPorts = { first: 0, last: 65_535 };

/** What the policies of the cluster mean for the pods of one node. Pure. */
export function policyRules(input: PolicyInput): PolicyRules {
  const pods = input.pods.flatMap((pod) => knownPod(pod, input.nodeName));
  const namespaces = new Map(input.namespaces.map((one) => [one.metadata?.name ?? '', one.metadata?.labels ?? {}]));
  const ingress = directionRules('ingress', input.policies, pods, namespaces);
  const egress = directionRules('egress', input.policies, pods, namespaces);
  return { ingress, egress, isolated: [...new Set([...ingress.pods.keys(), ...egress.pods.keys()])].sort() };
}

function directionRules(
  direction: Direction,
  policies: readonly NetworkPolicy[],
  pods: readonly KnownPod[],
  namespaces: ReadonlyMap<string, Labels>,
): DirectionRules {
  const selecting = new Map<KnownPod, NetworkPolicy[]>();
  const applicable = policies.filter((policy) => appliesTo(policy, direction));
  for (const policy of applicable) {
    const selector = labelSelectorMatcher(policy.spec.podSelector ?? {});
    for (const pod of pods) {
      if (!pod.local || pod.namespace !== policy.metadata.namespace || !selector.matches(pod.labels)) continue;
      selecting.set(pod, [...(selecting.get(pod) ?? []), policy]);
    }
  }
  const resolved = new Map<NetworkPolicy, PolicyRule[]>();
  const rulesOf = (policy: NetworkPolicy): PolicyRule[] => {
    const known = resolved.get(policy);
    if (known !== undefined) return known;
    const rules = resolve(direction, policy, pods, namespaces);
    resolved.set(policy, rules);
    return rules;
  };
  const byIp = new Map<string, string>();
  const groups = new Map<string, readonly PolicyRule[]>();
  for (const [pod, selectedBy] of selecting) {
    const sorted = [...selectedBy].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    const group = sorted.map(nameOf).join(' ');
    if (!groups.has(group)) groups.set(group, sorted.flatMap(rulesOf));
    for (const ip of pod.ips) byIp.set(ip, group);
  }
  return { pods: byIp, groups };
}

function appliesTo(policy: NetworkPolicy, direction: Direction): boolean {
  const types = policy.spec.policyTypes ?? [];
  if (types.length > 0) return types.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
  return direction === 'ingress' || (policy.spec.egress ?? []).length > 0;
}

function resolve(
  direction: Direction,
  policy: NetworkPolicy,
  pods: readonly KnownPod[],
  namespaces: ReadonlyMap<string, Labels>,
): PolicyRule[] {
  const rules =
    direction === 'ingress'
      ? (policy.spec.ingress ?? []).map((rule) => ({ peers: rule.from, ports: rule.ports }))
      : (policy.spec.egress ?? []).map((rule) => ({ peers: rule.to, ports: rule.ports }));
  const selector = labelSelectorMatcher(policy.spec.podSelector ?? {});
  const selected = pods.filter((pod) => pod.namespace === policy.metadata.namespace && selector.matches(pod.labels));
  return rules.map(({ peers, ports }, index) => {
    const everybody = peers === undefined || peers.length === 0;
    const matching = everybody
      ? pods
      : pods.filter((pod) => peers.some((peer) => isPeer(peer, pod, policy, namespaces)));
    return {
      key: `${direction}/${nameOf(policy)}/${index}`,
      peers: everybody
        ? undefined
        : {
            ips: matching.flatMap((pod) => pod.ips).sort(),
            blocks: peers.flatMap(({ ipBlock }) =>
              ipBlock === undefined ? [] : [{ cidr: ipBlock.cidr, except: ipBlock.except ?? [] }],
            ),
          },
      ports: resolvePorts(ports, direction === 'ingress' ? selected : matching),
    };
  });
}

function isPeer(
  peer: NetworkPolicyPeer,
  pod: KnownPod,
  policy: NetworkPolicy,
  namespaces: ReadonlyMap<string, Labels>,
): boolean {
  if (peer.ipBlock !== undefined) return false;
  if (peer.namespaceSelector === undefined) {
    if (pod.namespace !== policy.metadata.namespace) return false;
  } else {
    const labels = namespaces.get(pod.namespace);
    if (labels === undefined || !labelSelectorMatcher(peer.namespaceSelector).matches(labels)) return false;
  }
  return peer.podSelector === undefined || labelSelectorMatcher(peer.podSelector).matches(pod.labels);
}

function resolvePorts(
  ports: readonly NetworkPolicyPort[] | undefined,
  destinations: readonly KnownPod[],
): PolicyRule['ports'] {
  if (ports === undefined || ports.length === 0) return undefined;
  const ranges: PortRange[] = [];
  const named: NamedPort[] = [];
  for (const { port, endPort, protocol = 'TCP' } of ports) {
    if (port === undefined) ranges.push({ protocol, ...allPorts });
    else if (typeof port === 'number') ranges.push({ protocol, first: port, last: endPort ?? port });
    else {
      for (const pod of destinations) {
        for (const candidate of pod.ports) {
          if (candidate.name !== port || candidate.protocol !== protocol) continue;
          for (const ip of pod.ips) named.push({ ip, protocol, port: candidate.port });
        }
      }
    }
  }
  return { ranges, named };
}

function nameOf(policy: NetworkPolicy): string {
  return `${policy.metadata.namespace ?? ''}/${policy.metadata.name ?? ''}`;
}

/** Pods with addresses of their own: those on the host's network are the host to a policy, and ended ones are nobody. */
function knownPod(pod: Pod, nodeName: string): KnownPod[] {
  const phase = pod.status?.phase;
  if (pod.spec?.hostNetwork === true || phase === 'Succeeded' || phase === 'Failed') return [];
  const podIps = (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  const ips = podIps.length > 0 ? podIps : pod.status?.podIP === undefined ? [] : [pod.status.podIP];
  if (ips.length === 0) return [];
  const ports = (pod.spec?.containers ?? []).flatMap((container) =>
    (container.ports ?? []).flatMap(({ name, protocol = 'TCP', containerPort }) =>
      name === undefined ? [] : [{ name, protocol, port: containerPort }],
    ),
  );
  return [
    {
      namespace: pod.metadata?.namespace ?? '',
      labels: pod.metadata?.labels ?? {},
      ips,
      local: pod.spec?.nodeName === nodeName,
      ports,
    },
  ];
}
