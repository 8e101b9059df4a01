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
