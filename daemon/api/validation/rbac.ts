import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
} from '../../apimachinery/types/rbac-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import { type Errors, invalid, invalidAll, notSupported, required } from './field-error.ts';
import { validateLabelSelector } from './label-selector.ts';
import { dns1123Subdomain, pathSegment } from './names.ts';

const rbacGroup = 'rbac.authorization.k8s.io';

function validateRule(rule: PolicyRule, namespaced: boolean, at: string, errors: Errors): void {
  const { verbs = [], nonResourceURLs = [], apiGroups = [], resources = [], resourceNames = [] } = rule;
  if (verbs.length === 0) required(errors, `${at}.verbs`, 'verbs must contain at least one value');
  if (nonResourceURLs.length > 0) {
    if (namespaced)
      invalid(errors, `${at}.nonResourceURLs`, nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs');
    if (apiGroups.length > 0 || resources.length > 0 || resourceNames.length > 0) {
      invalid(
        errors,
        `${at}.nonResourceURLs`,
        nonResourceURLs,
        'rules cannot apply to both regular resources and non-resource URLs',
      );
    }
    return;
  }
  if (apiGroups.length === 0) required(errors, `${at}.apiGroups`, 'resource rules must supply at least one api group');
  if (resources.length === 0) required(errors, `${at}.resources`, 'resource rules must supply at least one resource');
}

export function validateRole({ rules }: Role, errors: Errors): void {
  for (const [index, rule] of (rules ?? []).entries()) validateRule(rule, true, `rules[${index}]`, errors);
}

export function validateClusterRole({ rules, aggregationRule }: ClusterRole, errors: Errors): void {
  for (const [index, rule] of (rules ?? []).entries()) validateRule(rule, false, `rules[${index}]`, errors);
  if (aggregationRule === undefined) return;
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  const at = 'aggregationRule.clusterRoleSelectors';
  if (selectors.length === 0)
    required(errors, at, 'at least one clusterRoleSelector required if aggregationRule is non-nil');
  for (const [index, selector] of selectors.entries()) validateLabelSelector(selector, `${at}[${index}]`, errors);
}

function validateBinding(binding: RoleBinding | ClusterRoleBinding, kinds: readonly string[], errors: Errors): void {
  const { roleRef, subjects = [] } = binding;
  if (roleRef.apiGroup !== rbacGroup) notSupported(errors, 'roleRef.apiGroup', roleRef.apiGroup, [rbacGroup]);
  if (!kinds.includes(roleRef.kind)) notSupported(errors, 'roleRef.kind', roleRef.kind ?? '', kinds);
  if (!roleRef.name) required(errors, 'roleRef.name');
  else invalidAll(errors, 'roleRef.name', roleRef.name, pathSegment(roleRef.name));
  for (const [index, { kind, name, namespace, apiGroup = '' }] of subjects.entries()) {
    const at = `subjects[${index}]`;
    if (!name) required(errors, `${at}.name`);
    if (kind === 'ServiceAccount') {
      if (name) invalidAll(errors, `${at}.name`, name, dns1123Subdomain(name));
      if (apiGroup !== '') notSupported(errors, `${at}.apiGroup`, apiGroup, ['']);
      if (!namespace) required(errors, `${at}.namespace`);
    } else if (kind === 'User' || kind === 'Group') {
      if (apiGroup !== rbacGroup) notSupported(errors, `${at}.apiGroup`, apiGroup, [rbacGroup]);
    } else notSupported(errors, `${at}.kind`, kind ?? '', ['Group', 'ServiceAccount', 'User']);
  }
}

export function validateRoleBinding(binding: RoleBinding, errors: Errors): void {
  validateBinding(binding, ['ClusterRole', 'Role'], errors);
}

export function validateClusterRoleBinding(binding: ClusterRoleBinding, errors: Errors): void {
  validateBinding(binding, ['ClusterRole'], errors);
}

function keepRoleRef(
  binding: RoleBinding | ClusterRoleBinding,
  old: RoleBinding | ClusterRoleBinding,
  errors: Errors,
): void {
  if (!equalJson(binding.roleRef, old.roleRef)) invalid(errors, 'roleRef', binding.roleRef, 'cannot change roleRef');
}

export function validateRoleBindingUpdate(binding: RoleBinding, old: RoleBinding, errors: Errors): void {
  validateRoleBinding(binding, errors);
  keepRoleRef(binding, old, errors);
}

export function validateClusterRoleBindingUpdate(
  binding: ClusterRoleBinding,
  old: ClusterRoleBinding,
  errors: Errors,
): void {
  validateClusterRoleBinding(binding, errors);
  keepRoleRef(binding, old, errors);
}
