import { isApiError } from '../../apimachinery/api-error.ts';
import { isPodActive, isPodReady, isPodTerminal } from '../../apimachinery/conditions.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import { controllerOf } from '../../apimachinery/owner-reference.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { pods } from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { WorkQueue } from '../../client/work-queue.ts';
import type { ControllerContext } from '../controller-context.ts';
import { objectKey } from '../object-key.ts';
import { claimObjects } from '../workload/claim.ts';
import { Expectations } from '../workload/expectations.ts';
import { isNamespaceTerminating, messageOf, PodControl, podFromTemplate } from '../workload/pod-control.ts';
import { watchPodsOf } from '../workload/pod-events.ts';
import { claimCandidates, controlledBy, indexByController } from '../workload/pod-index.ts';
import { isTerminating, podAvailableInMs } from '../workload/pod-state.ts';
import { slowStart } from '../workload/slow-start.ts';
import { sameStatus } from '../workload/status-equal.ts';
import { podsToDelete } from './pod-ranking.ts';
import { type ReplicaKind, replicaSetKind, replicationControllerKind } from './replica-kind.ts';
import { replicaStatus } from './replica-status.ts';

/** The most pods created or deleted for one owner in one round. */
const burstReplicas = 500;

export function startReplicaSetController(context: ControllerContext, workers: number): void {
  new ReplicaController(context, replicaSetKind, workers);
}

export function startReplicationController(context: ControllerContext, workers: number): void {
  new ReplicaController(context, replicationControllerKind, workers);
}

