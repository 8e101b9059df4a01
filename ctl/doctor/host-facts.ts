import { execFile } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { hostname, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { optionRows } from '../../daemon/config/options.ts';

/** What a probe of the kernel came to: undefined when it worked, else what the kernel or the tool said. */
export type ProbeResult = string | undefined;

export interface PortFact {
  /** Such as `apiPort`: the option that moves it. */
  readonly option: string;
  readonly port: number;
  /** Why it cannot be listened on; undefined when it can. */
  readonly problem: string | undefined;
}

/** Everything `balsactl doctor` looks at, gathered before it is judged. */
export interface HostFacts {
  readonly root: boolean;
  readonly nodeVersion: string;
  readonly kernel: string;
  readonly hostname: string;
  readonly memoryBytes: number;
  /** By making one in namespaces of its own, thrown away at once: `nftables`, `veth`, `bridge`, `vxlan`, `overlay`. */
  readonly probes: Readonly<Record<string, ProbeResult>>;
  readonly cgroups: { readonly version: 1 | 2 | undefined; readonly controllers: ReadonlySet<string> };
  readonly hasDefaultRoute: boolean;
  readonly clockSynchronized: boolean | undefined;
  /** Where balsad keeps, or would keep, its data: the nearest directory that exists. */
  readonly dataDirectory: string;
  readonly diskFreeBytes: number;
  /** Milliseconds that writing 4 KiB through to the disk took, sorted; undefined when it could not be written to. */
  readonly syncMs: readonly number[] | undefined;
  /** A daemon that runs here holds its own ports. */
  readonly balsadRuns: boolean;
  readonly ports: readonly PortFact[];
  readonly programs: ReadonlySet<string>;
  readonly libraries: ReadonlySet<string>;
  readonly cniBinDir: string;
  readonly cniPlugins: ReadonlySet<string>;
}

export interface DoctorTarget {
  readonly dataDir: string;
  readonly runDir: string;
  readonly cniBinDir: string;
  readonly server: boolean;
}

const run = promisify(execFile);

export const programNames = [
  'containerd',
  'containerd-shim-runc-v2',
  'runc',
  'mount',
  'iptables',
  'conntrack',
  'haproxy',
];
export const pluginNames = ['ptp', 'host-local', 'portmap', 'loopback'];
/** Options whose ports an agent leaves alone. */
const serverPorts = new Set(['apiPort', 'storeClientPort', 'storePeerPort', 'controlPort', 'joinPort']);

const kernelProbes: Readonly<Record<string, readonly string[]>> = {
  nftables: ['nft', 'add', 'table', 'inet', 'balsa-doctor'],
  veth: ['ip', 'link', 'add', 'doctor0', 'type', 'veth', 'peer', 'name', 'doctor1'],
  bridge: ['ip', 'link', 'add', 'doctor0', 'type', 'bridge'],
  vxlan: ['ip', 'link', 'add', 'doctor0', 'type', 'vxlan', 'id', '1', 'dstport', '8472'],
};

/** An overlay on the file system that containers will be on: not every one of them can be its upper layer. */
const overlayProbe = (directory: string): readonly string[] => {
  const script =
    'd=$(mktemp -d "$1/.balsa-doctor-XXXXXX") && cd "$d" && mkdir lower upper work merged' +
    ' && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged' +
    '; code=$?; umount merged 2>/dev/null; cd / && rm -rf "$d"; exit $code';
  return ['sh', '-c', script, 'sh', directory];
};

async function probe(command: readonly string[]): Promise<ProbeResult> {
  try {
    await run('unshare', ['--net', '--mount', ...command], { timeout: 10_000, encoding: 'utf8' });
    return undefined;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return (stderr?.trim() || message).split('\n')[0] ?? 'failed';
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // Not there on this kernel, which is an answer too.
  }
}

function cgroupFacts(): HostFacts['cgroups'] {
  const unified = readText('/sys/fs/cgroup/cgroup.controllers');
  if (unified !== '') return { version: 2, controllers: new Set(unified.trim().split(' ')) };
  const mounts = readText('/proc/self/mountinfo')
    .split('\n')
    .filter((line) => line.includes(' - cgroup '));
  const controllers = new Set(mounts.flatMap((line) => (line.split(' ').at(-1) ?? '').split(',')));
  return { version: mounts.length > 0 ? 1 : undefined, controllers };
}

function listenProblem(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(undefined)));
  });
}

