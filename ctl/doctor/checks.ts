import { environmentName, kebab } from '../../daemon/config/options.ts';
import { formatBytes } from '../columns.ts';
import type { HostFacts } from './host-facts.ts';

export type Verdict = 'ok' | 'warning' | 'failure';

export interface Finding {
  readonly check: string;
  readonly verdict: Verdict;
  readonly found: string;
  /** What to do about it; empty when all is well. */
  readonly advice: string;
}

type Judgement = Omit<Finding, 'check'>;

const ok = (found: string): Judgement => ({ verdict: 'ok', found, advice: '' });
const warning = (found: string, advice: string): Judgement => ({ verdict: 'warning', found, advice });
const failure = (found: string, advice: string): Judgement => ({ verdict: 'failure', found, advice });

interface Check {
  readonly name: string;
  judge(facts: HostFacts): Judgement;
}

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
/** etcd's advice for its log, which the store's has the same needs as: the 99th percentile below 10 ms. */
const goodSyncMs = 10;

function kernelCheck(probe: string, what: string, without: 'failure' | 'warning', advice: string): Check {
  return {
    name: probe,
    judge(facts) {
      const problem = facts.probes[probe];
      if (problem === undefined) return ok(`${what} works`);
      return { verdict: without, found: problem, advice: facts.root ? advice : 'run this as root to know' };
    },
  };
}

function programCheck(program: string, debianPackage: string, without: 'failure' | 'warning', use: string): Check {
  return {
    name: program,
    judge: (facts) =>
      facts.programs.has(program)
        ? ok('installed')
        : { verdict: without, found: `not found; it is needed for ${use}`, advice: `apt-get install ${debianPackage}` },
  };
}

function judgeCgroups({ cgroups }: HostFacts): Judgement {
  if (cgroups.version === undefined)
    return failure('not mounted', 'mount cgroup2 on /sys/fs/cgroup: systemd does so at boot');
  const missing = ['cpu', 'memory', 'pids'].filter((name) => !cgroups.controllers.has(name));
  const found = `version ${cgroups.version}`;
  return missing.length === 0
    ? ok(found)
    : failure(
        `${found} without ${missing.join(', ')}`,
        missing.includes('memory')
          ? 'boot with cgroup_enable=memory on the kernel command line'
          : 'enable these controllers in the kernel',
      );
}

function judgePorts(facts: HostFacts): Judgement {
  const taken = facts.ports.filter((port) => port.problem !== undefined);
  if (taken.length === 0) return ok(`${facts.ports.map((row) => row.port).join(', ')} are free`);
  if (facts.balsadRuns) return ok('held by the balsad that runs here');
  return failure(
    taken.map((row) => `${row.port} (${row.problem})`).join(', '),
    `end what listens there (ss -ltnp), or move: ${taken
      .map((row) => `--${kebab(row.option)} or ${environmentName(row.option)}`)
      .join('; ')}`,
  );
}

function judgeSync(facts: HostFacts): Judgement {
  const times = facts.syncMs;
  if (times === undefined)
    return failure(`${facts.dataDirectory} cannot be written to`, 'run as root, or choose another --data-dir');
  const percentile = (share: number): number => times[Math.ceil(times.length * share) - 1] ?? 0;
  const found = `4 KiB reach the disk in ${percentile(0.5).toFixed(2)} ms, 99 of 100 within ${percentile(0.99).toFixed(2)} ms`;
  return percentile(0.99) <= goodSyncMs
    ? ok(found)
    : warning(found, `a server's writes wait for this: a disk below ${goodSyncMs} ms is better; agents do not mind`);
}

