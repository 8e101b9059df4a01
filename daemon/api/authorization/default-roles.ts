import type { PolicyRule } from '../../apimachinery/types/rbac-v1.ts';
import { controllerRoles } from './controller-roles.ts';
import { events, rule, urls } from './rules.ts';

/**
 * The roles and bindings that Kubernetes ships (its RBAC bootstrap policy), as data. They are brought to the cluster at each
 * start: what is missing is added, what users added stays.
 */

export interface DefaultRole {
  readonly name: string;
  /** Set for a Role; absent for a ClusterRole. */
  readonly namespace?: string;
  readonly rules: readonly PolicyRule[];
  readonly labels?: Readonly<Record<string, string>>;
  /** The rules are those of all roles with one of these labels. */
  readonly aggregates?: readonly string[];
}

export interface DefaultBinding {
  readonly name: string;
  readonly namespace?: string;
  /** Of a binding in a namespace: `Role` (default) or `ClusterRole`. */
  readonly roleKind?: 'Role' | 'ClusterRole';
  readonly role: string;
  readonly users?: readonly string[];
  readonly groups?: readonly string[];
  /** `namespace/name` */
  readonly serviceAccounts?: readonly string[];
}

const read = ['get', 'list', 'watch'];
const write = ['create', 'delete', 'deletecollection', 'patch', 'update'];

const aggregate = (to: string) => `rbac.authorization.k8s.io/aggregate-to-${to}`;

const viewCore = [
  'configmaps',
  'endpoints',
  'persistentvolumeclaims',
  'persistentvolumeclaims/status',
  'pods',
  'replicationcontrollers',
  'replicationcontrollers/scale',
  'serviceaccounts',
  'services',
  'services/status',
];
const viewCoreMore = [
  'bindings',
  'events',
  'limitranges',
  'namespaces/status',
  'pods/log',
  'pods/status',
  'replicationcontrollers/status',
  'resourcequotas',
  'resourcequotas/status',
];
const viewApps = [
  'controllerrevisions',
  'daemonsets',
  'daemonsets/status',
  'deployments',
  'deployments/scale',
  'deployments/status',
  'replicasets',
  'replicasets/scale',
  'replicasets/status',
  'statefulsets',
  'statefulsets/scale',
  'statefulsets/status',
];
const viewRules: readonly PolicyRule[] = [
  rule('', viewCore, read),
  rule('', viewCoreMore, read),
  rule('', ['namespaces'], read),
  rule('discovery.k8s.io', ['endpointslices'], read),
  rule('apps', viewApps, read),
  rule('autoscaling', ['horizontalpodautoscalers', 'horizontalpodautoscalers/status'], read),
  rule('batch', ['cronjobs', 'cronjobs/status', 'jobs', 'jobs/status'], read),
  rule(
    'extensions',
    [
      'daemonsets',
      'daemonsets/status',
      'deployments',
      'deployments/scale',
      'deployments/status',
      'ingresses',
      'ingresses/status',
      'networkpolicies',
      'replicasets',
      'replicasets/scale',
      'replicasets/status',
      'replicationcontrollers/scale',
    ],
    read,
  ),
  rule('policy', ['poddisruptionbudgets', 'poddisruptionbudgets/status'], read),
  rule('networking.k8s.io', ['ingresses', 'ingresses/status', 'networkpolicies'], read),
  rule('resource.k8s.io', ['resourceclaims', 'resourceclaims/status', 'resourceclaimtemplates'], read),
];

