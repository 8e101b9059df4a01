import { isApiError } from '../../apimachinery/api-error.ts';
import { withCondition } from '../../apimachinery/conditions.ts';
import { stableStringify } from '../../apimachinery/hash.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import type { Node, Pod } from '../../apimachinery/types/core-v1.ts';
import { nodes, pods } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { objectKey } from '../object-key.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { evictionTime } from './eviction-time.ts';
import { indexPodsByNode } from './node-lifecycle.ts';

/** Deletes the pods that do not tolerate a NoExecute taint of their node, each when its toleration runs out. */
export function startTaintEvictionController(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('noexec_taint_pod', workers, reconcile);
  /** Pods that are to leave later: told when that is called off. */
  const scheduled = new Set<string>();

  const podInformer = context.watch(pods, {
    onAdd: (pod) => queue.add(keyOf(pod)),
    onUpdate: (pod, old) => {
      const facts = (p: Pod): string => stableStringify([p.spec?.nodeName, p.spec?.tolerations]);
      if (facts(pod) !== facts(old)) queue.add(keyOf(pod));
    },
    onDelete: (pod) => scheduled.delete(keyOf(pod)),
  });
  const podsOn = indexPodsByNode(podInformer);
  const queuePodsOn = (node: Node): void => {
    for (const pod of podsOn(node.metadata.name ?? '')) queue.add(keyOf(pod));
  };
  const nodeInformer = context.watch(nodes, {
    onAdd: queuePodsOn,
    onUpdate: (node, old) => {
      if (stableStringify(node.spec?.taints) !== stableStringify(old.spec?.taints)) queuePodsOn(node);
    },
  });

  async function reconcile(key: string): Promise<void> {
    const pod = podInformer.lister.get(key);
    if (pod === undefined || isTerminating(pod)) return;
    const node = nodeInformer.lister.get(pod.spec?.nodeName ?? '');
    if (node === undefined) return;
    const now = context.now();
    const leaveAt = evictionTime(pod, node.spec?.taints ?? [], now);
    if (leaveAt === undefined) {
      if (scheduled.delete(key)) {
        context.event(pods, pod, 'Normal', 'TaintManagerEviction', `Cancelling deletion of Pod ${key}`);
      }
      return;
    }
    if (leaveAt > now.getTime()) {
      scheduled.add(key);
      queue.addAfter(key, leaveAt - now.getTime());
      return;
    }
    scheduled.delete(key);
    context.event(pods, pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`);
    await evict(pod);
  }

  async function evict(pod: Pod): Promise<void> {
    const conditions = withCondition(
      pod.status?.conditions,
      {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'DeletionByTaintManager',
        message: 'Taint manager: deleting due to NoExecute taint',
      },
      context.now(),
    );
    try {
      if (conditions !== pod.status?.conditions) {
        await context.client.patch(
          pods,
          objectKey(pod),
          { metadata: { uid: pod.metadata.uid }, status: { conditions } },
          { type: 'strategic', subresource: 'status' },
        );
      }
      await context.client.delete(
        pods,
        objectKey(pod),
        pod.metadata.uid === undefined ? {} : { preconditions: { uid: pod.metadata.uid } },
      );
    } catch (error) {
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error;
    }
  }
}
