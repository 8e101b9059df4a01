import { isApiError } from '../../apimachinery/api-error.ts';
import { isPodAvailable, isPodReady } from '../../apimachinery/conditions.ts';
import { stableStringify } from '../../apimachinery/hash.ts';
import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import type { DaemonSet, DaemonSetStatus } from '../../apimachinery/types/apps-v1.ts';
import type { Node, Pod } from '../../apimachinery/types/core-v1.ts';
import { daemonsets, nodes, pods } from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { WorkQueue } from '../../client/work-queue.ts';
import type { ControllerContext } from '../controller-context.ts';
import { claimObjects } from '../workload/claim.ts';
import { Expectations } from '../workload/expectations.ts';
import { isNamespaceTerminating, PodControl } from '../workload/pod-control.ts';
import { watchPodsOf } from '../workload/pod-events.ts';
import { claimCandidates } from '../workload/pod-index.ts';
import { isTerminating, podAvailableInMs } from '../workload/pod-state.ts';
import { RevisionHistory } from '../workload/revision-history.ts';
import { slowStart } from '../workload/slow-start.ts';
import { omitZero, sameStatus } from '../workload/status-equal.ts';
import { type DaemonPlanInput, planPlacement, planUpdate } from './daemon-plan.ts';
import { daemonPod, hashLabel, isUpdated, nodeFitness, targetNode } from './daemon-pod.ts';

/** The most pods created or deleted for one set in one round. */
const burstReplicas = 250;
/** A node whose pods keep failing gets the next one after a while that doubles each time. */
const failedPodBackoff = { firstMs: 1_000, maxMs: 15 * 60_000 };

export function startDaemonSetController(context: ControllerContext, workers: number): void {
  new DaemonSetController(context, workers);
}

class DaemonSetController {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;
  readonly #sets: Informer<DaemonSet>;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #expectations: Expectations;
  readonly #control: PodControl;
  readonly #history: RevisionHistory;
  readonly #failures = new Map<string, { count: number; until: number }>();

