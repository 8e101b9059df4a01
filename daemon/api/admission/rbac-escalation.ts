import type { ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef } from '../../apimachinery/types/rbac-v1.ts';
import type { Identity } from '../../client/api-client.ts';
import type { AuthorizerChain } from '../authorization/authorizer.ts';
import { uncovered } from '../authorization/policy-rule.ts';
import type { RbacAuthorizer } from '../authorization/rbac.ts';
import { forbidden, notFound } from '../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const group = 'rbac.authorization.k8s.io';

/** No one gives away permissions that are not their own, unless allowed to `escalate` a role or `bind` it. */
export function rbacEscalation(rbac: () => RbacAuthorizer, authorizer: () => AuthorizerChain): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    operations: ['CREATE', 'UPDATE'],
    resources: ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'].map((name) => `${name}.${group}`),
    validate(request) {
      const { identity, row, namespace, object, old } = request;
      if (identity.groups.includes('system:masters')) return;
      if (row.handle.resource === 'roles' || row.handle.resource === 'clusterroles') {
        const { rules = [], aggregationRule } = object as ClusterRole;
        if (may(request, 'escalate', request.name)) return;
        if (aggregationRule !== undefined && (old as ClusterRole | undefined)?.aggregationRule === undefined) {
          refuse(request, identity, [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]);
        }
        const before = (old as ClusterRole | undefined)?.rules;
        if (before !== undefined && uncovered(before, rules).length === 0) return;
        check(request, rules, namespace);
        return;
      }
      const { roleRef } = object as ClusterRoleBinding;
      if (mayBind(request, roleRef, namespace)) return;
      const rules = rbac().rulesOf(roleRef, namespace);
      if (rules === undefined) {
        const resource = roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles';
        throw notFound({ group, resource }, roleRef.name);
      }
      check(request, rules, namespace);
    },
  };

  function check(request: AdmissionRequest, rules: readonly PolicyRule[], namespace: string): void {
    const owned = rbac().rulesFor(request.identity, namespace).rules;
    const missing = uncovered(owned, rules);
    if (missing.length > 0) refuse(request, request.identity, missing);
  }

  function may({ identity, row, namespace }: AdmissionRequest, verb: string, name: string): boolean {
    const { resource } = row.handle;
    return authorizer().authorize({
      identity,
      verb,
      resource: { group, version: 'v1', resource, subresource: '', namespace, name },
    }).allowed;
  }

  function mayBind({ identity }: AdmissionRequest, roleRef: RoleRef, namespace: string): boolean {
    const resource = roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles';
    return authorizer().authorize({
      identity,
      verb: 'bind',
      resource: { group, version: 'v1', resource, subresource: '', namespace, name: roleRef.name },
    }).allowed;
  }
}

function refuse({ row, name, object }: AdmissionRequest, identity: Identity, missing: readonly PolicyRule[]): never {
  const groups = identity.groups.map((entry) => JSON.stringify(entry)).join(' ');
  const lines = missing.map(describe).join('\n');
  throw forbidden(
    row.handle,
    name || (object?.metadata?.name ?? ''),
    `user ${JSON.stringify(identity.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${lines}`,
  );
}

/** A rule as Kubernetes prints it: `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}`. */
function describe(rule: PolicyRule): string {
  const parts: string[] = [];
  const add = (label: string, values: readonly string[] | undefined): void => {
    if ((values ?? []).length > 0) parts.push(`${label}:[${values!.map((value) => JSON.stringify(value)).join(' ')}]`);
  };
  add('APIGroups', rule.apiGroups);
  add('Resources', rule.resources);
  add('ResourceNames', rule.resourceNames);
  add('NonResourceURLs', rule.nonResourceURLs);
  add('Verbs', rule.verbs);
  return `{${parts.join(', ')}}`;
}
