import type { Namespace } from '../../apimachinery/types/core-v1.ts';
import type { Registry } from '../registry/registry.ts';
import type { StoredObject } from '../registry/stored-object.ts';
import { forbidden, notFound } from '../status-errors.ts';
import type { AdmissionPlugin } from './admission.ts';

const immortal: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);
/** Reviews may be asked even about a namespace that is going. */
const exempt: ReadonlySet<string> = new Set(['authorization.k8s.io']);

/** Nothing is created in a namespace that is missing or going; the namespaces that the system lives in cannot go. */
export function namespaceLifecycle(registry: () => Registry): AdmissionPlugin {
  return {
    name: 'NamespaceLifecycle',
    operations: ['CREATE', 'DELETE'],
    async admit({ operation, row, namespace, name, object }) {
      if (row.handle.resource === 'namespaces' && row.handle.group === '') {
        if (operation === 'DELETE' && immortal.has(name)) {
          throw forbidden(row.handle, name, 'this namespace may not be deleted');
        }
        return;
      }
      if (operation !== 'CREATE' || namespace === '' || exempt.has(row.handle.group)) return;
      const namespaces = registry().require('', 'v1', 'namespaces');
      let found: StoredObject | undefined = registry().objects.cached(namespaces, namespace);
      if (found === undefined) found = await registry().objects.current(namespaces, namespace);
      if (found === undefined) throw notFound(namespaces.handle, namespace);
      const { metadata, status } = found.object as Namespace;
      if (metadata?.deletionTimestamp === undefined && status?.phase !== 'Terminating') return;
      const error = forbidden(
        row.handle,
        object?.metadata?.name ?? '',
        `unable to create new content in namespace ${namespace} because it is being terminated`,
      );
      error.status.details!.causes = [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ];
      throw error;
    },
  };
}
