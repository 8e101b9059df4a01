import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { Identity } from '../../client/api-client.ts';

/** One broken rule: becomes a `StatusCause`, and one clause of the message of a 422 `Invalid`. */
export interface FieldError {
  readonly type:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueDuplicate'
    | 'FieldValueForbidden'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueNotFound'
    | 'FieldValueTypeInvalid'
    | 'InternalError';
  /** Such as `spec.containers[0].image`. */
  readonly field: string;
  /** The whole clause after the field, as Kubernetes words it: `Required value: ...`, `Invalid value: "x": ...`. */
  readonly detail: string;
}

/** A column of kubectl's table (`meta/v1 Table`). Priority 0 is shown always, above 0 only with `-o wide`. */
export interface Column<T> {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: string;
  readonly priority: number;
  readonly description?: string;
  readonly cell: (object: T, now: Date) => string | number | boolean | null;
}

export interface WriteContext {
  readonly identity: Identity;
  readonly namespace: string;
  readonly subresource: string;
  readonly now: Date;
  readonly dryRun: boolean;
}

/** What a write through a path (the object itself, or one subresource) may change, and what must hold after it. */
export interface UpdateStrategy<T> {
  /** In place: resets what this path may not change (status on the main path, everything else on `status`). */
  readonly prepareForUpdate?: (object: T, old: T, context: WriteContext) => void;
  readonly validateUpdate?: (object: T, old: T, context: WriteContext) => FieldError[];
}

/** Conversion between a served version and the stored one (two groups that share a storage, two versions of a group). */
export interface StoredAs<T> {
  readonly handle: Resource;
  /** Neither direction changes its argument. */
  readonly fromStored: (stored: KubernetesObject) => T;
  readonly toStored: (object: T) => KubernetesObject;
}

/** The `autoscaling/v1 Scale` view of an object. */
export interface ScalePaths<T> {
  readonly replicas: (object: T) => number;
  readonly statusReplicas: (object: T) => number;
  /** Label selector in its string form. */
  readonly selector: (object: T) => string;
  /** In place. */
  readonly setReplicas: (object: T, replicas: number) => void;
}

/**
 * A resource kind as the API serves it. The whole API is driven by the table of these rows (`table.ts`): nothing in the
 * request path branches on a kind.
 */
export interface ResourceRow<T extends KubernetesObject = KubernetesObject> extends UpdateStrategy<T> {
  readonly handle: Resource<T>;
  readonly singular: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** Key prefix below `/registry/`, as Kubernetes lays it out: `pods`, `services/specs`, `minions`, `rbac...`. */
  readonly storage: string;
  /** Absent: Name and Age. */
  readonly columns?: readonly Column<T>[];
  /** Field selector values beyond `metadata.name` and `metadata.namespace`. */
  readonly selectableFields?: (object: T) => Readonly<Record<string, string>>;
  /** In place, idempotent; also run on objects read with fields an older version did not know. */
  readonly defaults?: (object: T) => void;
  /** In place: brings an object as it is stored to what this row serves; absent, the stored bytes are what is served. */
  readonly normalizeStored?: (object: T) => void;
  readonly prepareForCreate?: (object: T, context: WriteContext) => void;
  readonly validate?: (object: T, context: WriteContext) => FieldError[];
  readonly warnings?: (object: T, old: T | undefined) => string[];
  readonly statusStrategy?: UpdateStrategy<T>;
  /** Strategies of further subresources whose body is the object: `ephemeralcontainers`, `resize`, `approval`, `finalize`. */
  readonly subresourceStrategies?: Readonly<Record<string, UpdateStrategy<T>>>;
  /** How this served version reads and writes the objects of another version, the one that is stored. */
  readonly stored?: StoredAs<T>;
  /**
   * Converts objects of other versions of the kind to this row's, where that takes a call to another program; `stored` then
   * only names the stored version.
   */
  readonly convert?: (objects: readonly KubernetesObject[]) => Promise<KubernetesObject[]>;
  /** Where the scale subresource finds its numbers: absent, the resource has none. */
  readonly scale?: ScalePaths<T>;
  /** Kind keeps `metadata.generation`: 1 at first, bumped when anything but metadata and status changes. */
  readonly hasGeneration?: boolean;
  /** Fields that may change without a new generation; absent: metadata and status. */
  readonly generationIgnores?: ReadonlySet<string>;
  /** A change of the annotations bumps the generation too: Deployments only. */
  readonly generationCountsAnnotations?: boolean;
  /** PUT of an object that does not exist creates it (default false). */
  readonly allowCreateOnUpdate?: boolean;
  /** PUT without resourceVersion overwrites (default true). */
  readonly allowUnconditionalUpdate?: boolean;
  /** The largest grace period a deletion may wait, in seconds: pods only. */
  readonly gracePeriod?: (object: T, requested: number | undefined) => number;
}
