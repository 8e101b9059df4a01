import { clusterrolebindings, clusterroles, rolebindings, roles } from '../../apimachinery/types/resources.ts';
import { defaultRole, defaultRoleBinding } from './defaults/rbac.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';

/** The group rbac.authorization.k8s.io, v1. */
export const rbacRows: readonly ResourceRow[] = [
  defineRow(clusterrolebindings, { allowCreateOnUpdate: true, defaults: defaultRoleBinding }),
  defineRow(clusterroles, { allowCreateOnUpdate: true, defaults: defaultRole }),
  defineRow(rolebindings, { allowCreateOnUpdate: true, defaults: defaultRoleBinding }),
  defineRow(roles, { allowCreateOnUpdate: true, defaults: defaultRole }),
];
