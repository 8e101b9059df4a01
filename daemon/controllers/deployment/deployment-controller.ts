import { isApiError } from '../../apimachinery/api-error.ts';
import { findCondition, isPodTerminal } from '../../apimachinery/conditions.ts';
import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import { controllerOf } from '../../apimachinery/owner-reference.ts';
import type { Deployment, ReplicaSet } from '../../apimachinery/types/apps-v1.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { deployments, pods, replicasets } from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { WorkQueue } from '../../client/work-queue.ts';
import type { ControllerContext } from '../controller-context.ts';
import { joinKey, objectKey } from '../object-key.ts';
import { claimObjects } from '../workload/claim.ts';
import { refersTo } from '../workload/owner-reference.ts';
import { claimCandidates, controlledBy, indexByController } from '../workload/pod-index.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { sameStatus } from '../workload/status-equal.ts';
import { newCondition, progressing, reasons, setCondition } from './deployment-conditions.ts';
import { countedStatus, isComplete, progressDeadlineMs, rolloutStatus, stallCheckInMs } from './deployment-status.ts';
import { type Rollout, syncReplicaSets, updateDeploymentStatus } from './new-replica-set.ts';
import { isScalingEvent, scaleSets } from './proportional-scaling.ts';
import { revisionOf, sameAnnotations, withReplicasAnnotations } from './revision.ts';
import { type Resize, resizeNew, resizeOld } from './rolling-update.ts';
import {
  activeSets,
  compareCreation,
  desiredReplicas,
  isRollingUpdate,
  maxSurge,
  replicasOf,
  sumStatus,
} from './rollout-limits.ts';

export function startDeploymentController(context: ControllerContext, workers: number): void {
  new DeploymentController(context, workers);
}

