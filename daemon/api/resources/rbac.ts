import { clusterrolebindings, clusterroles, rolebindings, roles } from '../../apimachinery/types/resources.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';

/** The group rbac.authorization.k8s.io, v1. */
export const rbacRows: readonly ResourceRow[] = [
  defineRow(clusterrolebindings, { allowCreateOnUpdate: true }),
  defineRow(clusterroles, { allowCreateOnUpdate: true }),
  defineRow(rolebindings, { allowCreateOnUpdate: true }),
  defineRow(roles, { allowCreateOnUpdate: true }),
];
