import t from 'tap';
import { printFindings } from '../commands/doctor.ts';
import { checks, examine } from './checks.ts';
import { type HostFacts, pluginNames, programNames } from './host-facts.ts';

const healthy: HostFacts = {
  root: true,
  nodeVersion: '20.20.2',
  kernel: '6.1.0-30-amd64',
  hostname: 'edge-1',
  memoryBytes: 4 * 1024 ** 3,
  probes: { nftables: undefined, veth: undefined, bridge: undefined, vxlan: undefined, overlay: undefined },
  cgroups: { version: 2, controllers: new Set(['cpuset', 'cpu', 'io', 'memory', 'pids']) },
  hasDefaultRoute: true,
  clockSynchronized: true,
  dataDirectory: '/var/lib',
  diskFreeBytes: 40 * 1024 ** 3,
  syncMs: Array.from({ length: 100 }, (_, i) => 0.5 + i / 100),
  balsadRuns: false,
  ports: [
    { option: 'apiPort', port: 6443, problem: undefined },
    { option: 'kubeletPort', port: 10250, problem: undefined },
  ],
  programs: new Set(programNames),
  libraries: new Set(['libc.so.6', 'librocksdb.so.7.8']),
  cniBinDir: '/usr/lib/cni',
  cniPlugins: new Set(pluginNames),
};

const without = (set: ReadonlySet<string>, ...names: string[]): ReadonlySet<string> =>
  new Set([...set].filter((name) => !names.includes(name)));

t.test('a host that has everything', async (t) => {
  const findings = examine(healthy);
  t.equal(findings.length, checks.length);
  for (const finding of findings) t.match(finding, { verdict: 'ok', advice: '' }, finding.check);
});

/** A change to the healthy host, the one check that notices, and what it says. */
const cases: readonly [name: string, change: Partial<HostFacts>, check: string, verdict: string, says: RegExp][] = [
  ['not root', { root: false }, 'user', 'warning', /root/],
  ['an old Node', { nodeVersion: '18.20.4' }, 'node.js', 'failure', /Node 20/],
  ['an old kernel', { kernel: '5.4.0-200-generic' }, 'kernel', 'warning', /5\.10/],
  ['little memory', { memoryBytes: 256 * 1024 ** 2 }, 'memory', 'failure', /512 MiB/],
  ['rather little memory', { memoryBytes: 600 * 1024 ** 2 }, 'memory', 'warning', /1 GiB/],
  ['no cgroups', { cgroups: { version: undefined, controllers: new Set() } }, 'cgroups', 'failure', /mount cgroup2/],
  [
    'no memory controller',
    { cgroups: { version: 1, controllers: new Set(['cpu', 'pids']) } },
    'cgroups',
    'failure',
    /cgroup_enable=memory/,
  ],
  [
    'no overlayfs',
    { probes: { ...healthy.probes, overlay: 'unknown filesystem type' } },
    'overlay',
    'failure',
    /modprobe/,
  ],
  ['no nftables', { probes: { ...healthy.probes, nftables: 'not supported' } }, 'nftables', 'failure', /nf_tables/],
  ['no veth', { probes: { ...healthy.probes, veth: 'Unknown device type' } }, 'veth', 'failure', /modprobe veth/],
  ['no bridge', { probes: { ...healthy.probes, bridge: 'Unknown device type' } }, 'bridge', 'warning', /modprobe/],
  ['no VXLAN', { probes: { ...healthy.probes, vxlan: 'Unknown device type' } }, 'vxlan', 'warning', /modprobe/],
  ['a host name no node may have', { hostname: 'My_Host' }, 'host name', 'warning', /--node-name/],
  ['no default route', { hasDefaultRoute: false }, 'route', 'warning', /--node-ip/],
  ['a clock that runs free', { clockSynchronized: false }, 'clock', 'warning', /timesyncd/],
  [
    'a port that is taken',
    { ports: [{ option: 'apiPort', port: 6443, problem: 'EADDRINUSE' }] },
    'ports',
    'failure',
    /--api-port or BALSA_API_PORT/,
  ],
  ['a full disk', { diskFreeBytes: 1024 ** 2 }, 'disk space', 'failure', /--data-dir/],
  ['a rather full disk', { diskFreeBytes: 2 * 1024 ** 3 }, 'disk space', 'warning', /5 GiB/],
  ['a slow disk', { syncMs: [...Array(98).fill(1), 40, 45] }, 'disk speed', 'warning', /agents do not mind/],
  ['a read-only disk', { syncMs: undefined }, 'disk speed', 'failure', /--data-dir/],
  ['no containerd', { programs: without(healthy.programs, 'containerd') }, 'containerd', 'failure', /apt-get/],
  ['no runc', { programs: without(healthy.programs, 'runc') }, 'runc', 'failure', /apt-get install runc/],
  ['no HAProxy', { programs: without(healthy.programs, 'haproxy') }, 'haproxy', 'warning', /haproxy/],
  ['no ptp plug-in', { cniPlugins: without(healthy.cniPlugins, 'ptp') }, 'CNI plug-ins', 'failure', /--cni-bin-dir/],
  ['no RocksDB', { libraries: new Set(['libc.so.6']) }, 'RocksDB', 'failure', /librocksdb7\.8/],
];

for (const [name, change, check, verdict, says] of cases)
  t.test(name, async (t) => {
    const noticed = examine({ ...healthy, ...change }).filter((finding) => finding.verdict !== 'ok');
    t.match(noticed, [{ check, verdict, advice: says }]);
    t.equal(noticed.length, 1);
  });

t.test('a daemon that runs here may hold its ports', async (t) => {
  const ports = [{ option: 'apiPort', port: 6443, problem: 'EADDRINUSE' }];
  const found = examine({ ...healthy, ports, balsadRuns: true }).find((finding) => finding.check === 'ports');
  t.equal(found?.verdict, 'ok');
});

t.test('as people read it', async (t) => {
  const findings = examine({ ...healthy, hasDefaultRoute: false });
  const text = printFindings(findings, false);
  t.match(text, /^OK {7}kernel {19}6\.1\.0-30-amd64$/m);
  t.match(text, /^warning {2}route {20}no default route\n {34}-> name this node's address yourself/m);
  t.match(text, new RegExp(`\nOK: ${checks.length - 1}, warnings: 1, failures: 0\n$`));
  t.match(printFindings(findings, true), '\x1b[33mwarning\x1b[0m');
});
