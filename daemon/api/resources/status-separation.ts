import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { UpdateStrategy, WriteContext } from './resource-row.ts';

interface WithStatus extends KubernetesObject {
  spec?: unknown;
  status?: unknown;
}

interface Separation<T> {
  /** The status of a new object: what a client sends on create is dropped. */
  readonly initialStatus: (object: T, context: WriteContext) => unknown;
  /** The status path may change labels of this kind too (default true). */
  readonly statusKeepsOldLabels?: boolean;
}

interface SeparatedStrategies<T> {
  readonly prepareForCreate: (object: T, context: WriteContext) => void;
  readonly prepareForUpdate: (object: T, old: T, context: WriteContext) => void;
  readonly statusStrategy: UpdateStrategy<T>;
}

/**
 * The rule of every kind with a status subresource: the main path never writes status, the status path writes nothing
 * else. The subtrees kept are the old object's own, which nobody changes after this.
 */
export function separateStatus<T extends KubernetesObject>(separation: Separation<T>): SeparatedStrategies<T> {
  return {
    prepareForCreate: (object, context) => {
      (object as WithStatus).status = separation.initialStatus(object, context);
    },
    prepareForUpdate: keepStatus,
    statusStrategy: {
      prepareForUpdate: (object, old) => {
        keepSpec(object, old);
        if (separation.statusKeepsOldLabels === true) setOrDelete(object.metadata!, 'labels', old.metadata?.labels);
      },
    },
  };
}

/** The status path: everything but metadata and status is the old object's. */
export function keepSpec<T extends KubernetesObject>(object: T, old: T): void {
  setOrDelete(object as WithStatus, 'spec', (old as WithStatus).spec);
}

/** The main path: the status is the old object's. */
export function keepStatus<T extends KubernetesObject>(object: T, old: T): void {
  setOrDelete(object as WithStatus, 'status', (old as WithStatus).status);
}

/** Never leaves a key that holds undefined: it would show in comparisons and in iteration. */
export function setOrDelete<T extends object, K extends keyof T>(target: T, key: K, value: T[K] | undefined): void {
  if (value === undefined) delete target[key];
  else target[key] = value;
}
