import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { APIService } from '../../apimachinery/types/apiregistration-v1.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { Registry } from '../registry/registry.ts';
import { ensure, selfWrite } from './bootstrap.ts';

const group = 'apiregistration.k8s.io';

/** Of the groups in the order that discovery lists them: the core group first, then those with the highest priority. */
const firstPriority = 18_000;
const versionPriorities = { stable: 15, beta: 9, alpha: 1 } as const;

/** An APIService for each group version that this server itself serves, as the aggregation layer registers them. */
export async function publishApiServices(
  registry: Registry,
  groupVersions: readonly (readonly [string, string])[],
): Promise<void> {
  const row = registry.require(group, 'v1', 'apiservices');
  const groups = [...new Set(groupVersions.map(([name]) => name))];
  await Promise.all(
    groupVersions.map(async ([name, version]) => {
      const object: APIService = {
        metadata: { name: `${version}.${name}`, labels: { 'kube-aggregator.kubernetes.io/automanaged': 'onstart' } },
        spec: {
          ...(name === '' ? {} : { group: name }),
          version,
          groupPriorityMinimum: firstPriority - groups.indexOf(name) * 10,
          versionPriority: /alpha/.test(version)
            ? versionPriorities.alpha
            : /beta/.test(version)
              ? versionPriorities.beta
              : versionPriorities.stable,
        },
      };
      if (registry.objects.cached(row, object.metadata!.name!) !== undefined) return;
      await ensure(registry, group, 'v1', 'apiservices', object);
      const target = { row, namespace: '', name: object.metadata!.name!, subresource: 'status' };
      await registry.writes.update(target, available, selfWrite);
    }),
  );
}

function available(current: KubernetesObject): KubernetesObject {
  const next = cloneObject(current) as APIService;
  next.status = {
    conditions: [
      {
        type: 'Available',
        status: 'True',
        reason: 'Local',
        message: 'Local APIServices are always available',
        lastTransitionTime: formatTime(),
      },
    ],
  };
  return next;
}
