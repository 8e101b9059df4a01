import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { ComponentStatus } from '../../apimachinery/types/core-v1.ts';
import type { Store } from '../../store/store.ts';
import type { VirtualResource } from '../resource-api.ts';
import { notFound } from '../status-errors.ts';

function healthy(object: KubernetesObject): { status: string; message?: string } | undefined {
  return (object as ComponentStatus).conditions?.find((condition) => condition.type === 'Healthy');
}

/** `componentstatuses`, deprecated and still asked for: what stands behind the API, as one list. */
export function componentStatuses(store: Store): VirtualResource {
  const status = (name: string, healthy: boolean, message: string) => ({
    metadata: { name },
    conditions: [{ type: 'Healthy', status: healthy ? 'True' : 'False', message }],
  });
  const all = async () => {
    const etcd = await store.status().then(
      (found) => (found.errors.length === 0 ? undefined : found.errors.join(', ')),
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    return [
      status('controller-manager', true, 'ok'),
      status('scheduler', true, 'ok'),
      status('etcd-0', etcd === undefined, etcd ?? 'ok'),
    ];
  };
  const kind = {
    group: '',
    version: 'v1',
    kind: 'ComponentStatus',
    resource: 'componentstatuses',
    namespaced: false,
    definition: 'io.k8s.api.core.v1.ComponentStatus',
  };
  return {
    kind,
    columns: [
      { name: 'Name', type: 'string', format: 'name', priority: 0, cell: (object) => object.metadata?.name ?? '' },
      {
        name: 'Status',
        type: 'string',
        priority: 0,
        cell: (object) => (healthy(object)?.status === 'True' ? 'Healthy' : 'Unhealthy'),
      },
      {
        name: 'Message',
        type: 'string',
        priority: 0,
        cell: (object) => (healthy(object)?.status === 'True' ? 'ok' : ''),
      },
      {
        name: 'Error',
        type: 'string',
        priority: 0,
        cell: (object) => (healthy(object)?.status === 'True' ? '' : (healthy(object)?.message ?? '')),
      },
    ],
    async read(name) {
      const items = await all();
      if (name === '') return { kind: 'ComponentStatusList', apiVersion: 'v1', metadata: {}, items };
      const found = items.find(({ metadata }) => metadata.name === name);
      if (found === undefined) throw notFound(kind, name);
      return { kind: 'ComponentStatus', apiVersion: 'v1', ...found };
    },
  };
}
