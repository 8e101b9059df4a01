import { isApiError } from '../../apimachinery/api-error.ts';
import { findCondition } from '../../apimachinery/conditions.ts';
import { controllerOf, makeControllerReference } from '../../apimachinery/owner-reference.ts';
import type { Deployment, DeploymentStatus, ReplicaSet } from '../../apimachinery/types/apps-v1.ts';
import { deployments, replicasets } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { objectKey } from '../object-key.ts';
import { isNamespaceTerminating, messageOf } from '../workload/pod-control.ts';
import { equalIgnoringHash, podTemplateHashLabel, templateHash } from '../workload/pod-template.ts';
import { newCondition, progressing, reasons, setCondition } from './deployment-conditions.ts';
import { progressDeadlineMs } from './deployment-status.ts';
import {
  maxRevision,
  newSetAnnotations,
  revisionAnnotation,
  sameAnnotations,
  withReplicasAnnotations,
} from './revision.ts';
import { newSetReplicas } from './rolling-update.ts';
import { compareCreation, desiredReplicas, maxSurge, replicasOf } from './rollout-limits.ts';

/** A Deployment as it is after what this round wrote to it, with its replica sets. */
export interface Rollout {
  readonly deployment: Deployment;
  readonly newSet: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
}

/** The set whose template is the Deployment's; the oldest if there are several, so that all rounds agree. */
export function findNewSet(deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  return [...sets].sort(compareCreation).find((set) => equalIgnoringHash(set.spec.template, deployment.spec.template));
}

/**
 * Tells new from old, and brings the revision, the copied annotations and the Deployment's own revision up to date. Creates the
 * new set when there is none and `create` is asked for. A rollback is nothing else: the template found again in an old set
 * makes that set the new one, with the next revision.
 */
export async function syncReplicaSets(
  context: ControllerContext,
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  create: boolean,
): Promise<Rollout> {
  const found = findNewSet(deployment, sets);
  const old = sets.filter((set) => set.metadata.uid !== found?.metadata.uid);
  const revision = maxRevision(old) + 1;
  if (found !== undefined) {
    const newSet = await refreshNewSet(context, deployment, found, revision);
    if (newSet !== found) return { deployment, newSet, old };
    const message = `Found new replica set "${found.metadata.name}"`;
    const revisionText = found.metadata.annotations?.[revisionAnnotation];
    return {
      deployment: await recordRevision(context, deployment, revisionText, reasons.newSetFound, message),
      newSet,
      old,
    };
  }
  if (!create) return { deployment, newSet: undefined, old };
  return createNewSet(context, deployment, old, revision);
}

async function refreshNewSet(
  context: ControllerContext,
  deployment: Deployment,
  set: ReplicaSet,
  revision: number,
): Promise<ReplicaSet> {
  const annotations = newSetAnnotations(deployment, set.metadata.annotations ?? {}, revision);
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  if (sameAnnotations(annotations, set.metadata.annotations) && (set.spec.minReadySeconds ?? 0) === minReadySeconds) {
    return set;
  }
  return context.client.update(replicasets, {
    ...set,
    metadata: { ...set.metadata, annotations: { ...annotations } },
    spec: { ...set.spec, minReadySeconds },
  });
}

async function createNewSet(
  context: ControllerContext,
  deployment: Deployment,
  old: readonly ReplicaSet[],
  revision: number,
): Promise<Rollout> {
  const wanted = newReplicaSet(deployment, old, revision);
  const replicas = replicasOf(wanted);
  let newSet: ReplicaSet;
  let created = true;
  try {
    newSet = await context.client.create(replicasets, wanted);
  } catch (error) {
    if (isApiError(error, 'AlreadyExists')) {
      newSet = await ownOrCollide(context, deployment, wanted, error);
      created = false;
    } else {
      if (!isNamespaceTerminating(error)) await recordCreateFailure(context, deployment, wanted, error);
      throw error;
    }
  }
  if (created && replicas > 0) {
    const message = `Scaled up replica set ${newSet.metadata.name} from 0 to ${replicas}`;
    context.event(deployments, deployment, 'Normal', 'ScalingReplicaSet', message);
  }
  const message = `Created new replica set "${newSet.metadata.name}"`;
  const reason = created ? reasons.newSetCreated : undefined;
  return {
    deployment: await recordRevision(context, deployment, String(revision), reason, message),
    newSet,
    old,
  };
}

