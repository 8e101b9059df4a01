import type { KubernetesObject } from '../../../apimachinery/resource.ts';
import type { Namespace, Pod, PodSpec, PodTemplateSpec } from '../../../apimachinery/types/core-v1.ts';
import type { ObjectMeta } from '../../../apimachinery/types/meta-v1.ts';
import { jsonEqual } from '../../registry/deep-equal.ts';
import type { Registry } from '../../registry/registry.ts';
import { forbidden, invalid } from '../../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { type Violation, violations } from './checks.ts';
import { describeLevel, isStricter, type LevelVersion, type Policy, policyOf } from './policy.ts';

interface Template {
  readonly metadata?: ObjectMeta;
  readonly spec?: PodSpec;
}

type WithTemplate = { spec?: { template?: PodTemplateSpec } };
const ofSpec = (object: KubernetesObject): Template | undefined => (object as WithTemplate).spec?.template;

/** Where a kind keeps the pods it makes. */
const templates: Readonly<Record<string, (object: KubernetesObject) => Template | undefined>> = {
  replicationcontrollers: ofSpec,
  podtemplates: (object) => (object as { template?: PodTemplateSpec }).template,
  'replicasets.apps': ofSpec,
  'deployments.apps': ofSpec,
  'statefulsets.apps': ofSpec,
  'daemonsets.apps': ofSpec,
  'jobs.batch': ofSpec,
  'cronjobs.batch': (object) => (object as { spec?: { jobTemplate?: WithTemplate } }).spec?.jobTemplate?.spec?.template,
};

/** Pod subresources whose writes change the pod's specification. */
const evaluatedSubresources: ReadonlySet<string> = new Set(['', 'ephemeralcontainers', 'resize']);
const maxPodsToCheck = 3000;

/**
 * The Pod Security Standards as the labels of a namespace ask for them: pods are refused or warned about, what would make such
 * pods is warned about, and the labels themselves are checked.
 */
export function podSecurity(registry: () => Registry): AdmissionPlugin {
  const namespacePolicy = (name: string): Policy => {
    const row = registry().require('', 'v1', 'namespaces');
    return policyOf(registry().objects.cached(row, name)?.object.metadata?.labels);
  };
  return {
    name: 'PodSecurity',
    operations: ['CREATE', 'UPDATE'],
    resources: ['pods', 'namespaces', ...Object.keys(templates)],
    validate(request) {
      const { row, object, subresource, namespace } = request;
      const { group, resource } = row.handle;
      if (group === '' && resource === 'namespaces') {
        if (subresource === '') checkNamespace(request, registry());
        return;
      }
      if (resource === 'pods') {
        if (!evaluatedSubresources.has(subresource) || !isSignificant(request)) return;
        checkPod(request, namespacePolicy(namespace));
        return;
      }
      if (subresource !== '') return;
      const template = templates[group === '' ? resource : `${resource}.${group}`]!(object!);
      if (template?.spec !== undefined)
        warnOf(request, namespacePolicy(namespace).warn, template.metadata, template.spec);
    },
  };
}

const listed = (found: readonly Violation[]): string =>
  found.map(({ reason, detail }) => (detail === '' ? reason : `${reason} (${detail})`)).join(', ');

function checkPod(request: AdmissionRequest, { enforce, warn }: Policy): void {
  const pod = request.object as Pod;
  const found = violations(enforce, pod.metadata, pod.spec);
  if (found.length > 0) {
    const name = request.name || (pod.metadata.name ?? '');
    throw forbidden(
      request.row.handle,
      name,
      `violates PodSecurity ${JSON.stringify(describeLevel(enforce))}: ${listed(found)}`,
    );
  }
  warnOf(request, warn, pod.metadata, pod.spec);
}

function warnOf(
  { warn }: AdmissionRequest,
  level: LevelVersion,
  metadata: ObjectMeta | undefined,
  spec: PodSpec,
): void {
  const found = violations(level, metadata, spec);
  if (found.length > 0) warn(`would violate PodSecurity ${JSON.stringify(describeLevel(level))}: ${listed(found)}`);
}

/** Of what may change in a pod that runs, images, containers and profiles matter. */
function isSignificant({ operation, object, old }: AdmissionRequest): boolean {
  if (operation !== 'UPDATE' || old === undefined) return true;
  const relevant = ({ metadata, spec }: Pod) => ({
    annotations: Object.entries(metadata.annotations ?? {})
      .filter(([key]) => /(apparmor|seccomp)\.security\./.test(key))
      .sort(),
    containers: [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...(spec.ephemeralContainers ?? [])].map(
      ({ name, image }) => ({ name, image }),
    ),
  });
  return !jsonEqual(relevant(object as Pod), relevant(old as Pod));
}

function checkNamespace({ row, name, object, old, operation, warn }: AdmissionRequest, registry: Registry): void {
  const namespace = object as Namespace;
  const policy = policyOf(namespace.metadata?.labels);
  const before = operation === 'UPDATE' ? policyOf((old as Namespace).metadata?.labels) : undefined;
  if (policy.errors.length > 0 && !jsonEqual(policy.errors, before?.errors ?? [])) {
    throw invalid(row.handle, name || (namespace.metadata?.name ?? ''), policy.errors);
  }
  if (before === undefined || jsonEqual(policy.enforce, before.enforce) || policy.enforce.level === 'privileged')
    return;
  const sameVersion = policy.enforce.minor === before.enforce.minor;
  if (sameVersion && !isStricter(policy.enforce.level, before.enforce.level)) return;
  for (const text of warningsAboutPods(name, policy.enforce, registry)) warn(text);
}

/** What runs in a namespace already and would not be let in any more: one line for each set of broken rules. */
function warningsAboutPods(namespace: string, level: LevelVersion, registry: Registry): string[] {
  const pods = registry.hub.cacheOf(registry.require('', 'v1', 'pods')).list(namespace);
  const byRules = new Map<string, string[]>();
  for (const { object } of pods.slice(0, maxPodsToCheck)) {
    const pod = object as Pod;
    const found = violations(level, pod.metadata, pod.spec);
    if (found.length === 0) continue;
    const rules = found.map(({ reason }) => reason).join(', ');
    byRules.set(rules, [...(byRules.get(rules) ?? []), pod.metadata.name ?? '']);
  }
  if (byRules.size === 0) return [];
  const lines = [...byRules].map(([rules, [first, ...others]]) => {
    const more = others.length === 0 ? '' : ` (and ${others.length} other ${others.length === 1 ? 'pod' : 'pods'})`;
    return `${first}${more}: ${rules}`;
  });
  return [
    ...(pods.length > maxPodsToCheck
      ? [
          `new PodSecurity enforce level only checked against the first ${maxPodsToCheck} of ${pods.length} existing pods`,
        ]
      : []),
    `existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${JSON.stringify(describeLevel(level))}`,
    ...lines.sort(),
  ];
}
