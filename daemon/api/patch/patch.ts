import { applyJsonPatch, unprocessablePatch } from './json-patch.ts';
import { isObject } from './json-value.ts';
import { applyMergePatch } from './merge-patch.ts';
import { applyStrategicMergePatch } from './strategic-merge.ts';

export interface PatchRequest<T> {
  readonly type: 'json' | 'merge' | 'strategic';
  /** The parsed body. */
  readonly patch: unknown;
  /** Never changed. */
  readonly object: T;
  /** The object's schema in `kubernetes-api.json`, for `strategic`; empty for a custom resource. */
  readonly definition: string;
}

/**
 * The object after a patch, sharing nothing with the one before. Throws the ApiError Kubernetes answers: BadRequest for a
 * patch that is malformed, Invalid (422) for one that does not fit this object.
 */
export function applyPatch<T>({ type, patch, object, definition }: PatchRequest<T>): T {
  const result =
    type === 'json'
      ? applyJsonPatch(object, patch)
      : type === 'merge'
        ? applyMergePatch(object, patch)
        : applyStrategicMergePatch(object, patch, definition);
  if (!isObject(result)) throw unprocessablePatch();
  return result as T;
}
