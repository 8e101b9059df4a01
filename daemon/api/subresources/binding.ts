import { formatTime } from '../../apimachinery/time.ts';
import type { Binding, Pod } from '../../apimachinery/types/core-v1.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { CreatedSubresource, SubresourceCreate, VirtualResource } from '../resource-api.ts';
import { conflict, invalid } from '../status-errors.ts';

const bindingKind = { group: '', version: 'v1', kind: 'Binding', definition: 'io.k8s.api.core.v1.Binding' };

/** Binds a pod to a node: sets `spec.nodeName` once, and the PodScheduled condition. */
async function bind({ api, row, namespace, name, body, write }: SubresourceCreate): Promise<object> {
  const binding = body as Binding;
  const { target } = binding;
  if (target?.kind !== undefined && target.kind !== '' && target.kind !== 'Node') {
    throw invalid(bindingKind, name, [
      {
        type: 'FieldValueNotSupported',
        field: 'target.kind',
        detail: `Unsupported value: ${JSON.stringify(target.kind)}: supported values: "Node", "<empty>"`,
      },
    ]);
  }
  if (!target?.name) {
    throw invalid(bindingKind, name, [{ type: 'FieldValueRequired', field: 'target.name', detail: 'Required value' }]);
  }
  const nodeName = target.name;
  await api.registry.writes.update(
    { row, namespace, name, subresource: 'binding' },
    (current) => {
      const pod = cloneObject(current) as Pod;
      const refuse = (why: string) => conflict({ group: '', resource: 'pods/binding' }, name, why);
      if (binding.metadata?.uid && binding.metadata.uid !== pod.metadata?.uid) {
        throw refuse(
          `Precondition failed: UID in precondition: ${binding.metadata.uid}, UID in object meta: ${pod.metadata?.uid}`,
        );
      }
      if (pod.metadata?.deletionTimestamp !== undefined) {
        throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
      }
      if (pod.spec?.nodeName) {
        throw refuse(`pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
      }
      if ((pod.spec?.schedulingGates?.length ?? 0) > 0) {
        throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);
      }
      pod.spec!.nodeName = nodeName;
      if (binding.metadata?.annotations !== undefined) {
        pod.metadata!.annotations = { ...pod.metadata!.annotations, ...binding.metadata.annotations };
      }
      if (binding.metadata?.labels !== undefined) {
        pod.metadata!.labels = { ...pod.metadata!.labels, ...binding.metadata.labels };
      }
      const conditions = (pod.status?.conditions ?? []).filter((condition) => condition.type !== 'PodScheduled');
      conditions.push({
        type: 'PodScheduled',
        status: 'True',
        lastTransitionTime: formatTime(),
        ...(pod.metadata?.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
      } as (typeof conditions)[number]);
      pod.status = { ...pod.status, conditions };
      return pod;
    },
    write,
  );
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
}

export const podBinding: CreatedSubresource = { kind: bindingKind, create: bind };

/** The old way to bind: POST to `bindings` of the namespace. */
export const bindings: VirtualResource = {
  kind: { ...bindingKind, namespaced: true, resource: 'bindings' },
  create: ({ api, namespace, body, write }) =>
    bind({ api, row: api.registry.require('', 'v1', 'pods'), namespace, name: body.metadata?.name ?? '', body, write }),
};
