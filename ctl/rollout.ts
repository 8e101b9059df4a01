import { isDeepStrictEqual } from 'node:util';
import type { DaemonSet, Deployment, ReplicaSet, StatefulSet } from '../daemon/apimachinery/types/apps-v1.ts';
import type { PodTemplateSpec } from '../daemon/apimachinery/types/core-v1.ts';

/** Where a rollout stands, in kubectl's words. */
export interface Progress {
  readonly message: string;
  readonly done: boolean;
  /** It will not get any further by itself. */
  readonly failed: boolean;
}

const waiting = (message: string): Progress => ({ message, done: false, failed: false });
const finished = (message: string): Progress => ({ message, done: true, failed: false });

type Workload = Deployment | DaemonSet | StatefulSet;

/** Has the controller seen the specification that is there now? */
const isObserved = ({ metadata, status }: Workload): boolean =>
  (metadata.generation ?? 0) <= (status?.observedGeneration ?? 0);

function deploymentProgress({ metadata, spec, status }: Deployment): Progress {
  const name = JSON.stringify(metadata.name);
  const stuck = status?.conditions?.find(
    (condition) => condition.type === 'Progressing' && condition.reason === 'ProgressDeadlineExceeded',
  );
  if (stuck !== undefined)
    return { message: `deployment ${name} exceeded its progress deadline`, done: false, failed: true };
  const { updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = status ?? {};
  const wanted = spec.replicas ?? 1;
  const prefix = `Waiting for deployment ${name} rollout to finish:`;
  if (updatedReplicas < wanted)
    return waiting(`${prefix} ${updatedReplicas} out of ${wanted} new replicas have been updated...`);
  if (replicas > updatedReplicas)
    return waiting(`${prefix} ${replicas - updatedReplicas} old replicas are pending termination...`);
  if (availableReplicas < updatedReplicas)
    return waiting(`${prefix} ${availableReplicas} of ${updatedReplicas} updated replicas are available...`);
  return finished(`deployment ${name} successfully rolled out`);
}

function daemonSetProgress({ metadata, status }: DaemonSet): Progress {
  const name = JSON.stringify(metadata.name);
  const wanted = status?.desiredNumberScheduled ?? 0;
  const { updatedNumberScheduled = 0, numberAvailable = 0 } = status ?? {};
  const prefix = `Waiting for daemon set ${name} rollout to finish:`;
  if (updatedNumberScheduled < wanted)
    return waiting(`${prefix} ${updatedNumberScheduled} out of ${wanted} new pods have been updated...`);
  if (numberAvailable < wanted)
    return waiting(`${prefix} ${numberAvailable} of ${wanted} updated pods are available...`);
  return finished(`daemon set ${name} successfully rolled out`);
}

function statefulSetProgress({ spec, status }: StatefulSet): Progress {
  const wanted = spec?.replicas ?? 1;
  const { readyReplicas = 0, updatedReplicas = 0, currentRevision = '', updateRevision = '' } = status ?? {};
  if (readyReplicas < wanted) return waiting(`Waiting for ${wanted - readyReplicas} pods to be ready...`);
  const partition = spec?.updateStrategy?.rollingUpdate?.partition ?? 0;
  if (partition > 0) {
    const toUpdate = Math.max(0, wanted - partition);
    return updatedReplicas < toUpdate
      ? waiting(
          `Waiting for partitioned roll out to finish: ${updatedReplicas} out of ${toUpdate} new pods have been updated...`,
        )
      : finished(`partitioned roll out complete: ${updatedReplicas} new pods have been updated...`);
  }
  return updateRevision === currentRevision
    ? finished(
        `statefulset rolling update complete ${status?.currentReplicas ?? 0} pods at revision ${currentRevision}...`,
      )
    : waiting(
        `waiting for statefulset rolling update to complete ${updatedReplicas} pods at revision ${updateRevision}...`,
      );
}

/** Throws an Error for a kind that does not roll out. */
export function rolloutProgress(object: Workload): Progress {
  switch (object.kind) {
    case 'Deployment':
      return isObserved(object)
        ? deploymentProgress(object as Deployment)
        : waiting('Waiting for deployment spec update to be observed...');
    case 'DaemonSet':
      return isObserved(object)
        ? daemonSetProgress(object as DaemonSet)
        : waiting('Waiting for daemon set spec update to be observed...');
    case 'StatefulSet':
      return isObserved(object)
        ? statefulSetProgress(object as StatefulSet)
        : waiting('Waiting for statefulset spec update to be observed...');
    default:
      throw new Error(`a ${object.kind} does not roll out: name a Deployment, DaemonSet or StatefulSet`);
  }
}

export interface Revision {
  readonly number: number;
  readonly changeCause: string;
  readonly template: PodTemplateSpec;
}

const revisionAnnotation = 'deployment.kubernetes.io/revision';

/** A Deployment's revisions, oldest first, from the ReplicaSets it owns. */
export function revisionsOf(deployment: Deployment, replicaSets: readonly ReplicaSet[]): readonly Revision[] {
  return replicaSets
    .filter((set) => set.metadata.ownerReferences?.some(({ uid }) => uid === deployment.metadata.uid))
    .map((set) => {
      const { 'pod-template-hash': _, ...labels } = set.spec?.template?.metadata?.labels ?? {};
      const template = set.spec?.template;
      return {
        number: Number(set.metadata.annotations?.[revisionAnnotation] ?? 0),
        changeCause: set.metadata.annotations?.['kubernetes.io/change-cause'] ?? '<none>',
        template: { ...template, metadata: { ...template?.metadata, labels } } as PodTemplateSpec,
      };
    })
    .filter((revision) => revision.number > 0)
    .sort((a, b) => a.number - b.number);
}

/** The revision that an undo goes back to: `wanted`, else the one before the last. Throws an Error when there is none. */
export function undoTarget(name: string, revisions: readonly Revision[], wanted: number | undefined): Revision {
  const found =
    wanted === undefined || wanted === 0 ? revisions.at(-2) : revisions.find(({ number }) => number === wanted);
  if (found !== undefined) return found;
  throw new Error(
    wanted === undefined || wanted === 0
      ? `no rollout history found for deployment ${JSON.stringify(name)}`
      : `unable to find specified revision ${wanted} in history`,
  );
}

export const isCurrent = (deployment: Deployment, revision: Revision): boolean =>
  isDeepStrictEqual(deployment.spec.template, revision.template);
