import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '../../../apimachinery/types/rbac-v1.ts';

const rbacGroup = 'rbac.authorization.k8s.io';

/** `rules` is always on the wire: null when there is none. */
export function defaultRole(role: Role | ClusterRole): void {
  (role as { rules?: unknown }).rules ??= null;
}

export function defaultRoleBinding(binding: RoleBinding | ClusterRoleBinding): void {
  binding.roleRef ??= { apiGroup: rbacGroup, kind: '', name: '' };
  binding.roleRef.apiGroup ||= rbacGroup;
  for (const subject of binding.subjects ?? []) {
    if (subject.apiGroup === undefined && (subject.kind === 'User' || subject.kind === 'Group')) {
      subject.apiGroup = rbacGroup;
    }
  }
}