class DeploymentController {
  readonly #context: ControllerContext;
  readonly #deployments: Informer<Deployment>;
  readonly #sets: Informer<ReplicaSet>;
  readonly #pods: Informer<Pod>;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext, workers: number) {
    this.#context = context;
    this.#queue = context.reconciler('deployments', workers, (key) => this.#reconcile(key));
    const enqueue = (deployment: Deployment): void => this.#queue.add(keyOf(deployment));
    this.#deployments = context.watch(deployments, { onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
    this.#sets = context.watch(replicasets, {
      onAdd: (set) => this.#setChanged(set),
      onUpdate: (set, old) => {
        if (set.metadata.resourceVersion === old.metadata.resourceVersion) return;
        if (controllerOf(set)?.uid !== controllerOf(old)?.uid) this.#queueOwner(old);
        this.#setChanged(set);
      },
      onDelete: (set) => this.#queueOwner(set),
    });
    indexByController(this.#sets);
    this.#pods = context.watch(pods, { onDelete: (pod) => this.#podDeleted(pod) });
    indexByController(this.#pods);
  }

  #setChanged(set: ReplicaSet): void {
    if (controllerOf(set) !== undefined) {
      this.#queueOwner(set);
      return;
    }
    for (const deployment of this.#deployments.lister.list(set.metadata.namespace)) {
      if (selects(deployment, set)) this.#queue.add(keyOf(deployment));
    }
  }

  #ownerOf(set: ReplicaSet): Deployment | undefined {
    const reference = controllerOf(set);
    if (reference === undefined || !refersTo(reference, deployments)) return undefined;
    const owner = this.#deployments.lister.get(joinKey(set.metadata.namespace, reference.name));
    return owner?.metadata.uid === reference.uid ? owner : undefined;
  }

  #queueOwner(set: ReplicaSet): void {
    const owner = this.#ownerOf(set);
    if (owner !== undefined) this.#queue.add(keyOf(owner));
  }

  /** A Recreate rollout waits for the last old pod to be gone, which changes no replica set. */
  #podDeleted(pod: Pod): void {
    const reference = controllerOf(pod);
    if (reference === undefined || !refersTo(reference, replicasets)) return;
    const set = this.#sets.lister.get(joinKey(pod.metadata.namespace, reference.name));
    if (set === undefined) return;
    const owner = this.#ownerOf(set);
    if (owner !== undefined && !isRollingUpdate(owner)) this.#queue.add(keyOf(owner));
  }

  async #reconcile(key: string): Promise<void> {
    const cached = this.#deployments.lister.get(key);
    if (cached === undefined) return;
    if (labelSelectorMatcher(cached.spec.selector).isEverything) return this.#refuseEmptySelector(cached);

    const sets = await claimObjects(claimCandidates(this.#sets, cached), {
      client: this.#context.client,
      resource: replicasets,
      owner: cached,
      ownerResource: deployments,
      matches: (set) => selects(cached, set),
    });
    if (isTerminating(cached)) {
      const rollout = await syncReplicaSets(this.#context, cached, sets, false);
      return this.#writeCounts(rollout);
    }
    const deployment = await this.#syncPausedCondition(cached);
    if (deployment.spec.paused === true || isScalingEvent(deployment, sets)) return this.#scale(deployment, sets);
    return isRollingUpdate(deployment) ? this.#rollingUpdate(deployment, sets) : this.#recreate(deployment, sets);
  }

  async #refuseEmptySelector(deployment: Deployment): Promise<void> {
    const message = 'This deployment is selecting all pods. A non-empty selector is required.';
    this.#context.event(deployments, deployment, 'Warning', 'SelectingAll', message);
    const { generation } = deployment.metadata;
    if (generation === undefined || (deployment.status?.observedGeneration ?? 0) >= generation) return;
    await updateDeploymentStatus(this.#context, deployment, { ...deployment.status, observedGeneration: generation });
  }

  /** So that time spent paused does not count as a lack of progress. */
  async #syncPausedCondition(deployment: Deployment): Promise<Deployment> {
    if (progressDeadlineMs(deployment) === undefined) return deployment;
    const conditions = deployment.status?.conditions ?? [];
    const current = findCondition(conditions, progressing);
    if (current?.reason === reasons.timedOut) return deployment;
    const known = current?.reason === reasons.paused;
    const paused = deployment.spec.paused === true;
    if (paused === known) return deployment;
    const condition = paused
      ? newCondition(progressing, 'Unknown', reasons.paused, 'Deployment is paused', this.#context.now())
      : newCondition(progressing, 'Unknown', reasons.resumed, 'Deployment is resumed', this.#context.now());
    return updateDeploymentStatus(this.#context, deployment, {
      ...deployment.status,
      conditions: setCondition(conditions, condition),
    });
  }

  /** Paused, or scaled: sizes change, the rollout does not move. */
  async #scale(deployment: Deployment, sets: readonly ReplicaSet[]): Promise<void> {
    const rollout = await syncReplicaSets(this.#context, deployment, sets, false);
    await this.#resize(rollout.deployment, scaleSets(rollout.deployment, rollout.newSet, rollout.old));
    if (deployment.spec.paused === true) await this.#deleteHistory(rollout.deployment, rollout.old);
    await this.#writeCounts(rollout);
  }

  async #rollingUpdate(deployment: Deployment, sets: readonly ReplicaSet[]): Promise<void> {
    const rollout = await syncReplicaSets(this.#context, deployment, sets, true);
    const { newSet, old } = rollout;
    if (newSet === undefined) throw new Error('a rollout was synced without its new replica set');
    const current = rollout.deployment;
    const grown = resizeNew(current, [...old, newSet], newSet);
    if (grown !== undefined) {
      await this.#resize(current, [grown]);
      return this.#writeRollout(rollout);
    }
    const shrunk = resizeOld(current, activeSets(old), newSet);
    if (shrunk.length > 0) await this.#resize(current, shrunk);
    else if (isComplete(current, current.status)) await this.#deleteHistory(current, old);
    return this.#writeRollout(rollout);
  }

  async #recreate(deployment: Deployment, sets: readonly ReplicaSet[]): Promise<void> {
    let rollout = await syncReplicaSets(this.#context, deployment, sets, false);
    const active = activeSets(rollout.old);
    if (active.length > 0) {
      await this.#resize(
        rollout.deployment,
        active.map((set) => ({ set, replicas: 0 })),
      );
      return this.#writeRollout(rollout);
    }
    if (this.#oldPodsRunning(rollout.old)) return this.#writeRollout(rollout);
    if (rollout.newSet === undefined) rollout = await syncReplicaSets(this.#context, rollout.deployment, sets, true);
    const { newSet } = rollout;
    if (newSet === undefined) throw new Error('a rollout was synced without its new replica set');
    await this.#resize(rollout.deployment, [{ set: newSet, replicas: desiredReplicas(rollout.deployment) }]);
    if (isComplete(rollout.deployment, rollout.deployment.status)) {
      await this.#deleteHistory(rollout.deployment, rollout.old);
    }
    return this.#writeRollout(rollout);
  }

  #oldPodsRunning(old: readonly ReplicaSet[]): boolean {
    if (sumStatus(old, 'replicas') > 0) return true;
    return old.some((set) => controlledBy(this.#pods, set.metadata.uid ?? '').some((pod) => !isPodTerminal(pod)));
  }

  /** Sets the sizes, and the annotations that say what they were reckoned from. */
  async #resize(deployment: Deployment, resizes: readonly Resize[]): Promise<void> {
    const desired = desiredReplicas(deployment);
    for (const { set, replicas } of resizes) {
      const before = replicasOf(set);
      const annotations = withReplicasAnnotations(
        set.metadata.annotations ?? {},
        desired,
        desired + maxSurge(deployment),
      );
      if (before === replicas && sameAnnotations(annotations, set.metadata.annotations)) continue;
      await this.#context.client.update(replicasets, {
        ...set,
        metadata: { ...set.metadata, annotations: { ...annotations } },
        spec: { ...set.spec, replicas },
      });
      if (before === replicas) continue;
      const direction = replicas > before ? 'up' : 'down';
      const message = `Scaled ${direction} replica set ${set.metadata.name} from ${before} to ${replicas}`;
      this.#context.event(deployments, deployment, 'Normal', 'ScalingReplicaSet', message);
    }
  }

  /** Deletes old, empty sets beyond `revisionHistoryLimit`, the lowest revisions first. */
  async #deleteHistory(deployment: Deployment, old: readonly ReplicaSet[]): Promise<void> {
    const limit = deployment.spec.revisionHistoryLimit;
    if (limit === undefined || limit === 2 ** 31 - 1) return;
    const candidates = old.filter((set) => !isTerminating(set));
    const surplus = candidates.length - limit;
    if (surplus <= 0) return;
    candidates.sort((a, b) => revisionOf(a) - revisionOf(b) || compareCreation(a, b));
    for (const set of candidates.slice(0, surplus)) {
      const settled = (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0);
      if ((set.status?.replicas ?? 0) !== 0 || replicasOf(set) !== 0 || !settled) continue;
      try {
        await this.#context.client.delete(replicasets, objectKey(set), { propagationPolicy: 'Background' });
      } catch (error) {
        if (!isApiError(error, 'NotFound')) throw error;
      }
    }
  }

  async #writeCounts({ deployment, newSet, old }: Rollout): Promise<void> {
    const all = newSet === undefined ? old : [...old, newSet];
    const status = countedStatus(deployment, all, newSet, this.#context.now());
    if (sameStatus(status, deployment.status)) return;
    await updateDeploymentStatus(this.#context, deployment, status);
  }

  async #writeRollout({ deployment, newSet, old }: Rollout): Promise<void> {
    const all = newSet === undefined ? old : [...old, newSet];
    const status = rolloutStatus(deployment, all, newSet, this.#context.now());
    if (!sameStatus(status, deployment.status)) {
      await updateDeploymentStatus(this.#context, deployment, status);
      return;
    }
    const wait = stallCheckInMs(deployment, status, this.#context.now());
    if (wait !== undefined) this.#queue.addAfter(keyOf(deployment), wait);
  }
}

function selects(deployment: Deployment, set: ReplicaSet): boolean {
  return labelSelectorMatcher(deployment.spec.selector).matches(set.metadata.labels);
}
