import { isApiError } from '../../apimachinery/api-error.ts';
import { findCondition } from '../../apimachinery/conditions.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { Node, Pod, Taint } from '../../apimachinery/types/core-v1.ts';
import { leases, nodes, pods } from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { ControllerContext } from '../controller-context.ts';
import { objectKey } from '../object-key.ts';
import { assessNode, type NodeHealth, type Readiness } from './node-health.ts';
import { noExecuteTaints, noScheduleTaints } from './node-taints.ts';
import { EvictionLimiter, evictionRate, zoneOf, zoneState } from './zone-disruption.ts';

const monitorPeriodMs = 5_000;
const monitorKey = 'monitor';

/**
 * Watches over the nodes: marks those Unknown that give no sign of life, and taints them so that nothing is scheduled there
 * (at once) and what runs there is evicted (at a limited rate per zone).
 */
export function startNodeLifecycleController(context: ControllerContext, workers: number): void {
  new NodeLifecycle(context, workers);
}

export function indexPodsByNode(informer: Informer<Pod>): (nodeName: string) => readonly Pod[] {
  informer.addIndex('node', (pod) => [pod.spec?.nodeName ?? '']);
  return (nodeName) => informer.lister.byIndex('node', nodeName);
}

class NodeLifecycle {
  readonly #context: ControllerContext;
  readonly #nodes;
  readonly #leases;
  readonly #podsOn: (nodeName: string) => readonly Pod[];
  readonly #health = new Map<string, NodeHealth>();
  readonly #limiter = new EvictionLimiter();

  constructor(context: ControllerContext, workers: number) {
    this.#context = context;
    const taintQueue = context.reconciler('node_lifecycle_controller', workers, async (name) => {
      const node = this.#nodes.lister.get(name);
      if (node === undefined) return;
      await this.#writeTaints(node, noScheduleTaints(node, context.now()));
    });
    const enqueue = (node: Node): void => taintQueue.add(node.metadata.name ?? '');
    this.#nodes = context.watch(nodes, { onAdd: enqueue, onUpdate: enqueue });
    this.#leases = context.informer(leases);
    this.#podsOn = indexPodsByNode(context.informer(pods));
    const monitor = context.reconciler('node_monitor', 1, async () => {
      monitor.addAfter(monitorKey, monitorPeriodMs);
      await this.#monitor();
    });
    monitor.add(monitorKey);
  }

  async #monitor(): Promise<void> {
    const all = this.#nodes.lister.list();
    const names = new Set(all.map((node) => node.metadata.name));
    for (const name of this.#health.keys()) if (!names.has(name)) this.#health.delete(name);

    const readiness = new Map<Node, Readiness>();
    for (const node of all) {
      try {
        const status = await this.#judge(node);
        // A node that has just registered has a while to say how it is.
        if (status !== undefined) readiness.set(node, status);
      } catch (error) {
        // One node that cannot be written must not keep the others from being looked after.
        this.#context.logger.warn({ err: error, node: node.metadata.name }, 'cannot update node health');
      }
    }
    await this.#evict(readiness);
  }

  async #judge(node: Node): Promise<Readiness | undefined> {
    const { logger, settings } = this.#context;
    const name = node.metadata.name ?? '';
    const lease = this.#leases.lister.get(`kube-node-lease/${name}`);
    const now = this.#context.now();
    const { health, observed, current, conditions } = assessNode(
      node,
      lease,
      this.#health.get(name),
      settings.nodeMonitorGraceMs,
      now,
    );
    this.#health.set(name, health);
    if (conditions !== undefined) {
      logger.info({ node: name }, 'node gives no sign of life');
      try {
        await this.#context.client.update(
          nodes,
          { ...node, status: { ...node.status, conditions } },
          { subresource: 'status' },
        );
      } catch (error) {
        // It moved: the next look will see how.
        if (isApiError(error, 'Conflict') || isApiError(error, 'NotFound')) return observed;
        throw error;
      }
      if (observed === 'True') {
        const message = `Node ${name} status is now: NodeNotReady`;
        this.#context.event(nodes, node, 'Normal', 'NodeNotReady', message);
      }
    }
    if (current !== undefined && current !== 'True') await this.#markPodsNotReady(name);
    return current;
  }

  /** A silent kubelet cannot take its pods out of service; do it for it. */
  async #markPodsNotReady(nodeName: string): Promise<void> {
    for (const pod of this.#podsOn(nodeName)) {
      if (findCondition(pod.status?.conditions, 'Ready')?.status !== 'True') continue;
      const conditions = (pod.status?.conditions ?? []).map((condition) =>
        condition.type === 'Ready'
          ? { ...condition, status: 'False', lastTransitionTime: formatTime(this.#context.now()) }
          : condition,
      );
      try {
        const status = { ...pod.status, conditions };
        await this.#context.client.update(pods, { ...pod, status }, { subresource: 'status' });
        this.#context.event(pods, pod, 'Warning', 'NodeNotReady', 'Node is not ready');
      } catch (error) {
        if (!isApiError(error, 'Conflict') && !isApiError(error, 'NotFound')) throw error;
      }
    }
  }

  async #evict(readiness: ReadonlyMap<Node, Readiness>): Promise<void> {
    const zones = new Map<string, { node: Node; status: Readiness }[]>();
    for (const [node, status] of readiness) {
      const zone = zoneOf(node);
      zones.set(zone, [...(zones.get(zone) ?? []), { node, status }]);
    }
    const states = new Map(
      [...zones].map(([zone, members]) => [zone, zoneState(members.map(({ status }) => status))] as const),
    );
    const allDown = states.size > 0 && [...states.values()].every((state) => state === 'FullDisruption');
    for (const [zone, members] of zones) {
      const rate = evictionRate(states.get(zone) ?? 'Normal', members.length, allDown);
      for (const { node, status } of members) await this.#syncNoExecute(node, status, zone, rate, allDown);
    }
  }

  async #syncNoExecute(node: Node, status: Readiness, zone: string, rate: number, allDown: boolean): Promise<void> {
    const now = this.#context.now();
    const readiness = allDown ? 'True' : status;
    if (noExecuteTaints(node, readiness, now) === undefined) return;
    // The status, and with it the other taints, may have been written since the node was read.
    const fresh = await this.#fetch(node);
    const taints = fresh === undefined ? undefined : noExecuteTaints(fresh, readiness, now);
    if (fresh === undefined || taints === undefined) return;
    const adds = taints.length > (fresh.spec?.taints ?? []).length;
    if (adds && !this.#limiter.mayTake(zone, rate, now.getTime())) return;
    if ((await this.#writeTaints(fresh, taints)) && adds) this.#limiter.took(zone, rate, now.getTime());
  }

  async #fetch(node: Node): Promise<Node | undefined> {
    try {
      return await this.#context.client.get(nodes, objectKey(node));
    } catch (error) {
      if (isApiError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** False when the node has moved on: its own event, or the next look, will bring it back here. */
  async #writeTaints(node: Node, taints: Taint[] | undefined): Promise<boolean> {
    if (taints === undefined) return false;
    try {
      await this.#context.client.patch(
        nodes,
        objectKey(node),
        { metadata: { resourceVersion: node.metadata.resourceVersion }, spec: { taints } },
        { type: 'merge' },
      );
    } catch (error) {
      if (!isApiError(error, 'Conflict') && !isApiError(error, 'NotFound')) throw error;
      return false;
    }
    return true;
  }
}
