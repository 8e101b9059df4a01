import type { Pod, ServiceAccount, Volume } from '../../apimachinery/types/core-v1.ts';
import { randomSuffix } from '../registry/generated-name.ts';
import type { Registry } from '../registry/registry.ts';
import { forbidden } from '../status-errors.ts';
import type { AdmissionPlugin } from './admission.ts';

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const volumePrefix = 'kube-api-access-';
/** Seconds; the kubelet renews the token well before. The odd 7 marks a token that a plug-in asked for. */
const tokenSeconds = 3607;
const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** The volume with a pod's credentials: a short-lived token, the cluster's CA and the namespace. */
function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { path: 'token', expirationSeconds: tokenSeconds } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
    },
  };
}

/** Every pod runs as a service account, which must exist, and finds its token mounted unless it says otherwise. */
export function serviceAccountAdmission(registry: () => Registry): AdmissionPlugin {
  return {
    name: 'ServiceAccount',
    operations: ['CREATE'],
    resources: ['pods'],
    async admit({ row, namespace, name, object }) {
      const pod = object as Pod;
      const spec = pod.spec;
      if (spec === undefined) return;
      if (pod.metadata?.annotations?.[mirrorAnnotation] !== undefined) {
        if (spec.serviceAccountName) {
          throw forbidden(row.handle, name, 'a mirror pod may not reference service accounts');
        }
        return;
      }
      spec.serviceAccountName ||= 'default';
      (spec as { serviceAccount?: string }).serviceAccount = spec.serviceAccountName;
      const accounts = registry().require('', 'v1', 'serviceaccounts');
      const key = `${namespace}/${spec.serviceAccountName}`;
      const found = registry().objects.cached(accounts, key) ?? (await registry().objects.current(accounts, key));
      if (found === undefined) {
        throw forbidden(
          row.handle,
          pod.metadata?.name ?? '',
          `error looking up service account ${namespace}/${spec.serviceAccountName}: serviceaccount "${spec.serviceAccountName}" not found`,
        );
      }
      const account = found.object as ServiceAccount;
      if ((spec.imagePullSecrets ?? []).length === 0 && (account.imagePullSecrets ?? []).length > 0) {
        spec.imagePullSecrets = account.imagePullSecrets!.map(({ name: secret }) => ({ name: secret }));
      }
      const mounts = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
      if (mounts) mountToken(pod);
    },
  };
}

function mountToken(pod: Pod): void {
  const spec = pod.spec!;
  const existing = (spec.volumes ?? []).find((volume) => volume.name.startsWith(volumePrefix));
  const name = existing?.name ?? `${volumePrefix}${randomSuffix(5)}`;
  let needed = false;
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    if ((container.volumeMounts ?? []).some((mount) => mount.mountPath === mountPath)) continue;
    container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath }];
    needed = true;
  }
  if (needed && existing === undefined) spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
}
