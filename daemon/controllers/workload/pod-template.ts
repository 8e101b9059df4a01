import { computeHash, stableStringify } from '../../apimachinery/hash.ts';
import type { PodTemplateSpec } from '../../apimachinery/types/core-v1.ts';

export const podTemplateHashLabel = 'pod-template-hash';

/** Value of the pod-template-hash label; `collisionCount` moves it when the name is taken by another template. */
export function templateHash(template: PodTemplateSpec, collisionCount?: number): string {
  return computeHash(template, collisionCount);
}

/** Templates are equal apart from the pod-template-hash label that a ReplicaSet's copy has been given. */
export function equalIgnoringHash(a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean {
  return stableStringify(withoutHash(a)) === stableStringify(withoutHash(b));
}

function withoutHash(template: PodTemplateSpec | undefined): unknown {
  const { [podTemplateHashLabel]: _hash, ...labels } = template?.metadata?.labels ?? {};
  return { ...template, metadata: { ...template?.metadata, labels, creationTimestamp: undefined } };
}
