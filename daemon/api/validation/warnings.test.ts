import t from 'tap';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { resourceRows } from '../resources/table.ts';

function warnings(resource: string, object: object, group = ''): string[] {
  const row = resourceRows.find(({ handle }) => handle.resource === resource && handle.group === group)!;
  return row.warnings!({ metadata: { name: 'x' }, ...object } as KubernetesObject, undefined);
}

const container = { name: 'c', image: 'i' };

t.test('what is most likely not meant', (t) => {
  t.same(warnings('pods', { spec: { containers: [container] } }), []);
  t.same(
    warnings('pods', {
      spec: {
        containers: [{ ...container, env: [{ name: 'A' }, { name: 'A' }], resources: { limits: { memory: '100m' } } }],
      },
    }),
    [
      'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
      'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
    ],
  );
  const template = { spec: { containers: [container], nodeSelector: { 'beta.kubernetes.io/os': 'linux' } } };
  t.same(warnings('deployments', { spec: { template } }, 'apps'), [
    'spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
  ]);
  t.same(warnings('services', { spec: { type: 'ClusterIP', externalName: 'a' } }), [
    'spec.externalName is ignored when spec.type is not "ExternalName"',
  ]);
  t.same(warnings('configmaps', { metadata: { name: 'x', finalizers: ['mine', 'a.b/c'] } }), [
    'metadata.finalizers: "mine": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers',
  ]);
  t.end();
});