const editRules: readonly PolicyRule[] = [
  rule('', ['pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy'], read),
  rule('', ['serviceaccounts'], ['impersonate']),
  rule('', ['pods', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy'], write),
  rule('', ['pods/eviction'], ['create']),
  rule(
    '',
    [
      'configmaps',
      'events',
      'persistentvolumeclaims',
      'replicationcontrollers',
      'replicationcontrollers/scale',
      'secrets',
      'serviceaccounts',
      'services',
      'services/proxy',
    ],
    write,
  ),
  rule('', ['serviceaccounts/token'], ['create']),
  rule(
    'apps',
    [
      'daemonsets',
      'deployments',
      'deployments/rollback',
      'deployments/scale',
      'replicasets',
      'replicasets/scale',
      'statefulsets',
      'statefulsets/scale',
    ],
    write,
  ),
  rule('autoscaling', ['horizontalpodautoscalers'], write),
  rule('batch', ['cronjobs', 'jobs'], write),
  rule(
    'extensions',
    [
      'daemonsets',
      'deployments',
      'deployments/rollback',
      'deployments/scale',
      'ingresses',
      'networkpolicies',
      'replicasets',
      'replicasets/scale',
      'replicationcontrollers/scale',
    ],
    write,
  ),
  rule('policy', ['poddisruptionbudgets'], write),
  rule('networking.k8s.io', ['ingresses', 'networkpolicies'], write),
  rule('coordination.k8s.io', ['leases'], [...write, ...read]),
  rule('resource.k8s.io', ['resourceclaims', 'resourceclaimtemplates'], write),
];

const adminRules: readonly PolicyRule[] = [
  rule('authorization.k8s.io', ['localsubjectaccessreviews'], ['create']),
  rule('rbac.authorization.k8s.io', ['rolebindings', 'roles'], [...write, ...read]),
];

/** What a kubelet may do; the node authorizer narrows it to the node's own objects. */
export const nodeRules: readonly PolicyRule[] = [
  rule('authentication.k8s.io', ['tokenreviews'], ['create']),
  rule('authorization.k8s.io', ['localsubjectaccessreviews', 'subjectaccessreviews'], ['create']),
  rule('', ['services'], read),
  rule('', ['nodes'], ['create', ...read]),
  rule('', ['nodes/status'], ['patch', 'update']),
  rule('', ['nodes'], ['patch', 'update']),
  ...events,
  rule('', ['pods'], read),
  rule('', ['pods'], ['create', 'delete']),
  rule('', ['pods/status'], ['patch', 'update']),
  rule('', ['pods/eviction'], ['create']),
  rule('', ['configmaps', 'secrets'], read),
  rule('', ['persistentvolumeclaims', 'persistentvolumes'], ['get']),
  rule('', ['endpoints'], ['get']),
  rule('certificates.k8s.io', ['certificatesigningrequests'], ['create', ...read]),
  rule('coordination.k8s.io', ['leases'], ['create', 'delete', 'get', 'patch', 'update']),
  rule('storage.k8s.io', ['volumeattachments'], ['get']),
  rule('', ['serviceaccounts/token'], ['create']),
  rule('', ['persistentvolumeclaims/status'], ['get', 'patch', 'update']),
  rule('storage.k8s.io', ['csidrivers'], read),
  rule('storage.k8s.io', ['csinodes'], ['create', 'delete', 'get', 'patch', 'update']),
  rule('node.k8s.io', ['runtimeclasses'], read),
  rule('', ['serviceaccounts'], ['get']),
  rule('resource.k8s.io', ['resourceclaims'], ['get']),
  rule('resource.k8s.io', ['resourceslices'], [...read, ...write]),
];

const publicPaths = ['/healthz', '/livez', '/readyz', '/version', '/version/'];
const discoveryPaths = [
  '/api',
  '/api/*',
  '/apis',
  '/apis/*',
  '/healthz',
  '/livez',
  '/openapi',
  '/openapi/*',
  '/readyz',
  '/version',
  '/version/',
];

export const clusterRoles: readonly DefaultRole[] = [
  { name: 'cluster-admin', rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, urls(['*'], ['*'])] },
  { name: 'system:discovery', rules: [urls(discoveryPaths)] },
  { name: 'system:public-info-viewer', rules: [urls(publicPaths)] },
  {
    name: 'system:basic-user',
    rules: [
      rule('authorization.k8s.io', ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']),
      rule('authentication.k8s.io', ['selfsubjectreviews'], ['create']),
    ],
  },
  { name: 'admin', rules: [], aggregates: [aggregate('admin')] },
  { name: 'edit', rules: [], labels: { [aggregate('admin')]: 'true' }, aggregates: [aggregate('edit')] },
  { name: 'view', rules: [], labels: { [aggregate('edit')]: 'true' }, aggregates: [aggregate('view')] },
  { name: 'system:aggregate-to-admin', rules: adminRules, labels: { [aggregate('admin')]: 'true' } },
  { name: 'system:aggregate-to-edit', rules: editRules, labels: { [aggregate('edit')]: 'true' } },
  { name: 'system:aggregate-to-view', rules: viewRules, labels: { [aggregate('view')]: 'true' } },
  {
    name: 'system:heapster',
    rules: [rule('', ['events', 'namespaces', 'nodes', 'pods'], read), rule('extensions', ['deployments'], read)],
  },
  { name: 'system:node', rules: nodeRules },
  {
    name: 'system:node-problem-detector',
    rules: [rule('', ['nodes'], ['get']), rule('', ['nodes/status'], ['patch']), ...events],
  },
  {
    name: 'system:kubelet-api-admin',
    rules: [
      rule('', ['nodes'], [...read, 'proxy']),
      rule(
        '',
        [
          'nodes/log',
          'nodes/metrics',
          'nodes/proxy',
          'nodes/stats',
          'nodes/configz',
          'nodes/healthz',
          'nodes/pods',
          'nodes/checkpoint',
        ],
        ['*'],
      ),
    ],
  },
  {
    name: 'system:node-bootstrapper',
    rules: [rule('certificates.k8s.io', ['certificatesigningrequests'], ['create', ...read])],
  },
  {
    name: 'system:auth-delegator',
    rules: [
      rule('authentication.k8s.io', ['tokenreviews'], ['create']),
      rule('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
    ],
  },
  {
    name: 'system:kube-aggregator',
    rules: [rule('', ['endpoints', 'services'], read), rule('discovery.k8s.io', ['endpointslices'], read)],
  },
  {
    name: 'system:kube-controller-manager',
    rules: [
      ...events,
      rule('coordination.k8s.io', ['leases'], ['create', 'list', 'watch']),
      rule('coordination.k8s.io', ['leases'], ['get', 'update'], ['kube-controller-manager']),
      rule('coordination.k8s.io', ['leasecandidates'], ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']),
      rule('', ['secrets', 'serviceaccounts'], ['create']),
      rule('', ['secrets'], ['delete']),
      rule('', ['configmaps', 'namespaces', 'secrets', 'serviceaccounts'], ['get']),
      rule('', ['secrets', 'serviceaccounts'], ['update']),
      rule('authentication.k8s.io', ['tokenreviews'], ['create']),
      rule('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
      rule('*', ['*'], ['list', 'watch']),
      rule('', ['serviceaccounts/token'], ['create']),
    ],
  },
  { name: 'system:kube-dns', rules: [rule('', ['endpoints', 'services'], ['list', 'watch'])] },
  {
    name: 'system:persistent-volume-provisioner',
    rules: [
      rule('', ['persistentvolumes'], ['create', 'delete', ...read]),
      rule('', ['persistentvolumeclaims'], [...read, 'update']),
      rule('storage.k8s.io', ['storageclasses'], read),
      rule('', ['events'], ['watch']),
      ...events,
    ],
  },
  {
    name: 'system:kube-scheduler',
    rules: [
      ...events,
      rule('coordination.k8s.io', ['leases'], ['create', 'list', 'watch']),
      rule('coordination.k8s.io', ['leases'], ['get', 'update'], ['kube-scheduler']),
      rule('coordination.k8s.io', ['leasecandidates'], ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']),
      rule('', ['nodes'], read),
      rule('', ['pods'], ['delete', ...read]),
      rule('', ['bindings', 'pods/binding'], ['create']),
      rule('', ['pods/status'], ['patch', 'update']),
      rule('', ['replicationcontrollers', 'services'], read),
      rule('apps', ['replicasets', 'statefulsets'], read),
      rule('extensions', ['replicasets'], read),
      rule('policy', ['poddisruptionbudgets'], read),
      rule('', ['persistentvolumeclaims', 'persistentvolumes'], [...read, 'patch', 'update']),
      rule('authentication.k8s.io', ['tokenreviews'], ['create']),
      rule('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
      rule(
        'storage.k8s.io',
        ['csinodes', 'csidrivers', 'csistoragecapacities', 'storageclasses', 'volumeattachments'],
        read,
      ),
      rule('', ['namespaces'], read),
      rule('resource.k8s.io', ['deviceclasses'], read),
      rule('resource.k8s.io', ['resourceclaims'], [...read, 'patch', 'update']),
      rule('resource.k8s.io', ['resourceclaims/status'], ['get', 'patch', 'update']),
      rule('resource.k8s.io', ['resourceslices', 'devicetaintrules'], read),
      rule('scheduling.k8s.io', ['podgroups', 'workloads'], read),
    ],
  },
  {
    name: 'system:node-proxier',
    rules: [
      rule('', ['endpoints', 'services'], ['list', 'watch']),
      rule('', ['nodes'], read),
      ...events,
      rule('discovery.k8s.io', ['endpointslices'], ['list', 'watch']),
      rule('networking.k8s.io', ['servicecidrs'], ['list', 'watch']),
    ],
  },
  {
    name: 'system:volume-scheduler',
    rules: [
      rule('', ['persistentvolumes'], [...read, 'patch', 'update']),
      rule('storage.k8s.io', ['storageclasses'], read),
      rule('', ['persistentvolumeclaims'], [...read, 'patch', 'update']),
    ],
  },
  {
    name: 'system:certificates.k8s.io:legacy-unknown-approver',
    rules: [rule('certificates.k8s.io', ['signers'], ['approve'], ['kubernetes.io/legacy-unknown'])],
  },
  {
    name: 'system:certificates.k8s.io:kubelet-serving-approver',
    rules: [rule('certificates.k8s.io', ['signers'], ['approve'], ['kubernetes.io/kubelet-serving'])],
  },
  {
    name: 'system:certificates.k8s.io:kube-apiserver-client-approver',
    rules: [rule('certificates.k8s.io', ['signers'], ['approve'], ['kubernetes.io/kube-apiserver-client'])],
  },
  {
    name: 'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver',
    rules: [rule('certificates.k8s.io', ['signers'], ['approve'], ['kubernetes.io/kube-apiserver-client-kubelet'])],
  },
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
    rules: [rule('certificates.k8s.io', ['certificatesigningrequests/nodeclient'], ['create'])],
  },
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
    rules: [rule('certificates.k8s.io', ['certificatesigningrequests/selfnodeclient'], ['create'])],
  },
  {
    name: 'system:monitoring',
    rules: [
      urls(['/healthz', '/healthz/*', '/livez', '/livez/*', '/metrics', '/metrics/slis', '/readyz', '/readyz/*']),
    ],
  },
  {
    name: 'system:service-account-issuer-discovery',
    rules: [
      urls([
        '/.well-known/openid-configuration',
        '/.well-known/openid-configuration/',
        '/openid/v1/jwks',
        '/openid/v1/jwks/',
      ]),
    ],
  },
  // Balsa's cluster DNS reads what CoreDNS reads, under the role that its manifests bring.
  {
    name: 'system:coredns',
    rules: [
      rule('', ['endpoints', 'namespaces', 'pods', 'services'], ['list', 'watch']),
      rule('', ['nodes'], ['get']),
      rule('discovery.k8s.io', ['endpointslices'], ['list', 'watch']),
    ],
  },
  // What network policies can select; those who enforce them elsewhere bring such a role with their manifests.
  {
    name: 'system:balsa-network',
    rules: [
      rule('', ['namespaces', 'pods'], ['get', 'list', 'watch']),
      rule('networking.k8s.io', ['networkpolicies'], ['get', 'list', 'watch']),
    ],
  },
  {
    name: 'system:balsa-ingress',
    rules: [
      rule('', ['nodes', 'secrets', 'services'], read),
      rule('discovery.k8s.io', ['endpointslices'], read),
      rule('networking.k8s.io', ['ingresses'], read),
      rule('networking.k8s.io', ['ingresses/status'], ['patch', 'update']),
      rule('networking.k8s.io', ['ingressclasses'], ['create', ...read]),
      ...events,
    ],
  },
  ...controllerRoles.map(({ name, rules }) => ({ name: `system:controller:${name}`, rules })),
];

export const clusterRoleBindings: readonly DefaultBinding[] = [
  { name: 'cluster-admin', role: 'cluster-admin', groups: ['system:masters'] },
  { name: 'system:monitoring', role: 'system:monitoring', groups: ['system:monitoring'] },
  { name: 'system:discovery', role: 'system:discovery', groups: ['system:authenticated'] },
  { name: 'system:basic-user', role: 'system:basic-user', groups: ['system:authenticated'] },
  {
    name: 'system:public-info-viewer',
    role: 'system:public-info-viewer',
    groups: ['system:authenticated', 'system:unauthenticated'],
  },
  { name: 'system:node-proxier', role: 'system:node-proxier', users: ['system:kube-proxy'] },
  {
    name: 'system:kube-controller-manager',
    role: 'system:kube-controller-manager',
    users: ['system:kube-controller-manager'],
  },
  { name: 'system:kube-dns', role: 'system:kube-dns', serviceAccounts: ['kube-system/kube-dns'] },
  { name: 'system:kube-scheduler', role: 'system:kube-scheduler', users: ['system:kube-scheduler'] },
  { name: 'system:volume-scheduler', role: 'system:volume-scheduler', users: ['system:kube-scheduler'] },
  // The node authorizer answers for nodes; the binding is there without subjects, as Kubernetes ships it.
  { name: 'system:node', role: 'system:node' },
  {
    name: 'system:service-account-issuer-discovery',
    role: 'system:service-account-issuer-discovery',
    groups: ['system:serviceaccounts'],
  },
  { name: 'system:coredns', role: 'system:coredns', serviceAccounts: ['kube-system/coredns'] },
  { name: 'system:balsa-network', role: 'system:balsa-network', serviceAccounts: ['kube-system/balsa-network'] },
  { name: 'system:balsa-ingress', role: 'system:balsa-ingress', serviceAccounts: ['kube-system/balsa-ingress'] },
  // As kubeadm binds them: the API server's own client, and what every node's informers need beyond its pods.
  { name: 'kubeadm:kubelet-api-admin', role: 'system:kubelet-api-admin', users: ['kube-apiserver-kubelet-client'] },
  ...controllerRoles.map(({ name }) => ({
    name: `system:controller:${name}`,
    role: `system:controller:${name}`,
    serviceAccounts: [`kube-system/${name}`],
  })),
];

const kubeSystem = 'kube-system';
const kubePublic = 'kube-public';

export const roles: readonly DefaultRole[] = [
  // The daemon's DNS brings its own Service, as the manifests of CoreDNS do.
  {
    namespace: kubeSystem,
    name: 'system:coredns',
    rules: [rule('', ['services'], ['create']), rule('', ['services'], ['get'], ['kube-dns'])],
  },
  {
    namespace: kubeSystem,
    name: 'extension-apiserver-authentication-reader',
    rules: [rule('', ['configmaps'], read, ['extension-apiserver-authentication'])],
  },
  { namespace: kubeSystem, name: 'system:controller:bootstrap-signer', rules: [rule('', ['secrets'], read)] },
  {
    namespace: kubeSystem,
    name: 'system:controller:cloud-provider',
    rules: [rule('', ['configmaps'], ['create', ...read, 'update'])],
  },
  {
    namespace: kubeSystem,
    name: 'system:controller:token-cleaner',
    rules: [rule('', ['secrets'], ['delete', ...read]), ...events],
  },
  {
    namespace: kubeSystem,
    name: 'system::leader-locking-kube-controller-manager',
    rules: [
      rule('', ['configmaps'], ['watch']),
      rule('', ['configmaps'], ['get', 'update'], ['kube-controller-manager']),
    ],
  },
  {
    namespace: kubeSystem,
    name: 'system::leader-locking-kube-scheduler',
    rules: [rule('', ['configmaps'], ['watch']), rule('', ['configmaps'], ['get', 'update'], ['kube-scheduler'])],
  },
  {
    namespace: kubePublic,
    name: 'system:controller:bootstrap-signer',
    rules: [rule('', ['configmaps'], read), rule('', ['configmaps'], ['update'], ['cluster-info']), ...events],
  },
];

export const roleBindings: readonly DefaultBinding[] = [
  {
    namespace: kubeSystem,
    name: 'system:coredns',
    role: 'system:coredns',
    serviceAccounts: ['kube-system/coredns'],
  },
  {
    namespace: kubeSystem,
    name: 'system:extension-apiserver-authentication-reader',
    role: 'extension-apiserver-authentication-reader',
    users: ['system:kube-controller-manager', 'system:kube-scheduler'],
  },
  {
    namespace: kubeSystem,
    name: 'system:controller:bootstrap-signer',
    role: 'system:controller:bootstrap-signer',
    serviceAccounts: ['kube-system/bootstrap-signer'],
  },
  {
    namespace: kubeSystem,
    name: 'system:controller:cloud-provider',
    role: 'system:controller:cloud-provider',
    serviceAccounts: ['kube-system/cloud-provider'],
  },
  {
    namespace: kubeSystem,
    name: 'system:controller:token-cleaner',
    role: 'system:controller:token-cleaner',
    serviceAccounts: ['kube-system/token-cleaner'],
  },
  {
    namespace: kubeSystem,
    name: 'system::leader-locking-kube-controller-manager',
    role: 'system::leader-locking-kube-controller-manager',
    users: ['system:kube-controller-manager'],
    serviceAccounts: ['kube-system/kube-controller-manager'],
  },
  {
    namespace: kubeSystem,
    name: 'system::leader-locking-kube-scheduler',
    role: 'system::leader-locking-kube-scheduler',
    users: ['system:kube-scheduler'],
    serviceAccounts: ['kube-system/kube-scheduler'],
  },
  {
    namespace: kubePublic,
    name: 'system:controller:bootstrap-signer',
    role: 'system:controller:bootstrap-signer',
    serviceAccounts: ['kube-system/bootstrap-signer'],
  },
];
