import {
  controllerrevisions,
  daemonsets,
  deployments,
  replicasets,
  statefulsets,
} from '../../apimachinery/types/resources.ts';
import { defineRow } from './define-row.ts';
import type { ResourceRow } from './resource-row.ts';

/** The group apps, v1. */
export const appsRows: readonly ResourceRow[] = [
  defineRow(controllerrevisions),
  defineRow(daemonsets, { shortNames: ['ds'], categories: ['all'], hasGeneration: true }),
  defineRow(deployments, { shortNames: ['deploy'], categories: ['all'], hasGeneration: true }),
  defineRow(replicasets, { shortNames: ['rs'], categories: ['all'], hasGeneration: true }),
  defineRow(statefulsets, { shortNames: ['sts'], categories: ['all'], hasGeneration: true }),
];
