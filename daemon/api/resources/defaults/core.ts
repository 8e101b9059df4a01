import type {
  Event,
  LimitRange,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  ResourceQuota,
  Secret,
} from '../../../apimachinery/types/core-v1.ts';
import { defaultClaimSpec, defaultSharedSources } from './volumes.ts';

/** Every namespace carries its own name as a label, so that selectors can name it. */
export function defaultNamespace(namespace: Namespace): void {
  namespace.spec ??= {};
  namespace.status ??= {};
  namespace.status.phase ||= 'Active';
  const { name } = namespace.metadata;
  if (name) {
    namespace.metadata.labels ??= {};
    namespace.metadata.labels['kubernetes.io/metadata.name'] ??= name;
  }
}

const emptyNodeInfo = () => ({
  machineID: '',
  systemUUID: '',
  bootID: '',
  kernelVersion: '',
  osImage: '',
  containerRuntimeVersion: '',
  kubeletVersion: '',
  kubeProxyVersion: '',
  operatingSystem: '',
  architecture: '',
});

export function defaultNode(node: Node): void {
  node.spec ??= {};
  node.status ??= {};
  node.status.daemonEndpoints ??= {};
  node.status.daemonEndpoints.kubeletEndpoint ??= { Port: 0 };
  node.status.nodeInfo ??= emptyNodeInfo();
  if (node.status.allocatable === undefined && node.status.capacity !== undefined) {
    node.status.allocatable = { ...node.status.capacity };
  }
}

export function defaultPersistentVolume(volume: PersistentVolume): void {
  volume.spec ??= {};
  volume.status ??= {};
  volume.status.phase ||= 'Pending';
  volume.spec.persistentVolumeReclaimPolicy ||= 'Retain';
  volume.spec.volumeMode ??= 'Filesystem';
  defaultSharedSources(volume.spec);
}

export function defaultPersistentVolumeClaim(claim: PersistentVolumeClaim): void {
  claim.spec ??= {};
  claim.status ??= {};
  claim.status.phase ||= 'Pending';
  defaultClaimSpec(claim.spec);
}

/** `stringData` is write-only: what it holds becomes data. */
export function defaultSecret(secret: Secret): void {
  if (secret.stringData !== undefined) {
    secret.data ??= {};
    for (const [key, text] of Object.entries(secret.stringData)) {
      secret.data[key] = Buffer.from(text, 'utf8').toString('base64');
    }
    delete secret.stringData;
  }
  secret.type ||= 'Opaque';
}

/** A container's default limit is its maximum, its default request the default limit, failing that the minimum. */
export function defaultLimitRange(range: LimitRange): void {
  range.spec ??= { limits: [] };
  for (const item of range.spec.limits ?? []) {
    if (item.type !== 'Container') continue;
    const limits = { ...item.max, ...item.default };
    const requests = { ...item.min, ...limits, ...item.defaultRequest };
    if (Object.keys(limits).length > 0) item.default = limits;
    if (Object.keys(requests).length > 0) item.defaultRequest = requests;
  }
}

export function defaultResourceQuota(quota: ResourceQuota): void {
  quota.spec ??= {};
  quota.status ??= {};
}

/** Fields of an event that are always on the wire, set or not. */
export function defaultEvent(event: Event): void {
  event.involvedObject ??= {};
  event.source ??= {};
  event.reportingComponent ??= '';
  event.reportingInstance ??= '';
}
