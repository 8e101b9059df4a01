import { isApiError } from '../../apimachinery/api-error.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import { isControlledBy, makeControllerReference } from '../../apimachinery/owner-reference.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { persistentvolumeclaims, pods } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { joinKey } from '../object-key.ts';
import { isNamespaceTerminating } from '../workload/pod-control.ts';
import { isTerminating } from '../workload/pod-state.ts';

/** Makes the claims of pods' generic ephemeral volumes; they go with the pod that owns them. */
export function startEphemeralVolumeController(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('ephemeral_volume', workers, async (key) => {
    const pod = informer.lister.get(key);
    if (pod === undefined || isTerminating(pod)) return;
    for (const { name, ephemeral } of pod.spec.volumes ?? []) {
      const template = ephemeral?.volumeClaimTemplate;
      if (template === undefined) continue;
      const claimName = `${pod.metadata.name}-${name}`;
      const existing = claims.lister.get(joinKey(pod.metadata.namespace, claimName));
      if (existing !== undefined) {
        if (isControlledBy(existing, pod)) continue;
        throw new Error(`PVC "${key}" was not created for pod (pod is not owner)`);
      }
      const { namespace } = pod.metadata;
      const { labels, annotations } = template.metadata ?? {};
      try {
        await context.client.create(persistentvolumeclaims, {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: {
            name: claimName,
            ...(namespace === undefined ? {} : { namespace }),
            ...(labels === undefined ? {} : { labels }),
            ...(annotations === undefined ? {} : { annotations }),
            ownerReferences: [makeControllerReference(pods, pod)],
          },
          spec: structuredClone(template.spec),
        });
      } catch (error) {
        if (!isApiError(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
      }
    }
  });
  const changed = (pod: Pod): void => {
    if (pod.spec.volumes?.some((volume) => volume.ephemeral !== undefined) === true) queue.add(keyOf(pod));
  };
  const informer = context.watch(pods, { onAdd: changed });
  const claims = context.watch(persistentvolumeclaims, {
    onDelete: (claim) => {
      const owner = claim.metadata.ownerReferences?.find((reference) => reference.kind === 'Pod');
      if (owner !== undefined) queue.add(joinKey(claim.metadata.namespace, owner.name));
    },
  });
}
