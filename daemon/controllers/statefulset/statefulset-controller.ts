import { isApiError } from '../../apimachinery/api-error.ts';
import { isPodAvailable, isPodReady } from '../../apimachinery/conditions.ts';
import { stableStringify } from '../../apimachinery/hash.ts';
import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import type { ControllerRevision, StatefulSet, StatefulSetStatus } from '../../apimachinery/types/apps-v1.ts';
import type { PersistentVolumeClaim, Pod } from '../../apimachinery/types/core-v1.ts';
import { persistentvolumeclaims, pods, statefulsets } from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { WorkQueue } from '../../client/work-queue.ts';
import type { ControllerContext } from '../controller-context.ts';
import { joinKey, objectKey } from '../object-key.ts';
import { claimObjects } from '../workload/claim.ts';
import { Expectations } from '../workload/expectations.ts';
import { isNamespaceTerminating, messageOf } from '../workload/pod-control.ts';
import { watchPodsOf } from '../workload/pod-events.ts';
import { claimCandidates } from '../workload/pod-index.ts';
import { isTerminating, podAvailableInMs } from '../workload/pod-state.ts';
import { RevisionHistory } from '../workload/revision-history.ts';
import { omitZero, sameStatus } from '../workload/status-equal.ts';
import { planSteps, type Step } from './stateful-plan.ts';
import {
  claimOwners,
  claimsOf,
  isRetentionOwner,
  ordinalOf,
  revisionOfPod,
  statefulPod,
  withIdentity,
} from './stateful-pod.ts';

export function startStatefulSetController(context: ControllerContext, workers: number): void {
  new StatefulSetController(context, workers);
}

class StatefulSetController {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;
  readonly #sets: Informer<StatefulSet>;
  readonly #pods: Informer<Pod>;
  readonly #claims: Informer<PersistentVolumeClaim>;
  readonly #history: RevisionHistory;

