import { parseQuantity } from '../../apimachinery/quantity.ts';
import type { Container, Pod, PodSpec, PodTemplateSpec, Volume } from '../../apimachinery/types/core-v1.ts';
import { dns1123Label } from './names.ts';

/** What is legal in a pod and most likely not meant (`pkg/api/pod` warnings). */

/** Labels of nodes that have a successor. */
const deprecatedNodeLabels: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region': 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone': 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type': 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};

const deprecatedVolumes: { readonly [K in keyof Volume]?: string } = {
  gitRepo: 'deprecated in v1.11, and disabled by default in v1.33+',
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
};

function warnOfContainer(container: Container, at: string, warnings: string[]): void {
  for (const list of ['requests', 'limits'] as const) {
    const memory = container.resources?.[list]?.['memory'];
    if (memory?.endsWith('m') && parseQuantity(memory).milliValue() % 1000n !== 0n) {
      warnings.push(
        `${at}.resources.${list}[memory]: fractional byte value "${memory}" is invalid, must be an integer`,
      );
    }
  }
  const names = new Map<string, number>();
  for (const [index, { name, value }] of (container.env ?? []).entries()) {
    // A variable that refers to the one it hides is meant to build on it.
    if (names.has(name) && !value?.includes(`$(${name})`)) {
      warnings.push(
        `${at}.env[${index}]: hides previous definition of "${name}", which may be dropped when using apply`,
      );
    }
    names.set(name, index);
  }
  const ports = new Map<string, number>();
  for (const [index, { containerPort, protocol, hostIP, hostPort }] of (container.ports ?? []).entries()) {
    const key = [containerPort, protocol, hostIP, hostPort].join('/');
    const first = ports.get(key);
    if (first !== undefined) {
      warnings.push(`${at}.ports[${index}]: duplicate port definition with ${at}.ports[${first}]`);
    } else ports.set(key, index);
  }
}

function warnOfNodeLabels(spec: PodSpec, at: string, warnings: string[]): void {
  for (const key in spec.nodeSelector) {
    const message = deprecatedNodeLabels[key];
    if (message !== undefined) warnings.push(`${at}.nodeSelector[${key}]: ${message}`);
  }
  const field = `${at}.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  for (const [index, term] of terms.entries()) {
    for (const [place, { key }] of (term.matchExpressions ?? []).entries()) {
      const message = deprecatedNodeLabels[key];
      const where = `${field}[${index}].matchExpressions[${place}].key`;
      if (message !== undefined) warnings.push(`${where}: ${key} is ${message}`);
    }
  }
}

function warnOfSpec(spec: PodSpec, at: string, warnings: string[]): void {
  warnOfNodeLabels(spec, at, warnings);
  for (const [index, constraint] of (spec.topologySpreadConstraints ?? []).entries()) {
    if (constraint.labelSelector === undefined) {
      const field = `${at}.topologySpreadConstraints[${index}].labelSelector`;
      warnings.push(`${field}: a null labelSelector results in matching no pod`);
    }
  }
  const aliases = new Set<string>();
  for (const [index, { ip }] of (spec.hostAliases ?? []).entries()) {
    if (aliases.has(ip)) warnings.push(`${at}.hostAliases[${index}].ip: duplicate ip "${ip}"`);
    aliases.add(ip);
  }
  for (const [index, volume] of (spec.volumes ?? []).entries()) {
    for (const source in volume) {
      const message = deprecatedVolumes[source as keyof Volume];
      if (message !== undefined) warnings.push(`${at}.volumes[${index}].${source}: ${message}`);
    }
  }
  const secrets = new Set<string>();
  for (const [index, { name = '' }] of (spec.imagePullSecrets ?? []).entries()) {
    if (name === '') warnings.push(`${at}.imagePullSecrets[${index}]: invalid empty name ""`);
    else if (secrets.has(name)) warnings.push(`${at}.imagePullSecrets[${index}].name: duplicate name "${name}"`);
    secrets.add(name);
  }
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) {
    warnings.push(
      `${at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`,
    );
  }
  for (const list of ['initContainers', 'containers'] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      warnOfContainer(container, `${at}.${list}[${index}]`, warnings);
    }
  }
}

export function podWarnings({ metadata, spec }: Pod): string[] {
  const warnings: string[] = [];
  const messages = dns1123Label(metadata.name ?? '');
  if (metadata.name && messages.length > 0) {
    warnings.push(
      `metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [${messages.join(' ')}]`,
    );
  }
  warnOfSpec(spec, 'spec', warnings);
  return warnings;
}

/** Of a template that is the field `at` of its object. */
export function templateWarnings(template: PodTemplateSpec | undefined, at: string): string[] {
  const warnings: string[] = [];
  if (template?.spec !== undefined) warnOfSpec(template.spec, `${at}.spec`, warnings);
  return warnings;
}
