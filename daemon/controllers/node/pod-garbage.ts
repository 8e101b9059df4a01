import { isApiError } from '../../apimachinery/api-error.ts';
import { isConditionTrue, isPodTerminal, withCondition } from '../../apimachinery/conditions.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { nodes, pods } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { joinKey, objectKey } from '../object-key.ts';
import { isTerminating } from '../workload/pod-state.ts';

const periodMs = 20_000;
/** A node must be missing for this long before its pods are taken for lost: caches and names come and go. */
const quarantineMs = 40_000;
const outOfServiceTaint = 'node.kubernetes.io/out-of-service';
const key = 'collect';

/** Deletes pods that no kubelet will ever delete: finished ones beyond the threshold, and those whose node is gone. */
export function startPodGarbageCollector(context: ControllerContext): void {
  const podInformer = context.informer(pods);
  const nodeInformer = context.informer(nodes);
  const missingSince = new Map<string, number>();
  const queue = context.reconciler('pod_gc', 1, async () => {
    queue.addAfter(key, periodMs);
    const all = podInformer.lister.list();
    await collectFinished(all);
    await collectOutOfService(all);
    await collectOrphans(all);
    await collectUnscheduled(all);
  });
  queue.add(key);

  async function collectFinished(all: readonly Pod[]): Promise<void> {
    const threshold = context.settings.terminatedPodThreshold;
    if (threshold <= 0) return;
    const finished = all.filter(isPodTerminal);
    const rank = (pod: Pod): number => (pod.status?.reason === 'Evicted' ? 0 : 1);
    const age = (pod: Pod): string =>
      `${pod.metadata.creationTimestamp} ${joinKey(pod.metadata.namespace, pod.metadata.name ?? '')}`;
    finished.sort((a, b) => rank(a) - rank(b) || (age(a) < age(b) ? -1 : 1));
    for (const pod of finished.slice(0, Math.max(0, finished.length - threshold))) await remove(pod, undefined);
  }

  /** An administrator has said that the node is off for good. */
  async function collectOutOfService(all: readonly Pod[]): Promise<void> {
    for (const pod of all) {
      if (!isTerminating(pod)) continue;
      const node = nodeInformer.lister.get(pod.spec?.nodeName ?? '');
      if (node === undefined || isConditionTrue(node.status?.conditions, 'Ready')) continue;
      if (node.spec?.taints?.some((taint) => taint.key === outOfServiceTaint)) await remove(pod, undefined);
    }
  }

  async function collectOrphans(all: readonly Pod[]): Promise<void> {
    const now = context.now().getTime();
    const missing = new Set<string>();
    for (const pod of all) {
      const name = pod.spec?.nodeName ?? '';
      if (name !== '' && nodeInformer.lister.get(name) === undefined) missing.add(name);
    }
    for (const name of missingSince.keys()) if (!missing.has(name)) missingSince.delete(name);
    const gone = new Set<string>();
    for (const name of missing) {
      const since = missingSince.get(name) ?? now;
      missingSince.set(name, since);
      if (now - since >= quarantineMs && (await isGone(name))) gone.add(name);
    }
    for (const pod of all) {
      if (gone.has(pod.spec?.nodeName ?? '')) await remove(pod, 'PodGC: node no longer exists');
    }
  }

  async function isGone(name: string): Promise<boolean> {
    try {
      await context.client.get(nodes, { name });
      return false;
    } catch (error) {
      if (isApiError(error, 'NotFound')) return true;
      throw error;
    }
  }

  async function collectUnscheduled(all: readonly Pod[]): Promise<void> {
    for (const pod of all) {
      if (isTerminating(pod) && (pod.spec?.nodeName ?? '') === '') await remove(pod, undefined);
    }
  }

  /** A pod that has not finished is failed first: whoever counts failures must see one. */
  async function remove(pod: Pod, disruption: string | undefined): Promise<void> {
    try {
      if (!isPodTerminal(pod)) {
        const conditions =
          disruption === undefined
            ? pod.status?.conditions
            : withCondition(
                pod.status?.conditions,
                { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByPodGC', message: disruption },
                context.now(),
              );
        const status = { phase: 'Failed', ...(conditions === undefined ? {} : { conditions }) };
        await context.client.patch(
          pods,
          objectKey(pod),
          { metadata: { uid: pod.metadata.uid }, status },
          { type: 'strategic', subresource: 'status' },
        );
      }
      await context.client.delete(pods, objectKey(pod), { gracePeriodSeconds: 0 });
    } catch (error) {
      if (isApiError(error, 'NotFound') || isApiError(error, 'Conflict')) return;
      context.logger.warn(
        { err: error, namespace: pod.metadata.namespace, name: pod.metadata.name },
        'cannot delete pod',
      );
    }
  }
}