/** Keeps as many pods as each ReplicaSet (or ReplicationController) asks for. */
class ReplicaController<T extends KubernetesObject> {
  readonly #context: ControllerContext;
  readonly #kind: ReplicaKind<T>;
  readonly #expectations: Expectations;
  readonly #podControl: PodControl;
  readonly #owners: Informer<T>;
  readonly #pods: Informer<Pod>;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext, kind: ReplicaKind<T>, workers: number) {
    this.#context = context;
    this.#kind = kind;
    this.#expectations = new Expectations(() => context.now());
    this.#podControl = new PodControl(context, kind.resource);
    this.#queue = context.reconciler(kind.resource.resource, workers, (key) => this.#reconcile(key));
    this.#owners = context.watch(kind.resource, {
      onAdd: (owner) => this.#queue.add(keyOf(owner)),
      onUpdate: (owner, old) => {
        if (owner.metadata?.uid !== old.metadata?.uid) this.#expectations.forget(keyOf(old));
        this.#queue.add(keyOf(owner));
      },
      onDelete: (owner) => {
        this.#expectations.forget(keyOf(owner));
        this.#queue.add(keyOf(owner));
      },
    });
    indexByController(this.#owners);
    this.#pods = watchPodsOf(context, {
      owners: this.#owners,
      ownerResource: kind.resource,
      expectations: this.#expectations,
      queue: () => this.#queue,
      matches: kind.matches,
      onOwnedUpdate: (owner, pod, old) => {
        const minReadySeconds = kind.minReadySeconds(owner);
        if (minReadySeconds > 0 && isPodReady(pod) && !isPodReady(old)) {
          this.#queue.addAfter(keyOf(owner), (minReadySeconds + 1) * 1000);
        }
      },
    });
  }

  async #reconcile(key: string): Promise<void> {
    const owner = this.#owners.lister.get(key);
    if (owner === undefined) {
      this.#expectations.forget(key);
      return;
    }
    const mayAct = this.#expectations.satisfied(key);
    const running = claimCandidates(this.#pods, owner).filter((pod) => !isPodTerminal(pod));
    const claimed = await claimObjects(running, {
      client: this.#context.client,
      resource: pods,
      owner,
      ownerResource: this.#kind.resource,
      matches: (pod) => this.#kind.matches(owner, pod),
    });
    const active = claimed.filter(isPodActive);
    let failure: unknown;
    if (mayAct && !isTerminating(owner)) failure = await this.#manage(key, owner, active);
    await this.#updateStatus(owner, active, claimed.filter(isTerminating).length, failure);
    if (failure !== undefined) throw failure;
    this.#lookAgainWhenAvailable(key, owner, active);
  }

  /** Creates what is missing or deletes what is too many; returns the first error. */
  async #manage(key: string, owner: T, active: readonly Pod[]): Promise<unknown> {
    const missing = this.#kind.replicas(owner) - active.length;
    if (missing > 0) return this.#create(key, owner, Math.min(missing, burstReplicas));
    if (missing < 0) return this.#delete(key, owner, active, Math.min(-missing, burstReplicas));
    return undefined;
  }

  async #create(key: string, owner: T, count: number): Promise<unknown> {
    const template = this.#kind.template(owner);
    if (template === undefined) return undefined;
    this.#expectations.expectCreations(key, count);
    const { successes, error } = await slowStart(count, async () => {
      try {
        await this.#podControl.create(owner, podFromTemplate(template, owner, this.#kind.resource));
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
        this.#expectations.creationObserved(key);
      }
    });
    // Neither those that failed nor those never tried will be seen by the informer.
    for (let i = successes; i < count; i++) this.#expectations.creationObserved(key);
    return error;
  }

  async #delete(key: string, owner: T, active: readonly Pod[], count: number): Promise<unknown> {
    const chosen = podsToDelete(active, this.#relatedPods(owner), count, this.#context.now());
    this.#expectations.expectDeletions(key, chosen.map(keyOf));
    const outcomes = await Promise.allSettled(
      chosen.map(async (pod) => {
        try {
          await this.#podControl.delete(owner, pod);
        } catch (error) {
          this.#expectations.deletionObserved(key, keyOf(pod));
          if (!isApiError(error, 'NotFound')) throw error;
        }
      }),
    );
    return outcomes.find((outcome) => outcome.status === 'rejected')?.reason;
  }

  /** Pods of every set with the same controller, such as the old and the new one of a rollout. */
  #relatedPods(owner: T): Pod[] {
    const controller = controllerOf(owner);
    const family = controller === undefined ? [owner] : controlledBy(this.#owners, controller.uid);
    return family.flatMap((member) => controlledBy(this.#pods, member.metadata?.uid ?? ''));
  }

  async #updateStatus(owner: T, active: readonly Pod[], terminating: number, failure: unknown): Promise<void> {
    const statusOf = (fresh: T) =>
      replicaStatus({
        old: this.#kind.status(fresh),
        generation: fresh.metadata?.generation,
        template: this.#kind.template(fresh),
        desired: this.#kind.replicas(fresh),
        minReadySeconds: this.#kind.minReadySeconds(fresh),
        active,
        terminating: this.#kind.countsTerminating ? terminating : undefined,
        error: failure === undefined ? undefined : messageOf(failure),
        now: this.#context.now(),
      });
    const write = async (fresh: T): Promise<void> => {
      const status = statusOf(fresh);
      if (sameStatus(status, this.#kind.status(fresh))) return;
      await this.#context.client.update(this.#kind.resource, this.#kind.withStatus(fresh, status), {
        subresource: 'status',
      });
    };
    try {
      await write(owner);
    } catch (error) {
      if (isApiError(error, 'NotFound')) return;
      if (!isApiError(error, 'Conflict')) throw error;
      const fresh = await this.#context.client.get(this.#kind.resource, objectKey(owner));
      if (fresh.metadata?.uid === owner.metadata?.uid) {
        // Observed is the generation this round acted on, not one that came in meanwhile.
        await write({ ...fresh, metadata: { ...fresh.metadata, generation: owner.metadata?.generation } } as T);
      }
    }
  }

  #lookAgainWhenAvailable(key: string, owner: T, active: readonly Pod[]): void {
    const minReadySeconds = this.#kind.minReadySeconds(owner);
    if (minReadySeconds === 0) return;
    const waits = active
      .map((pod) => podAvailableInMs(pod, minReadySeconds, this.#context.now()))
      .filter((wait): wait is number => wait !== undefined && wait > 0);
    if (waits.length > 0) this.#queue.addAfter(key, Math.min(...waits));
  }
}