  constructor(context: ControllerContext, workers: number) {
    this.#context = context;
    this.#expectations = new Expectations(() => context.now());
    this.#control = new PodControl(context, daemonsets);
    this.#history = new RevisionHistory(context, daemonsets, hashLabel);
    this.#queue = context.reconciler('daemonset', workers, (key) => this.#reconcile(key));
    const enqueue = (set: DaemonSet): void => this.#queue.add(keyOf(set));
    this.#sets = context.watch(daemonsets, { onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
    const all = (): void => {
      for (const set of this.#sets.lister.list()) enqueue(set);
    };
    this.#nodes = context.watch(nodes, {
      onAdd: all,
      onUpdate: (node, old) => {
        const facts = (n: Node): string => stableStringify([n.metadata.labels, n.spec?.taints, n.spec?.unschedulable]);
        if (facts(node) !== facts(old)) all();
      },
      onDelete: all,
    });
    this.#pods = watchPodsOf(context, {
      owners: this.#sets,
      ownerResource: daemonsets,
      expectations: this.#expectations,
      queue: () => this.#queue,
      matches: selects,
    });
  }

  async #reconcile(key: string): Promise<void> {
    const set = this.#sets.lister.get(key);
    if (set === undefined) {
      this.#expectations.forget(key);
      return;
    }
    if (labelSelectorMatcher(set.spec.selector).isEverything) {
      const message = 'This daemon set is selecting all pods. A non-empty selector is required.';
      this.#context.event(daemonsets, set, 'Warning', 'SelectingAll', message);
      return;
    }
    if (isTerminating(set)) return;
    const mayAct = this.#expectations.satisfied(key);
    const revisions = await this.#history.list(set);
    const current = await this.#history.current(set, revisions, (collisionCount) =>
      this.#writeStatus(set, { ...emptyStatus, ...set.status, collisionCount }),
    );
    const hash = this.#history.hashOf(current);
    const input = { set, hash, nodes: this.#nodes.lister.list(), now: this.#context.now() };
    const podsByNode = await this.#podsByNode(set);

    let failure: unknown;
    if (mayAct) failure = await this.#act(key, { ...input, podsByNode });
    await this.#writeStatus(set, statusOf({ ...input, podsByNode }));
    if (failure !== undefined) throw failure;
    const inUse = new Set([current.metadata.name ?? '']);
    const hashes = new Set([...podsByNode.values()].flat().map((pod) => pod.metadata.labels?.[hashLabel]));
    for (const revision of revisions) {
      if (hashes.has(this.#history.hashOf(revision))) inUse.add(revision.metadata.name ?? '');
    }
    await this.#history.truncate(set, revisions, inUse);
    this.#lookAgainWhenAvailable(key, set, podsByNode);
  }

  async #podsByNode(set: DaemonSet): Promise<Map<string, Pod[]>> {
    const members = await claimObjects(claimCandidates(this.#pods, set), {
      client: this.#context.client,
      resource: pods,
      owner: set,
      ownerResource: daemonsets,
      matches: (pod) => selects(set, pod),
    });
    const byNode = new Map<string, Pod[]>();
    for (const pod of members) {
      const node = targetNode(pod);
      // A pod that no node was meant for is the scheduler's business alone.
      if (node === undefined) continue;
      byNode.set(node, [...(byNode.get(node) ?? []), pod]);
    }
    return byNode;
  }

  /** Places pods first; the update goes on once every node is as it should be but for the version. */
  async #act(key: string, input: DaemonPlanInput): Promise<unknown> {
    const { set } = input;
    const placement = planPlacement(input);
    const delayed = new Set(placement.failed.filter((pod) => this.#backsOff(key, pod)));
    this.#announce(
      set,
      'Warning',
      'FailedDaemonPod',
      'failed',
      placement.failed.filter((pod) => !delayed.has(pod)),
    );
    this.#announce(set, 'Normal', 'SucceededDaemonPod', 'succeeded', placement.succeeded);
    const doomed = placement.delete.filter((pod) => !delayed.has(pod));
    if (placement.create.length > 0 || doomed.length > 0) return this.#sync(key, input, placement.create, doomed);
    const update = planUpdate(input);
    return this.#sync(key, input, update.create, update.delete);
  }

  #announce(set: DaemonSet, type: 'Normal' | 'Warning', reason: string, state: string, found: readonly Pod[]): void {
    for (const pod of found) {
      const where = `${pod.metadata.namespace}/${pod.metadata.name} on node ${pod.spec.nodeName}`;
      const verb = state === 'failed' ? 'kill' : 'delete';
      this.#context.event(daemonsets, set, type, reason, `Found ${state} daemon pod ${where}, will try to ${verb} it`);
    }
  }

  #backsOff(key: string, pod: Pod): boolean {
    const name = `${pod.metadata.namespace}/${controllerName(pod)}/${pod.spec.nodeName}`;
    const now = this.#context.now().getTime();
    const known = this.#failures.get(name);
    if (known !== undefined && now < known.until) {
      this.#queue.addAfter(key, known.until - now);
      return true;
    }
    const recent = known !== undefined && now < known.until + 2 * failedPodBackoff.maxMs;
    const count = recent ? known.count + 1 : 1;
    const wait = Math.min(failedPodBackoff.firstMs * 2 ** (count - 1), failedPodBackoff.maxMs);
    this.#failures.set(name, { count, until: now + wait });
    return false;
  }

  async #sync(
    key: string,
    input: DaemonPlanInput,
    create: readonly string[],
    doomed: readonly Pod[],
  ): Promise<unknown> {
    const { set, hash } = input;
    const nodesToFill = create.slice(0, burstReplicas);
    const podsToDelete = doomed.slice(0, burstReplicas);
    if (nodesToFill.length + podsToDelete.length === 0) return undefined;
    this.#expectations.expect(key, nodesToFill.length, podsToDelete.map(keyOf));
    const { successes, error } = await slowStart(nodesToFill.length, async (i) => {
      try {
        await this.#control.create(set, daemonPod(set, nodesToFill[i] ?? '', hash));
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
        this.#expectations.creationObserved(key);
      }
    });
    for (let i = successes; i < nodesToFill.length; i++) this.#expectations.creationObserved(key);
    const outcomes = await Promise.allSettled(
      podsToDelete.map(async (pod) => {
        try {
          await this.#control.delete(set, pod);
        } catch (error) {
          this.#expectations.deletionObserved(key, keyOf(pod));
          if (!isApiError(error, 'NotFound')) throw error;
        }
      }),
    );
    return error ?? outcomes.find((outcome) => outcome.status === 'rejected')?.reason;
  }

  async #writeStatus(set: DaemonSet, status: DaemonSetStatus): Promise<void> {
    if (sameStatus(status, set.status)) return;
    const trimmed = omitZero(status, [
      'currentNumberScheduled',
      'desiredNumberScheduled',
      'numberMisscheduled',
      'numberReady',
      'collisionCount',
    ]);
    await this.#context.client.update(daemonsets, { ...set, status: trimmed }, { subresource: 'status' });
  }

  #lookAgainWhenAvailable(key: string, set: DaemonSet, podsByNode: ReadonlyMap<string, readonly Pod[]>): void {
    const waits = [...podsByNode.values()]
      .flat()
      .map((pod) => podAvailableInMs(pod, set.spec.minReadySeconds ?? 0, this.#context.now()))
      .filter((wait): wait is number => wait !== undefined && wait > 0);
    if (waits.length > 0) this.#queue.addAfter(key, Math.min(...waits));
  }
}

const emptyStatus: DaemonSetStatus = {
  currentNumberScheduled: 0,
  desiredNumberScheduled: 0,
  numberMisscheduled: 0,
  numberReady: 0,
};

function statusOf({ set, nodes: all, podsByNode, hash, now }: DaemonPlanInput): DaemonSetStatus {
  let desired = 0;
  let current = 0;
  let misscheduled = 0;
  let ready = 0;
  let available = 0;
  let updated = 0;
  for (const node of all) {
    const { shouldRun } = nodeFitness(set, node);
    const members = podsByNode.get(node.metadata.name ?? '') ?? [];
    if (!shouldRun) {
      if (members.length > 0) misscheduled++;
      continue;
    }
    desired++;
    if (members.length === 0) continue;
    current++;
    const [oldest] = [...members].sort((a, b) =>
      (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1,
    );
    if (oldest === undefined) continue;
    if (isPodReady(oldest)) {
      ready++;
      if (isPodAvailable(oldest, set.spec.minReadySeconds ?? 0, now.getTime())) available++;
    }
    if (isUpdated(set, oldest, hash)) updated++;
  }
  return {
    ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
    desiredNumberScheduled: desired,
    currentNumberScheduled: current,
    numberMisscheduled: misscheduled,
    numberReady: ready,
    numberAvailable: available,
    numberUnavailable: desired - available,
    updatedNumberScheduled: updated,
    ...(set.status?.collisionCount === undefined ? {} : { collisionCount: set.status.collisionCount }),
    ...(set.status?.conditions === undefined ? {} : { conditions: set.status.conditions }),
  };
}

function selects(set: DaemonSet, pod: Pod): boolean {
  return labelSelectorMatcher(set.spec.selector).matches(pod.metadata.labels);
}

function controllerName(pod: Pod): string {
  return pod.metadata.ownerReferences?.find((reference) => reference.controller === true)?.name ?? '';
}
