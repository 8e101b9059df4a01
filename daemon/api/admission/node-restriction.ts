import type { Node, Pod } from '../../apimachinery/types/core-v1.ts';
import { nodeNameOf } from '../authorization/node.ts';
import { jsonEqual } from '../registry/deep-equal.ts';
import type { Registry } from '../registry/registry.ts';
import { forbidden } from '../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const mirrorAnnotation = 'kubernetes.io/config.mirror';
/** Labels a kubelet may set on its own node under the reserved domains. */
const kubeletLabels: ReadonlySet<string> = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
]);

/** A kubelet writes its own node, its own lease, and pods bound to it; nothing of other nodes. */
export function nodeRestriction(registry: () => Registry): AdmissionPlugin {
  return {
    name: 'NodeRestriction',
    operations: ['CREATE', 'UPDATE', 'DELETE'],
    resources: ['nodes', 'pods', 'leases.coordination.k8s.io', 'serviceaccounts'],
    admit(request) {
      const node = nodeNameOf(request.identity);
      if (node === undefined) return;
      const { resource } = request.row.handle;
      if (resource === 'nodes') checkNode(request, node);
      else if (resource === 'leases') checkLease(request, node);
      else if (resource === 'pods') checkPod(request, node, registry());
    },
  };
}

function checkLease({ row, namespace, name, object, operation }: AdmissionRequest, node: string): void {
  const refuse = (why: string) => forbidden(row.handle, name, why);
  if (namespace !== 'kube-node-lease') throw refuse(`can only access leases in the "kube-node-lease" system namespace`);
  const actual = operation === 'CREATE' ? (object?.metadata?.name ?? name) : name;
  if (actual !== node) throw refuse(`can only access node lease with the same name as the requesting node`);
}

function checkNode({ row, name, object, old, operation }: AdmissionRequest, node: string): void {
  const target = operation === 'CREATE' ? (object?.metadata?.name ?? name) : name;
  const refuse = (why: string) => forbidden(row.handle, target, `node ${JSON.stringify(node)} ${why}`);
  if (target !== node) throw refuse(`is not allowed to modify node ${JSON.stringify(target)}`);
  if (operation === 'DELETE') return;
  const next = object as Node;
  const before = old as Node | undefined;
  if (operation === 'UPDATE' && !jsonEqual(next.spec?.taints ?? [], before?.spec?.taints ?? [])) {
    throw refuse('is not allowed to modify taints');
  }
  if (
    operation === 'UPDATE' &&
    !jsonEqual(next.metadata?.ownerReferences ?? [], before?.metadata?.ownerReferences ?? [])
  ) {
    throw refuse('is not allowed to modify ownerReferences');
  }
  const changed = new Set<string>();
  const labels = next.metadata?.labels ?? {};
  const oldLabels = before?.metadata?.labels ?? {};
  for (const key of new Set([...Object.keys(labels), ...Object.keys(oldLabels)])) {
    if (labels[key] !== oldLabels[key] && isReserved(key)) changed.add(key);
  }
  if (changed.size > 0) throw refuse(`is not allowed to modify labels: ${[...changed].sort().join(', ')}`);
}

/** Labels that say where workloads may run: a kubelet must not draw them to itself. */
function isReserved(key: string): boolean {
  if (kubeletLabels.has(key)) return false;
  const slash = key.indexOf('/');
  const domain = slash === -1 ? '' : key.slice(0, slash);
  if (domain === 'node-restriction.kubernetes.io' || domain.endsWith('.node-restriction.kubernetes.io')) return true;
  const isKubernetes = /(^|\.)(kubernetes|k8s)\.io$/.test(domain);
  return isKubernetes && !/(^|\.)(kubelet|node)\.kubernetes\.io$/.test(domain);
}

function checkPod(
  { row, namespace, name, object, old, operation, subresource }: AdmissionRequest,
  node: string,
  registry: Registry,
): void {
  const pod = object as Pod | undefined;
  const refuse = (why: string) => forbidden(row.handle, name || (pod?.metadata?.name ?? ''), why);
  if (operation === 'CREATE') {
    const mirror = pod?.metadata?.annotations?.[mirrorAnnotation] !== undefined;
    if (!mirror)
      throw refuse(
        `pod does not have ${JSON.stringify(mirrorAnnotation)} annotation, node ${JSON.stringify(node)} can only create mirror pods`,
      );
    if (pod?.spec?.nodeName !== node)
      throw refuse(`node ${JSON.stringify(node)} can only create pods with spec.nodeName set to itself`);
    return;
  }
  const existing = (old ?? registry.objects.cached(row, `${namespace}/${name}`)?.object) as Pod | undefined;
  if (existing !== undefined && existing.spec?.nodeName !== node) {
    const what = operation === 'DELETE' ? 'delete pods' : 'update pod status for pods';
    throw refuse(`node ${JSON.stringify(node)} can only ${what} with spec.nodeName set to itself`);
  }
  if (
    operation === 'UPDATE' &&
    subresource === 'status' &&
    !jsonEqual(pod?.metadata?.labels ?? {}, existing?.metadata?.labels ?? {})
  ) {
    throw refuse(`node ${JSON.stringify(node)} cannot update labels through pod status`);
  }
}
