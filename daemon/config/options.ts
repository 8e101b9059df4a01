/** How a value is written on the command line, in the environment and in the configuration file. */
export type OptionKind =
  | 'string'
  | 'path'
  | 'port'
  | 'integer'
  | 'list'
  | 'boolean'
  | 'ip'
  | 'cidr'
  | 'port-range'
  | 'choice';

export interface OptionRow {
  readonly name: string;
  readonly kind: OptionKind;
  /** Absent: found out on this host at start (see `host-facts.ts`), or unset. */
  readonly fallback?: string | number | boolean | readonly string[];
  readonly choices?: readonly string[];
  readonly help: string;
}

/**
 * Every option of `balsad`, once: the flag is `--kebab-case`, the environment variable `BALSA_SNAKE_CASE`, the key in the
 * configuration file the camelCase name itself. A flag beats the environment, which beats the file.
 */
export const optionRows = [
  { name: 'dataDir', kind: 'path', fallback: '/var/lib/balsa', help: 'where all state of this node lives' },
  { name: 'runDir', kind: 'path', fallback: '/run/balsa', help: 'sockets and process ids (short paths)' },
  {
    name: 'role',
    kind: 'list',
    fallback: ['server', 'agent'],
    choices: ['server', 'agent'],
    help: 'what this node does',
  },
  {
    name: 'join',
    kind: 'string',
    fallback: '',
    help: 'a server of the cluster to join, host[:port]; used at the first start only',
  },
  {
    name: 'token',
    kind: 'string',
    fallback: '',
    help: 'what `balsactl token create` printed; used at the first start only',
  },
  { name: 'nodeName', kind: 'string', help: 'name of the Node object (default: the host name)' },
  { name: 'nodeIp', kind: 'ip', help: 'address other nodes reach this one at (default: that of the default route)' },
  {
    name: 'bindAddress',
    kind: 'ip',
    fallback: '0.0.0.0',
    help: 'address the API, the kubelet and the control API listen on',
  },
  { name: 'apiPort', kind: 'port', fallback: 6443, help: 'port of the Kubernetes API' },
  { name: 'kubeletPort', kind: 'port', fallback: 10250, help: "port of the kubelet's API" },
  { name: 'storeClientPort', kind: 'port', fallback: 2379, help: "port of the store's etcd API" },
  { name: 'storePeerPort', kind: 'port', fallback: 2380, help: 'port of the Raft peer transport' },
  { name: 'controlPort', kind: 'port', fallback: 6440, help: 'port of the control API (balsactl)' },
  { name: 'joinPort', kind: 'port', fallback: 6441, help: 'port that nodes join the cluster at' },
  { name: 'proxyHealthPort', kind: 'port', fallback: 10256, help: "port of the service proxy's health check" },
  { name: 'ingressHttpPort', kind: 'port', fallback: 80, help: 'port that Ingresses are served at; 0: none' },
  {
    name: 'ingressHttpsPort',
    kind: 'port',
    fallback: 443,
    help: 'port that Ingresses are served at with TLS; 0: none',
  },
  {
    name: 'ingressMetricsPort',
    kind: 'port',
    fallback: 10254,
    help: "local port of HAProxy's metrics and health check; 0: none",
  },
  {
    name: 'loadBalancerPool',
    kind: 'list',
    fallback: [],
    help: 'addresses for Services of type LoadBalancer: CIDRs and ranges a-b; the same on every node',
  },
  { name: 'podCidr', kind: 'cidr', fallback: '10.244.0.0/16', help: 'addresses of pods; each node gets a part' },
  { name: 'nodeCidrMaskSize', kind: 'integer', fallback: 24, help: "prefix length of a node's part of podCidr" },
  { name: 'serviceCidr', kind: 'cidr', fallback: '10.96.0.0/12', help: 'addresses of Services' },
  { name: 'nodePortRange', kind: 'port-range', fallback: '30000-32767', help: 'ports that NodePort Services use' },
  {
    name: 'auditPolicyFile',
    kind: 'path',
    fallback: '',
    help: 'which API requests are recorded: a Policy of audit.k8s.io/v1 (default: none is)',
  },
  {
    name: 'auditLogPath',
    kind: 'path',
    fallback: '',
    help: 'file the records go to (default: audit.log in the data directory)',
  },
  {
    name: 'encryptionProviderConfig',
    kind: 'path',
    fallback: '',
    help: 'which resources are encrypted in the store: an EncryptionConfiguration (default: none is)',
  },
  { name: 'clusterDomain', kind: 'string', fallback: 'cluster.local', help: 'DNS domain of the cluster' },
  { name: 'clusterDns', kind: 'ip', help: 'address of the cluster DNS (default: the tenth of serviceCidr)' },
  {
    name: 'proxyMode',
    kind: 'choice',
    fallback: 'auto',
    choices: ['auto', 'nftables', 'iptables', 'ipvs'],
    help: 'how Services are programmed into the kernel',
  },
  {
    name: 'containerRuntimeEndpoint',
    kind: 'string',
    fallback: '',
    help: 'socket of a CRI v1 runtime (default: a containerd of our own)',
  },
  { name: 'cniBinDir', kind: 'path', fallback: '/usr/lib/cni', help: 'where the CNI plugins are' },
  {
    name: 'storeEndpoints',
    kind: 'list',
    fallback: [],
    help: 'use this etcd v3 cluster instead of the embedded store',
  },
  { name: 'tlsSan', kind: 'list', fallback: [], help: "further names and addresses in the API server's certificate" },
  { name: 'pluginDir', kind: 'path', fallback: '', help: 'TypeScript plug-ins to load' },
  {
    name: 'logLevel',
    kind: 'choice',
    fallback: 'info',
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
    help: 'least severe message that is logged',
  },
] as const satisfies readonly OptionRow[];

/** Both ends belong to the range. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

type Rows = (typeof optionRows)[number];
type ValueOf<Row extends OptionRow> = Row extends { kind: 'port' | 'integer' }
  ? number
  : Row extends { kind: 'boolean' }
    ? boolean
    : Row extends { kind: 'list' }
      ? readonly string[]
      : Row extends { kind: 'port-range' }
        ? PortRange
        : Row extends { kind: 'choice'; choices: readonly (infer Choice)[] }
          ? Choice
          : string;

/** The configuration of one node, complete and valid. */
export type Config = { readonly [Row in Rows as Row['name']]: ValueOf<Row> };

export const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
export const environmentName = (name: string): string => `BALSA_${kebab(name).replaceAll('-', '_').toUpperCase()}`;