function existingDirectory(path: string): string {
  return existsSync(path) ? path : existingDirectory(dirname(path));
}

/** Milliseconds of each of `count` appends of 4 KiB with fdatasync, as the store's log makes them; ascending. */
function measureSync(directory: string, count: number): readonly number[] | undefined {
  const file = join(directory, `.balsa-doctor-${process.pid}`);
  const block = Buffer.alloc(4096, 1);
  try {
    writeFileSync(file, '', { mode: 0o600 });
    const fd = openSync(file, 'a');
    try {
      return Array.from({ length: count }, () => {
        const began = performance.now();
        writeSync(fd, block);
        fdatasyncSync(fd);
        return performance.now() - began;
      }).sort((a, b) => a - b);
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined; // Judged as a directory that cannot be written to.
  } finally {
    rmSync(file, { force: true });
  }
}

const systemPath = [...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];

async function clockSynchronized(): Promise<boolean | undefined> {
  try {
    const { stdout } = await run('timedatectl', ['show', '--property=NTPSynchronized', '--value'], { timeout: 5000 });
    return stdout.trim() === 'yes';
  } catch {
    return undefined; // No systemd: nobody to ask.
  }
}

async function loadableLibraries(): Promise<ReadonlySet<string>> {
  try {
    const { stdout } = await run('/sbin/ldconfig', ['-p'], { timeout: 5000, maxBuffer: 16 << 20 });
    return new Set(stdout.split('\n').map((line) => line.trim().split(' ')[0] ?? ''));
  } catch {
    return new Set();
  }
}

function isBalsadRunning(runDir: string): boolean {
  const pid = readText(join(runDir, 'balsad.pid')).trim();
  return pid !== '' && readText(`/proc/${pid}/cmdline`).includes('balsad');
}

/** Looks at this host. Changes nothing: what it makes, it makes in namespaces of its own or removes again. */
export async function gatherHostFacts(target: DoctorTarget): Promise<HostFacts> {
  const dataDirectory = existingDirectory(target.dataDir);
  const probes = await Promise.all(
    Object.entries({ ...kernelProbes, overlay: overlayProbe(dataDirectory) }).map(
      async ([name, command]) => [name, await probe(command)] as const,
    ),
  );
  const rows = optionRows.filter((row) => row.kind === 'port' && (target.server || !serverPorts.has(row.name)));
  const ports = await Promise.all(
    rows.map(async (row) => {
      const port = Number('fallback' in row ? row.fallback : 0);
      return { option: row.name, port, problem: await listenProblem(port) };
    }),
  );
  const disk = statfsSync(dataDirectory);
  return {
    root: process.getuid?.() === 0,
    nodeVersion: process.versions.node,
    kernel: readText('/proc/sys/kernel/osrelease').trim(),
    hostname: hostname(),
    memoryBytes: totalmem(),
    probes: Object.fromEntries(probes),
    cgroups: cgroupFacts(),
    hasDefaultRoute: /^\S+\t00000000\t/m.test(readText('/proc/net/route')),
    clockSynchronized: await clockSynchronized(),
    dataDirectory,
    diskFreeBytes: disk.bavail * disk.bsize,
    syncMs: measureSync(dataDirectory, 100),
    balsadRuns: isBalsadRunning(target.runDir),
    ports,
    programs: new Set(programNames.filter((name) => systemPath.some((directory) => existsSync(join(directory, name))))),
    libraries: await loadableLibraries(),
    cniBinDir: target.cniBinDir,
    cniPlugins: new Set(pluginNames.filter((name) => existsSync(join(target.cniBinDir, name)))),
  };
}
