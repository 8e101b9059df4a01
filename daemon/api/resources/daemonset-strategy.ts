import type { DaemonSet } from '../../apimachinery/types/apps-v1.ts';
import { equalJson } from '../patch/json-value.ts';

/** Where apps/v1 keeps the template's generation, a field of older versions. */
const templateGeneration = 'deprecated.daemonset.template.generation';

export function startTemplateGeneration(daemonSet: DaemonSet): void {
  daemonSet.metadata.annotations = { ...daemonSet.metadata.annotations, [templateGeneration]: '1' };
}

export function countTemplateGeneration(daemonSet: DaemonSet, old: DaemonSet): void {
  const before = Number(old.metadata.annotations?.[templateGeneration] ?? 0);
  const changed = !equalJson(daemonSet.spec.template, old.spec.template);
  daemonSet.metadata.annotations = {
    ...daemonSet.metadata.annotations,
    [templateGeneration]: String(changed ? before + 1 : before),
  };
}
