import { labelSelectorMatcher, matchLabels } from '../../apimachinery/label-selector.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { LabelSelector } from '../../apimachinery/types/meta-v1.ts';
import type { ScalePaths } from './resource-row.ts';

interface Scalable extends KubernetesObject {
  spec: { replicas?: number; selector?: LabelSelector };
  status?: { replicas?: number };
}

/** The scale of a workload of apps/v1: Deployment, ReplicaSet, StatefulSet. */
export const workloadScale: ScalePaths<Scalable> = {
  replicas: (object) => object.spec.replicas ?? 0,
  statusReplicas: (object) => object.status?.replicas ?? 0,
  selector: (object) => labelSelectorMatcher(object.spec.selector).toString(),
  setReplicas: (object, replicas) => {
    object.spec.replicas = replicas;
  },
};

interface ScalableController extends KubernetesObject {
  spec: { replicas?: number; selector?: Record<string, string> };
  status?: { replicas?: number };
}

/** The scale of a ReplicationController, whose selector is a plain map. */
export const controllerScale: ScalePaths<ScalableController> = {
  replicas: (object) => object.spec.replicas ?? 0,
  statusReplicas: (object) => object.status?.replicas ?? 0,
  selector: (object) => matchLabels(object.spec.selector).toString(),
  setReplicas: (object, replicas) => {
    object.spec.replicas = replicas;
  },
};
