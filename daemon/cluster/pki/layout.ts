import { nthAddress } from '../../config/host-facts.ts';
import type { Config } from '../../config/options.ts';

/** One authority per purpose: a certificate for one is worth nothing to another. File names are kubeadm's. */
export const authorityRows = [
  { name: 'ca', commonName: 'kubernetes' },
  { name: 'front-proxy-ca', commonName: 'front-proxy-ca' },
  { name: 'etcd/ca', commonName: 'etcd-ca' },
] as const;

export type AuthorityName = (typeof authorityRows)[number]['name'];

export interface LeafRow {
  /** Path below the PKI directory, without `.crt` and `.key`. */
  readonly name: string;
  readonly authority: AuthorityName;
  readonly commonName: (config: Config) => string;
  readonly organizations?: readonly string[];
  readonly names?: (config: Config) => readonly string[];
  readonly usages: readonly ('server' | 'client')[];
}

const local = ['localhost', '127.0.0.1', '::1'];
const ownNames = (config: Config): readonly string[] => [config.nodeName, config.nodeIp, ...local];
const apiServerNames = (config: Config): readonly string[] => [
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  `kubernetes.default.svc.${config.clusterDomain}`,
  nthAddress(config.serviceCidr, 1),
  ...ownNames(config),
  ...config.tlsSan,
];

/** Every certificate of a node, once. Names, subjects and usages are those kubeadm gives, so that dashboards and people know them. */
export const leafRows = [
  { name: 'apiserver', authority: 'ca', commonName: () => 'kube-apiserver', names: apiServerNames, usages: ['server'] },
  {
    name: 'apiserver-kubelet-client',
    authority: 'ca',
    commonName: () => 'kube-apiserver-kubelet-client',
    organizations: ['system:masters'],
    usages: ['client'],
  },
  {
    name: 'admin',
    authority: 'ca',
    commonName: () => 'kubernetes-admin',
    organizations: ['system:masters'],
    usages: ['client'],
  },
  {
    name: 'kubelet',
    authority: 'ca',
    commonName: (config) => `system:node:${config.nodeName}`,
    organizations: ['system:nodes'],
    names: ownNames,
    usages: ['server', 'client'],
  },
  {
    name: 'control',
    authority: 'ca',
    commonName: () => 'balsa-control',
    names: (config) => ['balsa-control', ...ownNames(config)],
    usages: ['server', 'client'],
  },
  {
    name: 'front-proxy-client',
    authority: 'front-proxy-ca',
    commonName: () => 'front-proxy-client',
    usages: ['client'],
  },
  {
    name: 'etcd/server',
    authority: 'etcd/ca',
    commonName: (config) => config.nodeName,
    names: ownNames,
    usages: ['server', 'client'],
  },
  {
    name: 'etcd/peer',
    authority: 'etcd/ca',
    commonName: (config) => config.nodeName,
    names: ownNames,
    usages: ['server', 'client'],
  },
  {
    name: 'etcd/healthcheck-client',
    authority: 'etcd/ca',
    commonName: () => 'kube-etcd-healthcheck-client',
    usages: ['client'],
  },
] as const satisfies readonly LeafRow[];

export type LeafName = (typeof leafRows)[number]['name'];

export interface AgentLeafRow {
  readonly name: string;
  readonly commonName: (nodeName: string) => string;
  readonly organizations: readonly string[];
  /** The node's own name and address are in it: others connect to what shows it. */
  readonly serves: boolean;
}

const serviceAccountGroups = ['system:serviceaccounts', 'system:serviceaccounts:kube-system'];

/** Every certificate of a node that is no server, once; all are signed by `ca` and served to the node when it joins. */
export const agentLeafRows = [
  { name: 'kubelet', commonName: (name) => `system:node:${name}`, organizations: ['system:nodes'], serves: true },
  { name: 'kube-proxy', commonName: () => 'system:kube-proxy', organizations: [], serves: false },
  {
    name: 'coredns',
    commonName: () => 'system:serviceaccount:kube-system:coredns',
    organizations: serviceAccountGroups,
    serves: false,
  },
  {
    name: 'balsa-network',
    commonName: () => 'system:serviceaccount:kube-system:balsa-network',
    organizations: serviceAccountGroups,
    serves: false,
  },
] as const satisfies readonly AgentLeafRow[];

export type AgentLeafName = (typeof agentLeafRows)[number]['name'];
