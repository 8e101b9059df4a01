import { isApiError } from '../../apimachinery/api-error.ts';
import type { Namespace } from '../../apimachinery/types/core-v1.ts';
import { namespaces } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { deletionConditions } from './namespace-conditions.ts';
import { deleteAllContent } from './namespace-content.ts';

const finalizer = 'kubernetes';
/** Between a deletion and the first look: time for other API servers to stop letting things in. */
const graceMs = 500;

/** Empties namespaces that are being deleted, then lets them go by taking the `kubernetes` finalizer off their spec. */
export function startNamespaceController(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('namespace', workers, reconcile);
  const changed = (namespace: Namespace): void => {
    if (namespace.metadata.deletionTimestamp !== undefined) queue.addAfter(namespace.metadata.name ?? '', graceMs);
  };
  const informer = context.watch(namespaces, { onAdd: changed, onUpdate: changed });

  async function reconcile(name: string): Promise<void> {
    const cached = informer.lister.get(name);
    if (cached?.metadata.deletionTimestamp === undefined) return;
    try {
      await finish(await terminating(await context.client.get(namespaces, { name })));
    } catch (error) {
      // Gone, or written by somebody else: its event brings it back.
      if (isApiError(error, 'NotFound')) return;
      throw error;
    }
  }

  async function terminating(namespace: Namespace): Promise<Namespace> {
    if (namespace.metadata.deletionTimestamp === undefined || namespace.status?.phase === 'Terminating')
      return namespace;
    const status = { ...namespace.status, phase: 'Terminating' };
    return context.client.update(namespaces, { ...namespace, status }, { subresource: 'status' });
  }

  async function finish(namespace: Namespace): Promise<void> {
    const { name = '', deletionTimestamp } = namespace.metadata;
    const finalizers = namespace.spec?.finalizers ?? [];
    if (deletionTimestamp === undefined || !finalizers.includes(finalizer)) return;
    const content = await deleteAllContent(context.client, context.settings.resources(), name);
    const conditions = deletionConditions(namespace.status?.conditions, content, context.now());
    let current = namespace;
    if (conditions !== namespace.status?.conditions) {
      const status = { ...namespace.status, conditions };
      current = await context.client.update(namespaces, { ...namespace, status }, { subresource: 'status' });
    }
    if (content.errors.length > 0) throw new Error(content.errors.join('; '));
    if (content.counts.size > 0) {
      // Pods take their grace period, other objects as long as their finalizers: look again in a while.
      queue.addAfter(name, (Math.floor(content.estimateSeconds / 2) + 1) * 1000);
      return;
    }
    const spec = { ...current.spec, finalizers: finalizers.filter((entry) => entry !== finalizer) };
    await context.client.update(namespaces, { ...current, spec }, { subresource: 'finalize' });
  }
}
