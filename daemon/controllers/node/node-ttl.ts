import { isApiError } from '../../apimachinery/api-error.ts';
import type { Node } from '../../apimachinery/types/core-v1.ts';
import { nodes } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';

const ttlAnnotation = 'node.alpha.kubernetes.io/ttl';

/** Seconds a kubelet may keep a Secret or ConfigMap without asking, by the size of the cluster. */
const ttlByClusterSize: readonly { readonly upTo: number; readonly seconds: number }[] = [
  { upTo: 100, seconds: 0 },
  { upTo: 500, seconds: 15 },
  { upTo: 1000, seconds: 30 },
  { upTo: 2000, seconds: 60 },
  { upTo: Number.POSITIVE_INFINITY, seconds: 300 },
];

/** Tells kubelets how often to refresh what pods mount, less often the more there are of them. */
export function startTtlController(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('ttlcontroller', workers, async (name) => {
    const node = informer.lister.get(name);
    if (node === undefined) return;
    const seconds = ttlByClusterSize.find(({ upTo }) => informer.lister.size <= upTo)?.seconds ?? 0;
    if (node.metadata.annotations?.[ttlAnnotation] === String(seconds)) return;
    const patch = { metadata: { annotations: { [ttlAnnotation]: String(seconds) } } };
    try {
      await context.client.patch(nodes, { name }, patch, { type: 'strategic' });
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
  });
  const enqueue = (node: Node): void => queue.add(node.metadata.name ?? '');
  const informer = context.watch(nodes, { onAdd: enqueue, onUpdate: enqueue });
}