function newReplicaSet(deployment: Deployment, old: readonly ReplicaSet[], revision: number): ReplicaSet {
  const { template, selector, minReadySeconds = 0 } = deployment.spec;
  const hash = templateHash(template, deployment.status?.collisionCount);
  const labels = { ...template.metadata?.labels, [podTemplateHashLabel]: hash };
  const desired = desiredReplicas(deployment);
  const { namespace } = deployment.metadata;
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels,
      annotations: {
        ...withReplicasAnnotations(
          newSetAnnotations(deployment, {}, revision),
          desired,
          desired + maxSurge(deployment),
        ),
      },
      ownerReferences: [makeControllerReference(deployments, deployment)],
    },
    spec: {
      replicas: newSetReplicas(deployment, old, 0),
      ...(minReadySeconds === 0 ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [podTemplateHashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

/** The name is taken: by our own set the cache has not shown yet, or by another template with the same hash. */
async function ownOrCollide(
  context: ControllerContext,
  deployment: Deployment,
  wanted: ReplicaSet,
  error: unknown,
): Promise<ReplicaSet> {
  const existing = await context.client.get(replicasets, objectKey(wanted));
  const ours = controllerOf(existing)?.uid === deployment.metadata.uid;
  if (ours && equalIgnoringHash(existing.spec.template, deployment.spec.template)) return existing;
  const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
  await updateDeploymentStatus(context, deployment, { ...deployment.status, collisionCount });
  throw error;
}

async function recordCreateFailure(
  context: ControllerContext,
  deployment: Deployment,
  wanted: ReplicaSet,
  error: unknown,
): Promise<void> {
  const message = `Failed to create new replica set "${wanted.metadata.name}": ${messageOf(error)}`;
  if (progressDeadlineMs(deployment) !== undefined) {
    const condition = newCondition(progressing, 'False', reasons.setCreateError, message, context.now());
    const conditions = setCondition(deployment.status?.conditions ?? [], condition);
    if (findCondition(deployment.status?.conditions, progressing)?.reason !== reasons.setCreateError) {
      await updateDeploymentStatus(context, deployment, { ...deployment.status, conditions });
    }
  }
  context.event(deployments, deployment, 'Warning', reasons.setCreateError, message);
}

/** Writes the revision onto the Deployment, and that it progresses: always when just created, else when nothing says so yet. */
async function recordRevision(
  context: ControllerContext,
  deployment: Deployment,
  revision: string | undefined,
  reason: string | undefined,
  message: string,
): Promise<Deployment> {
  const { annotations } = deployment.metadata;
  const revisionChanged = revision !== undefined && annotations?.[revisionAnnotation] !== revision;
  const conditions = deployment.status?.conditions ?? [];
  const tell =
    reason !== undefined &&
    progressDeadlineMs(deployment) !== undefined &&
    (reason === reasons.newSetCreated || findCondition(conditions, progressing) === undefined);
  if (!revisionChanged && !tell) return deployment;
  const updated: Deployment = {
    ...deployment,
    metadata: revisionChanged
      ? { ...deployment.metadata, annotations: { ...annotations, [revisionAnnotation]: revision } }
      : deployment.metadata,
  };
  const condition = newCondition(progressing, 'True', reason ?? '', message, context.now());
  return updateDeploymentStatus(context, updated, {
    ...deployment.status,
    ...(tell ? { conditions: setCondition(conditions, condition) } : {}),
  });
}

export function updateDeploymentStatus(
  context: ControllerContext,
  deployment: Deployment,
  status: DeploymentStatus,
): Promise<Deployment> {
  return context.client.update(deployments, { ...deployment, status }, { subresource: 'status' });
}
