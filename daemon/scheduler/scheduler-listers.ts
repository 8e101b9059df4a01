import type { ReplicaSet, StatefulSet } from '../apimachinery/types/apps-v1.ts';
import type { Namespace, PersistentVolume, PersistentVolumeClaim, Service } from '../apimachinery/types/core-v1.ts';
import type { PodDisruptionBudget } from '../apimachinery/types/policy-v1.ts';
import type { StorageClass } from '../apimachinery/types/storage-v1.ts';
import type { Informer } from '../client/informer.ts';

/** What the plugins look up beside nodes and pods. */
export interface SchedulerListers {
  readonly namespaces: Informer<Namespace>;
  readonly services: Informer<Service>;
  readonly replicaSets: Informer<ReplicaSet>;
  readonly statefulSets: Informer<StatefulSet>;
  readonly volumes: Informer<PersistentVolume>;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly storageClasses: Informer<StorageClass>;
  readonly disruptionBudgets: Informer<PodDisruptionBudget>;
}
