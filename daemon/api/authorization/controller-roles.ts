import type { PolicyRule } from '../../apimachinery/types/rbac-v1.ts';
import { events, rule } from './rules.ts';

const read = ['get', 'list', 'watch'];

/** What each controller may do, as the service account of its name in kube-system. */
export const controllerRoles: readonly { readonly name: string; readonly rules: readonly PolicyRule[] }[] = [
  {
    name: 'attachdetach-controller',
    rules: [
      rule('', ['persistentvolumeclaims', 'persistentvolumes'], ['list', 'watch']),
      rule('', ['nodes'], read),
      rule('', ['nodes/status'], ['patch', 'update']),
      rule('', ['pods'], ['list', 'watch']),
      ...events,
      rule('storage.k8s.io', ['volumeattachments'], ['create', 'delete', ...read]),
      rule('storage.k8s.io', ['csidrivers', 'csinodes'], read),
    ],
  },
  {
    name: 'clusterrole-aggregation-controller',
    rules: [rule('rbac.authorization.k8s.io', ['clusterroles'], ['escalate', ...read, 'patch', 'update'])],
  },
  {
    name: 'cronjob-controller',
    rules: [
      rule('batch', ['cronjobs'], [...read, 'update']),
      rule('batch', ['jobs'], ['create', 'delete', ...read, 'patch', 'update']),
      rule('batch', ['cronjobs/status'], ['update']),
      rule('batch', ['cronjobs/finalizers'], ['update']),
      rule('', ['pods'], ['delete', 'list']),
      ...events,
    ],
  },
  {
    name: 'daemon-set-controller',
    rules: [
      rule('extensions', ['daemonsets'], read),
      rule('apps', ['daemonsets'], read),
      rule('apps', ['daemonsets/status'], ['update']),
      rule('apps', ['daemonsets/finalizers'], ['update']),
      rule('', ['nodes'], ['list', 'watch']),
      rule('', ['pods'], ['create', 'delete', 'list', 'patch', 'watch']),
      rule('', ['pods/binding'], ['create']),
      rule('apps', ['controllerrevisions'], ['create', 'delete', ...read, 'patch', 'update']),
      ...events,
    ],
  },
  {
    name: 'deployment-controller',
    rules: [
      rule('extensions', ['deployments'], [...read, 'update']),
      rule('apps', ['deployments'], [...read, 'update']),
      rule('apps', ['deployments/status'], ['update']),
      rule('apps', ['deployments/finalizers'], ['update']),
      rule('extensions', ['replicasets'], ['create', 'delete', ...read, 'patch', 'update']),
      rule('apps', ['replicasets'], ['create', 'delete', ...read, 'patch', 'update']),
      rule('', ['pods'], [...read, 'update']),
      ...events,
    ],
  },
  {
    name: 'disruption-controller',
    rules: [
      rule('extensions', ['deployments'], read),
      rule('apps', ['deployments', 'replicasets', 'statefulsets'], read),
      rule('extensions', ['replicasets'], read),
      rule('', ['replicationcontrollers'], read),
      rule('policy', ['poddisruptionbudgets'], read),
      rule('policy', ['poddisruptionbudgets/status'], ['update']),
      rule('', ['pods'], read),
      rule('', ['pods/status'], ['patch', 'update']),
      rule('*', ['*/scale'], ['get']),
      ...events,
    ],
  },
  {
    name: 'endpoint-controller',
    rules: [
      rule('', ['pods', 'services'], read),
      rule('', ['endpoints'], ['create', 'delete', ...read, 'update']),
      rule('', ['endpoints/restricted'], ['create']),
      ...events,
    ],
  },
  {
    name: 'endpointslice-controller',
    rules: [
      rule('', ['nodes', 'pods', 'services'], read),
      rule('', ['services/finalizers'], ['update']),
      rule('discovery.k8s.io', ['endpointslices'], ['create', 'delete', ...read, 'update']),
      ...events,
    ],
  },
  {
    name: 'endpointslicemirroring-controller',
    rules: [
      rule('', ['endpoints', 'services'], read),
      rule('', ['endpoints/finalizers', 'services/finalizers'], ['update']),
      rule('discovery.k8s.io', ['endpointslices'], ['create', 'delete', ...read, 'update']),
      ...events,
    ],
  },
  {
    name: 'ephemeral-volume-controller',
    rules: [
      rule('', ['pods'], read),
      rule('', ['pods/finalizers'], ['update']),
      rule('', ['persistentvolumeclaims'], ['create', ...read]),
      ...events,
    ],
  },
  {
    name: 'expand-controller',
    rules: [
      rule('', ['persistentvolumes'], [...read, 'patch', 'update']),
      rule('', ['persistentvolumeclaims/status'], ['patch', 'update']),
      rule('', ['persistentvolumeclaims'], read),
      rule('storage.k8s.io', ['storageclasses'], read),
      rule('', ['endpoints', 'services'], ['get']),
      rule('', ['secrets'], ['get']),
      ...events,
    ],
  },
  {
    name: 'generic-garbage-collector',
    rules: [rule('*', ['*'], ['delete', ...read, 'patch', 'update']), ...events],
  },
  {
    name: 'horizontal-pod-autoscaler',
    rules: [
      rule('autoscaling', ['horizontalpodautoscalers'], read),
      rule('autoscaling', ['horizontalpodautoscalers/status'], ['update']),
      rule('*', ['*/scale'], ['get', 'update']),
      rule('', ['pods'], ['list', 'watch']),
      rule('custom.metrics.k8s.io', ['*'], ['get', 'list']),
      rule('external.metrics.k8s.io', ['*'], ['get', 'list']),
      rule('metrics.k8s.io', ['pods'], ['list']),
      ...events,
    ],
  },
  {
    name: 'job-controller',
    rules: [
      rule('batch', ['jobs'], [...read, 'patch', 'update']),
      rule('batch', ['jobs/status'], ['patch', 'update']),
      rule('batch', ['jobs/finalizers'], ['update']),
      rule('', ['pods'], ['create', 'delete', 'list', 'patch', 'watch']),
      ...events,
    ],
  },
  {
    name: 'namespace-controller',
    rules: [
      rule('', ['namespaces'], ['delete', ...read]),
      rule('', ['namespaces/finalize', 'namespaces/status'], ['update']),
      rule('*', ['*'], ['delete', 'deletecollection', 'get', 'list']),
    ],
  },
  {
    name: 'node-controller',
    rules: [
      rule('', ['nodes'], ['delete', ...read, 'patch', 'update']),
      rule('', ['nodes/status'], ['patch', 'update']),
      rule('', ['pods/status'], ['patch', 'update']),
      rule('', ['pods'], ['delete', ...read]),
      rule('coordination.k8s.io', ['leases'], read),
      rule('networking.k8s.io', ['clustercidrs'], read),
      ...events,
    ],
  },
  {
    name: 'persistent-volume-binder',
    rules: [
      rule('', ['persistentvolumes'], ['create', 'delete', ...read, 'update']),
      rule('', ['persistentvolumes/status'], ['update']),
      rule('', ['persistentvolumeclaims'], [...read, 'update']),
      rule('', ['persistentvolumeclaims/status'], ['update']),
      rule('', ['pods'], ['create', 'delete', ...read]),
      rule('storage.k8s.io', ['storageclasses'], read),
      rule('', ['endpoints', 'services'], ['create', 'delete', 'get', 'update']),
      rule('', ['secrets'], ['get']),
      rule('', ['nodes'], ['get', 'list']),
      rule('', ['events'], ['watch']),
      ...events,
    ],
  },
  {
    name: 'pod-garbage-collector',
    rules: [
      rule('', ['pods'], ['delete', 'list', 'watch']),
      rule('', ['nodes'], ['get', 'list', 'watch']),
      rule('', ['pods/status'], ['patch']),
    ],
  },
  {
    name: 'replicaset-controller',
    rules: [
      rule('extensions', ['replicasets'], [...read, 'update']),
      rule('apps', ['replicasets'], [...read, 'update']),
      rule('apps', ['replicasets/status'], ['update']),
      rule('apps', ['replicasets/finalizers'], ['update']),
      rule('', ['pods'], ['create', 'delete', 'list', 'patch', 'watch']),
      ...events,
    ],
  },
  {
    name: 'replication-controller',
    rules: [
      rule('', ['replicationcontrollers'], [...read, 'update']),
      rule('', ['replicationcontrollers/status'], ['update']),
      rule('', ['replicationcontrollers/finalizers'], ['update']),
      rule('', ['pods'], ['create', 'delete', 'list', 'patch', 'watch']),
      ...events,
    ],
  },
  {
    name: 'resourcequota-controller',
    rules: [rule('*', ['*'], ['list', 'watch']), rule('', ['resourcequotas/status'], ['update']), ...events],
  },
  {
    name: 'route-controller',
    rules: [rule('', ['nodes'], ['list', 'watch']), rule('', ['nodes/status'], ['patch']), ...events],
  },
  { name: 'service-account-controller', rules: [rule('', ['serviceaccounts'], ['create']), ...events] },
  {
    name: 'service-controller',
    rules: [
      rule('', ['services'], read),
      rule('', ['services/status'], ['patch', 'update']),
      rule('', ['nodes'], ['list', 'watch']),
      ...events,
    ],
  },
  {
    name: 'statefulset-controller',
    rules: [
      rule('', ['pods'], ['list', 'watch']),
      rule('apps', ['statefulsets'], read),
      rule('apps', ['statefulsets/status'], ['update']),
      rule('apps', ['statefulsets/finalizers'], ['update']),
      rule('', ['pods'], ['create', 'delete', 'get', 'patch', 'update']),
      rule('apps', ['controllerrevisions'], ['create', 'delete', ...read, 'patch', 'update']),
      rule('', ['persistentvolumeclaims'], ['create', 'delete', ...read, 'patch', 'update']),
      ...events,
    ],
  },
  {
    name: 'ttl-controller',
    rules: [rule('', ['nodes'], ['list', 'patch', 'update', 'watch']), ...events],
  },
  {
    name: 'certificate-controller',
    rules: [
      rule('certificates.k8s.io', ['certificatesigningrequests'], ['delete', ...read]),
      rule(
        'certificates.k8s.io',
        ['certificatesigningrequests/approval', 'certificatesigningrequests/status'],
        ['update'],
      ),
      rule('certificates.k8s.io', ['signers'], ['approve'], ['kubernetes.io/kube-apiserver-client-kubelet']),
      rule(
        'certificates.k8s.io',
        ['signers'],
        ['sign'],
        [
          'kubernetes.io/legacy-unknown',
          'kubernetes.io/kubelet-serving',
          'kubernetes.io/kube-apiserver-client',
          'kubernetes.io/kube-apiserver-client-kubelet',
        ],
      ),
      rule('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
      ...events,
    ],
  },
  {
    name: 'pvc-protection-controller',
    rules: [rule('', ['persistentvolumeclaims'], [...read, 'update']), rule('', ['pods'], read), ...events],
  },
  {
    name: 'pv-protection-controller',
    rules: [rule('', ['persistentvolumes'], [...read, 'update']), ...events],
  },
  {
    name: 'vac-protection-controller',
    rules: [
      rule('', ['persistentvolumeclaims', 'persistentvolumes'], read),
      rule('storage.k8s.io', ['volumeattributesclasses'], [...read, 'update']),
      ...events,
    ],
  },
  {
    name: 'ttl-after-finished-controller',
    rules: [rule('batch', ['jobs'], ['delete', ...read]), ...events],
  },
  {
    name: 'root-ca-cert-publisher',
    rules: [rule('', ['configmaps'], ['create', 'update']), ...events],
  },
  {
    name: 'validatingadmissionpolicy-status-controller',
    rules: [
      rule('admissionregistration.k8s.io', ['validatingadmissionpolicies'], read),
      rule('admissionregistration.k8s.io', ['validatingadmissionpolicies/status'], ['get', 'patch', 'update']),
      ...events,
    ],
  },
  {
    name: 'service-cidrs-controller',
    rules: [
      rule('networking.k8s.io', ['servicecidrs'], [...read, 'patch', 'update']),
      rule('networking.k8s.io', ['servicecidrs/finalizers'], ['patch', 'update']),
      rule('networking.k8s.io', ['servicecidrs/status'], ['patch', 'update']),
      rule('networking.k8s.io', ['ipaddresses'], read),
      ...events,
    ],
  },
  {
    name: 'legacy-service-account-token-cleaner',
    rules: [
      rule('', ['configmaps'], ['get'], ['kube-apiserver-legacy-service-account-token-tracking']),
      rule('', ['secrets'], ['delete', 'patch']),
    ],
  },
  {
    name: 'resource-claim-controller',
    rules: [
      rule('', ['pods'], read),
      rule('', ['pods/finalizers'], ['update']),
      rule('resource.k8s.io', ['resourceclaims'], ['create', 'delete', ...read, 'update']),
      rule('resource.k8s.io', ['resourceclaims/status'], ['patch', 'update']),
      rule('resource.k8s.io', ['resourceclaimtemplates'], read),
      rule('', ['pods/status'], ['patch']),
      ...events,
    ],
  },
  {
    name: 'storage-version-migrator-controller',
    rules: [
      rule('storagemigration.k8s.io', ['storageversionmigrations'], read),
      rule('storagemigration.k8s.io', ['storageversionmigrations/status'], ['update']),
      rule('*', ['*'], ['get', 'list', 'patch', 'watch']),
    ],
  },
];