/** Every check, in the order in which they are shown. */
export const checks: readonly Check[] = [
  {
    name: 'user',
    judge: (facts) =>
      facts.root ? ok('root') : warning('not root', 'run as root: some checks need it, and balsad needs it itself'),
  },
  {
    name: 'node.js',
    judge: (facts) =>
      Number(facts.nodeVersion.split('.')[0]) >= 20
        ? ok(facts.nodeVersion)
        : failure(facts.nodeVersion, 'install Node 20 or newer'),
  },
  {
    name: 'kernel',
    judge: (facts) => {
      const [major = 0, minor = 0] = facts.kernel.split('.').map(Number.parseFloat);
      return major > 5 || (major === 5 && minor >= 10)
        ? ok(facts.kernel)
        : warning(facts.kernel, 'Balsa is tested on Linux 5.10 and newer: upgrade');
    },
  },
  {
    name: 'memory',
    judge: ({ memoryBytes }) => {
      const found = formatBytes(memoryBytes);
      if (memoryBytes < 400 * MiB) return failure(found, 'give this host 512 MiB or more');
      return memoryBytes < 900 * MiB ? warning(found, 'enough for balsad and few pods: 1 GiB is better') : ok(found);
    },
  },
  { name: 'cgroups', judge: judgeCgroups },
  kernelCheck('overlay', 'overlayfs on the data directory', 'failure', 'load it: modprobe overlay; or move --data-dir'),
  kernelCheck('veth', 'making veth pairs', 'failure', 'load it: modprobe veth'),
  kernelCheck('nftables', 'making tables', 'failure', 'load it: modprobe nf_tables; apt-get install nftables'),
  kernelCheck(
    'bridge',
    'making bridges',
    'warning',
    'only pods that bring their own CNI networks need it: modprobe bridge',
  ),
  kernelCheck('vxlan', 'making VXLAN devices', 'warning', 'only nodes on different links need it: modprobe vxlan'),
  {
    name: 'host name',
    judge: (facts) =>
      /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(facts.hostname) && facts.hostname !== 'localhost'
        ? ok(facts.hostname)
        : warning(facts.hostname || 'none', 'name the node yourself: --node-name or BALSA_NODE_NAME'),
  },
  {
    name: 'route',
    judge: (facts) =>
      facts.hasDefaultRoute
        ? ok('there is a default route')
        : warning('no default route', "name this node's address yourself: --node-ip or BALSA_NODE_IP"),
  },
  {
    name: 'clock',
    judge: ({ clockSynchronized }) => {
      if (clockSynchronized === true) return ok('synchronized');
      const found = clockSynchronized === false ? 'not synchronized' : 'nobody to ask whether it is synchronized';
      return warning(found, 'certificates and leases need the right time: apt-get install systemd-timesyncd');
    },
  },
  { name: 'ports', judge: judgePorts },
  {
    name: 'disk space',
    judge: ({ diskFreeBytes, dataDirectory }) => {
      const found = `${formatBytes(diskFreeBytes)} free in ${dataDirectory}`;
      if (diskFreeBytes < GiB) return failure(found, 'make room, or choose another --data-dir');
      return diskFreeBytes < 5 * GiB ? warning(found, 'images will fill this: 5 GiB or more is better') : ok(found);
    },
  },
  { name: 'disk speed', judge: judgeSync },
  programCheck('containerd', 'containerd', 'failure', 'running pods'),
  programCheck('containerd-shim-runc-v2', 'containerd', 'failure', 'running pods'),
  programCheck('runc', 'runc', 'failure', 'running pods'),
  programCheck('mount', 'mount', 'failure', 'volumes'),
  {
    name: 'CNI plug-ins',
    judge: (facts) => {
      const missing = ['ptp', 'host-local', 'portmap', 'loopback'].filter((name) => !facts.cniPlugins.has(name));
      if (missing.length === 0) return ok(`in ${facts.cniBinDir}`);
      const advice = 'apt-get install containernetworking-plugins, or say where they are: --cni-bin-dir';
      return failure(`${missing.join(', ')} not in ${facts.cniBinDir}`, advice);
    },
  },
  {
    name: 'RocksDB',
    judge: (facts) =>
      [...facts.libraries].some((name) => name.startsWith('librocksdb.so.'))
        ? ok('installed')
        : failure('librocksdb.so not found', 'apt-get install librocksdb7.8'),
  },
  programCheck('iptables', 'iptables', 'warning', '--proxy-mode iptables'),
  programCheck('conntrack', 'conntrack', 'warning', 'looking at connections by hand'),
  programCheck('haproxy', 'haproxy', 'warning', 'Ingress'),
];

/** One finding for each check. */
export const examine = (facts: HostFacts): readonly Finding[] =>
  checks.map((check) => ({ check: check.name, ...check.judge(facts) }));
