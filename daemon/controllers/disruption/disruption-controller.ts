import { isApiError } from '../../apimachinery/api-error.ts';
import { isPodTerminal } from '../../apimachinery/conditions.ts';
import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import { controllerOf } from '../../apimachinery/owner-reference.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import type { OwnerReference } from '../../apimachinery/types/meta-v1.ts';
import type { PodDisruptionBudget, PodDisruptionBudgetStatus } from '../../apimachinery/types/policy-v1.ts';
import {
  deployments,
  poddisruptionbudgets,
  pods,
  replicasets,
  replicationcontrollers,
  statefulsets,
} from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { WorkQueue } from '../../client/work-queue.ts';
import type { ControllerContext } from '../controller-context.ts';
import { joinKey, objectKey } from '../object-key.ts';
import { refersTo } from '../workload/owner-reference.ts';
import { messageOf } from '../workload/pod-control.ts';
import { sameStatus } from '../workload/status-equal.ts';
import { budgetStatus, disruptionCondition, type ExpectedScale } from './budget-status.ts';

/** A pod marked for disruption that is not deleted within this time was not disrupted after all. */
const staleDisruptionMs = 2 * 60_000;

interface Scaled extends KubernetesObject {
  spec?: { replicas?: number };
}

/** Keeps the status of PodDisruptionBudgets, by which the API decides whether a pod may be evicted. */
export function startDisruptionController(context: ControllerContext, workers: number): void {
  new DisruptionController(context, workers);
}

class DisruptionController {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;
  readonly #budgets: Informer<PodDisruptionBudget>;
  readonly #pods: Informer<Pod>;
  /** Kinds whose size says how many pods there should be. */
  readonly #scaled: readonly { readonly resource: Resource; readonly informer: Informer<Scaled> }[];