  constructor(context: ControllerContext, workers: number) {
    this.#context = context;
    this.#queue = context.reconciler('statefulset', workers, (key) => this.#reconcile(key));
    const enqueue = (set: StatefulSet): void => this.#queue.add(keyOf(set));
    this.#sets = context.watch(statefulsets, { onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
    this.#history = new RevisionHistory(context, statefulsets, 'controller.kubernetes.io/hash');
    this.#claims = context.informer(persistentvolumeclaims);
    this.#pods = watchPodsOf(context, {
      owners: this.#sets,
      ownerResource: statefulsets,
      // Names are fixed, so doing something twice fails instead of doubling: there is nothing to expect.
      expectations: new Expectations(() => context.now()),
      queue: () => this.#queue,
      matches: selects,
    });
  }

  async #reconcile(key: string): Promise<void> {
    const set = this.#sets.lister.get(key);
    if (set === undefined) return;
    const revisions = await this.#history.list(set);
    const members = await claimObjects(claimCandidates(this.#pods, set), {
      client: this.#context.client,
      resource: pods,
      owner: set,
      ownerResource: statefulsets,
      matches: (pod) => selects(set, pod) && ordinalOf(set, pod) !== undefined,
    });
    const updateRevision = await this.#history.current(set, revisions, (collisionCount) =>
      this.#writeStatus(set, { ...set.status, replicas: set.status?.replicas ?? 0, collisionCount }),
    );
    const currentRevision =
      revisions.find((revision) => revision.metadata.name === set.status?.currentRevision) ?? updateRevision;

    let failure: unknown;
    if (!isTerminating(set)) failure = await this.#act(set, members, currentRevision, updateRevision);
    await this.#writeStatus(set, this.#statusOf(set, members, currentRevision, updateRevision));
    if (failure !== undefined) throw failure;
    const inUse = new Set([currentRevision, updateRevision].map((revision) => revision.metadata.name ?? ''));
    for (const pod of members) inUse.add(revisionOfPod(pod));
    if (!isTerminating(set)) await this.#history.truncate(set, revisions, inUse);
    this.#lookAgainWhenAvailable(key, set, members);
  }

  async #act(
    set: StatefulSet,
    members: readonly Pod[],
    currentRevision: ControllerRevision,
    updateRevision: ControllerRevision,
  ): Promise<unknown> {
    const steps = planSteps({
      set,
      pods: members,
      updateRevision: updateRevision.metadata.name ?? '',
      currentRevision: currentRevision.metadata.name ?? '',
      currentReplicas: set.status?.currentReplicas ?? 0,
      now: this.#context.now(),
    });
    const outcomes = await Promise.allSettled([
      ...steps.map((step) =>
        this.#step(set, step, step.kind === 'create' && !step.updated ? currentRevision : updateRevision),
      ),
      ...members.map((pod) => this.#syncClaimOwners(set, pod)),
    ]);
    return outcomes.find((outcome) => outcome.status === 'rejected')?.reason;
  }

  async #step(set: StatefulSet, step: Step, revision: ControllerRevision): Promise<void> {
    if (step.kind === 'create') return this.#create(set, statefulPod(set, revision, step.ordinal), step.ordinal);
    if (step.kind === 'repair') {
      await this.#createClaims(set, step.pod, step.ordinal);
      await this.#context.client.update(pods, withIdentity(set, step.pod, step.ordinal));
      return;
    }
    const { namespace, name } = step.pod.metadata;
    if (step.why === 'failed' || step.why === 'succeeded') {
      const [reason, state] =
        step.why === 'failed' ? ['RecreatingFailedPod', 'failed'] : ['RecreatingTerminatedPod', 'terminated'];
      const message = `StatefulSet ${namespace}/${set.metadata.name} is recreating ${state} Pod ${name}`;
      this.#context.event(statefulsets, set, 'Warning', reason, message);
    }
    await this.#try(set, 'delete', `Pod ${name}`, async () => {
      const preconditions =
        step.pod.metadata.uid === undefined ? {} : { preconditions: { uid: step.pod.metadata.uid } };
      await this.#context.client.delete(pods, objectKey(step.pod), preconditions);
    });
  }

  async #create(set: StatefulSet, pod: Pod, ordinal: number): Promise<void> {
    await this.#createClaims(set, pod, ordinal);
    try {
      await this.#try(set, 'create', `Pod ${pod.metadata.name}`, () => this.#context.client.create(pods, pod));
    } catch (error) {
      // Ours already (the cache lags behind), or someone else's: its going will bring the set back here.
      if (!isApiError(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
    }
  }

  async #createClaims(set: StatefulSet, pod: Pod, ordinal: number): Promise<void> {
    for (const claim of claimsOf(set, ordinal)) {
      const { name, namespace } = claim.metadata;
      const existing = this.#claims.lister.get(joinKey(namespace, name ?? ''));
      if (existing !== undefined) {
        if (isTerminating(existing)) throw new Error(`pvc ${name} is being deleted`);
        continue;
      }
      const what = `Claim ${name} Pod ${pod.metadata.name}`;
      try {
        await this.#try(
          set,
          'create',
          what,
          () => this.#context.client.create(persistentvolumeclaims, claim),
          'success',
        );
      } catch (error) {
        if (!isApiError(error, 'AlreadyExists')) throw error;
      }
    }
  }

  async #syncClaimOwners(set: StatefulSet, pod: Pod): Promise<void> {
    const ordinal = ordinalOf(set, pod);
    if (ordinal === undefined || set.spec.persistentVolumeClaimRetentionPolicy === undefined) return;
    const wanted = claimOwners(set, ordinal, pod);
    for (const { metadata } of claimsOf(set, ordinal)) {
      const claim = this.#claims.lister.get(joinKey(metadata.namespace, metadata.name ?? ''));
      if (claim === undefined) continue;
      const owners = claim.metadata.ownerReferences ?? [];
      const others = owners.filter((reference) => !isRetentionOwner(set, pod.metadata.name ?? '', reference));
      const ownerReferences = [...others, ...wanted];
      if (stableStringify(ownerReferences) === stableStringify(owners)) continue;
      await this.#context.client.update(persistentvolumeclaims, {
        ...claim,
        metadata: { ...claim.metadata, ownerReferences },
      });
    }
  }

  async #try(
    set: StatefulSet,
    verb: string,
    what: string,
    call: () => Promise<unknown>,
    done = 'successful',
  ): Promise<void> {
    const subject = `${verb} ${what} in StatefulSet ${set.metadata.name}`;
    const suffix = verb === 'create' ? 'Create' : 'Delete';
    try {
      await call();
      this.#context.event(statefulsets, set, 'Normal', `Successful${suffix}`, `${subject} ${done}`);
    } catch (error) {
      if (verb === 'delete' && (isApiError(error, 'NotFound') || isApiError(error, 'Conflict'))) return;
      if (!isApiError(error, 'AlreadyExists') && !isNamespaceTerminating(error)) {
        const message = `${subject} failed error: ${messageOf(error)}`;
        this.#context.event(statefulsets, set, 'Warning', `Failed${suffix}`, message);
      }
      throw error;
    }
  }

  #statusOf(
    set: StatefulSet,
    members: readonly Pod[],
    current: ControllerRevision,
    update: ControllerRevision,
  ): StatefulSetStatus {
    const now = this.#context.now().getTime();
    const ready = members.filter((pod) => pod.status?.phase === 'Running' && isPodReady(pod));
    const staying = members.filter((pod) => !isTerminating(pod));
    const currentName = current.metadata.name ?? '';
    const updateName = update.metadata.name ?? '';
    const status: StatefulSetStatus = {
      ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
      replicas: members.length,
      readyReplicas: ready.length,
      availableReplicas: ready.filter((pod) => isPodAvailable(pod, set.spec.minReadySeconds ?? 0, now)).length,
      currentReplicas: staying.filter((pod) => revisionOfPod(pod) === currentName).length,
      updatedReplicas: staying.filter((pod) => revisionOfPod(pod) === updateName).length,
      currentRevision: currentName,
      updateRevision: updateName,
      collisionCount: set.status?.collisionCount ?? 0,
      ...(set.status?.conditions === undefined ? {} : { conditions: set.status.conditions }),
    };
    const complete =
      set.spec.updateStrategy?.type !== 'OnDelete' &&
      status.updatedReplicas === status.replicas &&
      status.readyReplicas === status.replicas;
    return complete ? { ...status, currentReplicas: status.updatedReplicas ?? 0, currentRevision: updateName } : status;
  }

  async #writeStatus(set: StatefulSet, status: StatefulSetStatus): Promise<void> {
    if (sameStatus(status, set.status)) return;
    const trimmed = omitZero(status, ['replicas', 'availableReplicas', 'collisionCount']);
    await this.#context.client.update(statefulsets, { ...set, status: trimmed }, { subresource: 'status' });
  }

  #lookAgainWhenAvailable(key: string, set: StatefulSet, members: readonly Pod[]): void {
    const waits = members
      .map((pod) => podAvailableInMs(pod, set.spec.minReadySeconds ?? 0, this.#context.now()))
      .filter((wait): wait is number => wait !== undefined && wait > 0);
    if (waits.length > 0) this.#queue.addAfter(key, Math.min(...waits));
  }
}

function selects(set: StatefulSet, pod: Pod): boolean {
  return labelSelectorMatcher(set.spec.selector).matches(pod.metadata.labels);
}
