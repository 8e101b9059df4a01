import { labelSelectorMatcher, matchLabels } from '../../apimachinery/label-selector.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { ReplicaSet } from '../../apimachinery/types/apps-v1.ts';
import type { Pod, PodTemplateSpec, ReplicationController } from '../../apimachinery/types/core-v1.ts';
import { replicasets, replicationcontrollers } from '../../apimachinery/types/resources.ts';
import type { ReplicaStatus } from './replica-status.ts';

/** What keeps N pods of a template: how one kind spells it. ReplicaSet and ReplicationController differ in little else. */
export interface ReplicaKind<T extends KubernetesObject> {
  readonly resource: Resource<T>;
  readonly countsTerminating: boolean;
  readonly replicas: (object: T) => number;
  readonly minReadySeconds: (object: T) => number;
  readonly template: (object: T) => PodTemplateSpec | undefined;
  readonly matches: (object: T, pod: Pod) => boolean;
  readonly status: (object: T) => ReplicaStatus | undefined;
  readonly withStatus: (object: T, status: ReplicaStatus) => T;
}

export const replicaSetKind: ReplicaKind<ReplicaSet> = {
  resource: replicasets,
  countsTerminating: true,
  replicas: (set) => set.spec.replicas ?? 1,
  minReadySeconds: (set) => set.spec.minReadySeconds ?? 0,
  template: (set) => set.spec.template,
  matches: (set, pod) => labelSelectorMatcher(set.spec.selector).matches(pod.metadata.labels),
  status: (set) => set.status,
  withStatus: (set, status) => ({ ...set, status }),
};

export const replicationControllerKind: ReplicaKind<ReplicationController> = {
  resource: replicationcontrollers,
  countsTerminating: false,
  replicas: (controller) => controller.spec?.replicas ?? 1,
  minReadySeconds: (controller) => controller.spec?.minReadySeconds ?? 0,
  template: (controller) => controller.spec?.template,
  // An absent selector selects nothing here; the API defaults it to the template's labels.
  matches: (controller, pod) =>
    Object.keys(controller.spec?.selector ?? {}).length > 0 &&
    matchLabels(controller.spec?.selector).matches(pod.metadata.labels),
  status: (controller) => controller.status as ReplicaStatus | undefined,
  withStatus: (controller, status) => ({ ...controller, status }) as ReplicationController,
};
