import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  Subject,
} from '../../apimachinery/types/rbac-v1.ts';
import {
  clusterRoleBindings,
  clusterRoles,
  type DefaultBinding,
  type DefaultRole,
  roleBindings,
  roles,
} from '../authorization/default-roles.ts';
import { uncovered } from '../authorization/policy-rule.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { Registry } from '../registry/registry.ts';
import { ensure, selfWrite } from './bootstrap.ts';

const group = 'rbac.authorization.k8s.io';
const bootstrapLabel = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const autoUpdate = 'rbac.authorization.kubernetes.io/autoupdate';

function metadataOf({
  name,
  namespace,
  labels,
}: {
  name: string;
  namespace?: string;
  labels?: Readonly<Record<string, string>>;
}) {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    labels: { ...bootstrapLabel, ...labels },
    annotations: { [autoUpdate]: 'true' },
  };
}

function roleObject(role: DefaultRole): ClusterRole | Role {
  return {
    metadata: metadataOf(role),
    rules: role.aggregates === undefined ? role.rules.map((rule) => ({ ...rule })) : aggregated(role.aggregates),
    ...(role.aggregates === undefined
      ? {}
      : {
          aggregationRule: {
            clusterRoleSelectors: role.aggregates.map((label) => ({ matchLabels: { [label]: 'true' } })),
          },
        }),
  };
}

/** The rules of the shipped roles that carry one of the labels, and of those they aggregate. */
function aggregated(labels: readonly string[]): PolicyRule[] {
  return clusterRoles
    .filter((role) => labels.some((label) => role.labels?.[label] === 'true'))
    .flatMap((role) => (role.aggregates === undefined ? [...role.rules] : aggregated(role.aggregates)));
}

function bindingObject(binding: DefaultBinding): ClusterRoleBinding | RoleBinding {
  const subjects: Subject[] = [
    ...(binding.groups ?? []).map((name) => ({ kind: 'Group', apiGroup: group, name })),
    ...(binding.users ?? []).map((name) => ({ kind: 'User', apiGroup: group, name })),
    ...(binding.serviceAccounts ?? []).map((account) => {
      const [namespace, name] = account.split('/') as [string, string];
      return { kind: 'ServiceAccount', namespace, name };
    }),
  ];
  const kind = binding.namespace === undefined ? 'ClusterRole' : (binding.roleKind ?? 'Role');
  return {
    metadata: metadataOf(binding),
    roleRef: { apiGroup: group, kind, name: binding.role },
    ...(subjects.length === 0 ? {} : { subjects }),
  };
}

/** Adds the rules and labels that are missing; what else is there was put there by someone. */
function mergeRole(current: KubernetesObject, wanted: ClusterRole | Role): KubernetesObject {
  const next = cloneObject(current) as ClusterRole;
  if (next.metadata.annotations?.[autoUpdate] === 'false') return next;
  next.metadata.labels = { ...next.metadata.labels, ...wanted.metadata.labels };
  if ((wanted as ClusterRole).aggregationRule !== undefined) return next;
  const missing = uncovered(next.rules ?? [], wanted.rules ?? []);
  if (missing.length > 0) next.rules = [...(next.rules ?? []), ...missing];
  return next;
}

function mergeBinding(current: KubernetesObject, wanted: ClusterRoleBinding | RoleBinding): KubernetesObject {
  const next = cloneObject(current) as ClusterRoleBinding;
  if (next.metadata.annotations?.[autoUpdate] === 'false') return next;
  const key = (subject: Subject) => `${subject.kind}/${subject.namespace ?? ''}/${subject.name}`;
  const known = new Set((next.subjects ?? []).map(key));
  const missing = (wanted.subjects ?? []).filter((subject) => !known.has(key(subject)));
  if (missing.length > 0) next.subjects = [...(next.subjects ?? []), ...missing];
  return next;
}

/** Brings the shipped roles and bindings to the cluster. */
export async function reconcileDefaultPolicy(registry: Registry): Promise<void> {
  await each(registry, 'clusterroles', clusterRoles.map(roleObject), mergeRole);
  await each(registry, 'clusterrolebindings', clusterRoleBindings.map(bindingObject), mergeBinding);
  await each(registry, 'roles', roles.map(roleObject), mergeRole);
  await each(registry, 'rolebindings', roleBindings.map(bindingObject), mergeBinding);
}

async function each<T extends KubernetesObject>(
  registry: Registry,
  resource: string,
  objects: readonly T[],
  merge: (current: KubernetesObject, wanted: T) => KubernetesObject,
): Promise<void> {
  const row = registry.require(group, 'v1', resource);
  await Promise.all(
    objects.map(async (object) => {
      const { namespace = '', name = '' } = object.metadata ?? {};
      const present = registry.objects.cached(row, namespace === '' ? name : `${namespace}/${name}`) !== undefined;
      if (!present) await ensure(registry, group, 'v1', resource, object);
      else {
        const target = { row, namespace, name, subresource: '' };
        await registry.writes.update(target, (current) => merge(current, object), selfWrite);
      }
    }),
  );
}