  constructor(context: ControllerContext, workers: number) {
    this.#context = context;
    this.#queue = context.reconciler('disruption', workers, (key) => this.#reconcile(key));
    const enqueue = (budget: PodDisruptionBudget): void => this.#queue.add(keyOf(budget));
    this.#budgets = context.watch(poddisruptionbudgets, { onAdd: enqueue, onUpdate: enqueue });
    const stale = context.reconciler('disruption_stale_pods', 1, (key) => this.#clearStale(key));
    const podChanged = (...states: Pod[]): void => {
      for (const budget of this.#budgets.lister.list(states[0]?.metadata.namespace)) {
        if (states.some((pod) => selects(budget, pod))) enqueue(budget);
      }
      const wait = staleInMs(states[0], context.now());
      if (states[0] !== undefined && wait !== undefined) stale.addAfter(keyOf(states[0]), wait);
    };
    this.#pods = context.watch(pods, { onAdd: podChanged, onUpdate: podChanged, onDelete: podChanged });
    this.#scaled = [replicasets, replicationcontrollers, statefulsets, deployments].map((resource) => ({
      resource,
      informer: context.watch(resource as Resource<Scaled>, {
        onUpdate: (object, old) => {
          if (object.spec?.replicas === old.spec?.replicas) return;
          for (const budget of this.#budgets.lister.list(object.metadata?.namespace)) enqueue(budget);
        },
      }),
    }));
  }

  async #reconcile(key: string): Promise<void> {
    const budget = this.#budgets.lister.get(key);
    if (budget === undefined) return;
    try {
      await this.#sync(key, budget);
    } catch (error) {
      if (isApiError(error, 'Conflict') || isApiError(error, 'NotFound')) throw error;
      await this.#failSafe(budget, messageOf(error));
      throw error;
    }
  }

  async #sync(key: string, budget: PodDisruptionBudget): Promise<void> {
    const members = this.#pods.lister.list(budget.metadata.namespace).filter((pod) => selects(budget, pod));
    const counted = members.filter((pod) => !isPodTerminal(pod));
    if (members.length === 0) {
      this.#context.event(poddisruptionbudgets, budget, 'Normal', 'NoPods', 'No matching pods found');
    }
    const expected = this.#expectedPods(budget, counted);
    if ('error' in expected) {
      const { error } = expected;
      this.#context.event(
        poddisruptionbudgets,
        budget,
        'Warning',
        'CalculateExpectedPodCountFailed',
        `Failed to calculate the number of expected pods: ${error}`,
      );
      await this.#failSafe(budget, error);
      return;
    }
    if (expected.unmanaged.length > 0) {
      const list = expected.unmanaged.join(' ');
      const message = `Pods selected by this PodDisruptionBudget (selector: ${labelSelectorMatcher(budget.spec?.selector)}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value. Pods: [${list}]`;
      this.#context.event(poddisruptionbudgets, budget, 'Warning', 'UnmanagedPods', message);
    }
    const { status, recheckMs } = budgetStatus(budget, counted, expected.scale, this.#context.now());
    await this.#write(budget, status);
    if (recheckMs !== undefined) this.#queue.addAfter(key, recheckMs);
  }

  /** An absolute minAvailable asks about no owner; all else is a share of what the owners want. */
  #expectedPods(budget: PodDisruptionBudget, members: readonly Pod[]): ExpectedScale {
    const { maxUnavailable, minAvailable } = budget.spec ?? {};
    if (maxUnavailable === undefined && typeof minAvailable !== 'string')
      return { scale: members.length, unmanaged: [] };
    const scales = new Map<string, number>();
    const unmanaged: string[] = [];
    for (const pod of members) {
      const reference = controllerOf(pod);
      if (reference === undefined) {
        unmanaged.push(pod.metadata.name ?? '');
        continue;
      }
      if (scales.has(reference.uid)) continue;
      const owner = this.#scaleOf(pod.metadata.namespace, reference);
      if (owner === undefined) {
        return { error: `found no controllers for pod "${pod.metadata.name}"` };
      }
      scales.set(owner.uid, owner.replicas);
      scales.set(reference.uid, owner.uid === reference.uid ? owner.replicas : 0);
    }
    return { scale: [...scales.values()].reduce((sum, scale) => sum + scale, 0), unmanaged };
  }

  /** The topmost owner that has a size: the Deployment of a ReplicaSet, whose own size moves during a rollout. */
  #scaleOf(namespace: string | undefined, reference: OwnerReference): { uid: string; replicas: number } | undefined {
    const kind = this.#scaled.find(({ resource }) => refersTo(reference, resource));
    const owner = kind?.informer.lister.get(joinKey(namespace, reference.name));
    if (owner === undefined || owner.metadata?.uid !== reference.uid) return undefined;
    const above = controllerOf(owner);
    const upper = above === undefined ? undefined : this.#scaleOf(namespace, above);
    return upper ?? { uid: reference.uid, replicas: owner.spec?.replicas ?? 1 };
  }

  /** Nothing may be evicted while it is not known what that would do. */
  async #failSafe(budget: PodDisruptionBudget, message: string): Promise<void> {
    const status: PodDisruptionBudgetStatus = {
      currentHealthy: 0,
      desiredHealthy: 0,
      expectedPods: 0,
      ...budget.status,
      disruptionsAllowed: 0,
      conditions: disruptionCondition(budget, 'False', 'SyncFailed', message, this.#context.now()),
    };
    await this.#write(budget, status);
  }

  async #write(budget: PodDisruptionBudget, status: PodDisruptionBudgetStatus): Promise<void> {
    if (budget.status !== undefined && sameStatus(status, budget.status)) return;
    await this.#context.client.update(poddisruptionbudgets, { ...budget, status }, { subresource: 'status' });
  }

  async #clearStale(key: string): Promise<void> {
    const pod = this.#pods.lister.get(key);
    const wait = staleInMs(pod, this.#context.now());
    if (pod === undefined || wait === undefined || wait > 0) return;
    const conditions = (pod.status?.conditions ?? []).map((condition) =>
      condition.type === 'DisruptionTarget' ? { ...condition, status: 'False' } : condition,
    );
    try {
      await this.#context.client.patch(
        pods,
        objectKey(pod),
        { metadata: { uid: pod.metadata.uid }, status: { conditions } },
        { type: 'strategic', subresource: 'status' },
      );
    } catch (error) {
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error;
    }
  }
}

function selects(budget: PodDisruptionBudget, pod: Pod): boolean {
  return (
    budget.metadata.namespace === pod.metadata.namespace &&
    labelSelectorMatcher(budget.spec?.selector).matches(pod.metadata.labels)
  );
}

/** Until a pod marked for disruption is taken for spared; undefined when it is not marked, or goes. */
function staleInMs(pod: Pod | undefined, now: Date): number | undefined {
  if (pod === undefined || isPodTerminal(pod) || pod.metadata.deletionTimestamp !== undefined) return undefined;
  const condition = pod.status?.conditions?.find(
    ({ type, status }) => type === 'DisruptionTarget' && status === 'True',
  );
  // The kubelet's own evictions end in a terminal pod, however long it takes.
  if (condition === undefined || condition.reason === 'TerminationByKubelet') return undefined;
  return Math.max(0, (parseTime(condition.lastTransitionTime) ?? 0) + staleDisruptionMs - now.getTime());
}
