import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Namespace, Switch, unmountBelow } from './namespace.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const run = promisify(execFile);

/** Debian's kubectl, unpacked by the set-up. */
const oldKubectl = join(root, 'node_modules/.cache/balsa/kubectl-old/usr/bin/kubectl');

/** Every kubectl there is: the one on PATH, which is current, and Debian's, which is old. The first is used by default. */
export const kubectls: readonly { readonly name: string; readonly program: string }[] = [
  { name: 'current', program: findOnPath('kubectl') },
  { name: 'old', program: existsSync(oldKubectl) ? oldKubectl : undefined },
].filter((row): row is { name: string; program: string } => row.program !== undefined);

function findOnPath(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(':')
    .map((directory) => join(directory, program))
    .find((path) => existsSync(path));
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What is run, as command lines without flags. */
export interface Programs {
  readonly balsad: readonly string[];
  readonly balsactl: readonly string[];
}

const builtPrograms: Programs = {
  balsad: [process.execPath, join(root, 'dist/balsad.js')],
  balsactl: [process.execPath, join(root, 'dist/balsactl.js')],
};

/** One balsad with its own containerd, directories and network namespace. */
export class TestNode {
  readonly namespace: Namespace;
  readonly name: string;
  readonly directory: string;
  readonly dataDir: string;
  readonly runDir: string;
  readonly kubeconfig: string;
  readonly #flags: readonly string[];
  readonly #programs: Programs;
  #process: ChildProcess | undefined;

  constructor(namespace: Namespace, flags: readonly string[] = [], programs = builtPrograms) {
    this.namespace = namespace;
    this.name = namespace.name;
    // Sockets live below runDir, and their paths must stay under 108 bytes.
    this.directory = mkdtempSync(join(tmpdir(), 'balsa-node-'));
    this.dataDir = join(this.directory, 'data');
    this.runDir = join(this.directory, 'run');
    this.kubeconfig = join(this.dataDir, 'admin.kubeconfig');
    this.#flags = flags;
    this.#programs = programs;
    mkdirSync(this.dataDir, { recursive: true });
  }

  get log(): string {
    return join(this.directory, 'balsad.log');
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Resolves when balsad says that its node is Ready, with the seconds that took. `once`: further flags, for this start alone. */
  async start(timeoutMs = 90_000, once: readonly string[] = []): Promise<number> {
    const began = performance.now();
    const flags = [
      `--data-dir=${this.dataDir}`,
      `--run-dir=${this.runDir}`,
      `--node-name=${this.name}`,
      `--node-ip=${this.namespace.address}`,
    ];
    const [program, args] = this.namespace.enter([...this.#programs.balsad, ...flags, ...this.#flags, ...once]);
    // nsenter execs, so this pid is balsad's own.
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#process = child;
    const log = createWriteStream(this.log, { flags: 'a' });
    child.stderr?.pipe(log);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.name} is not Ready after ${timeoutMs} ms\n${this.tail()}`)),
        timeoutMs,
      );
      let output = '';
      child.stdout?.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        log.write(chunk);
        if (!output.includes('is Ready after')) return;
        clearTimeout(timer);
        resolve();
      });
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        reject(new Error(`${this.name} ended with ${signal ?? code} before it was Ready\n${this.tail()}`));
      });
    });
    return (performance.now() - began) / 1000;
  }

  /** The last lines of its log, for a failure's message. */
  tail(lines = 40): string {
    try {
      return readFileSync(this.log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } catch {
      return '(no log)';
    }
  }

  /** Sends a signal to balsad and resolves with its exit code once it is gone. */
  async signal(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    child.kill(signal);
    return ended;
  }

  async stop(): Promise<number | null> {
    return this.signal('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.signal('SIGKILL');
  }

  /** Runs kubectl inside the namespace as the administrator; never throws. `program` chooses another kubectl. */
  async tryKubectl(
    args: readonly string[],
    options: { input?: string; program?: string; timeout?: number } = {},
  ): Promise<CommandResult> {
    const [program, all] = this.namespace.enter([
      options.program ?? kubectls[0]?.program ?? 'kubectl',
      `--kubeconfig=${this.kubeconfig}`,
      ...args,
    ]);
    const child = run(program, all, {
      timeout: options.timeout ?? 120_000,
      maxBuffer: 64 << 20,
      encoding: 'utf8',
      env: { ...process.env, HOME: this.directory },
    });
    child.child.stdin?.end(options.input ?? '');
    try {
      return { code: 0, ...(await child) };
    } catch (error) {
      const failed = error as { code?: number | string; stdout?: string; stderr?: string; message: string };
      return {
        code: typeof failed.code === 'number' ? failed.code : -1,
        stdout: failed.stdout ?? '',
        stderr: failed.stderr || failed.message,
      };
    }
  }

  /** Like `tryKubectl`, but a failure throws with what kubectl said. */
  async kubectl(
    args: readonly string[],
    options: { input?: string; program?: string; timeout?: number } = {},
  ): Promise<string> {
    const { code, stdout, stderr } = await this.tryKubectl(args, options);
    if (code !== 0)
      throw new Error(`kubectl ${args.join(' ')}: exit ${code}\n${stdout}${stderr}\n--- balsad ---\n${this.tail(15)}`);
    return stdout;
  }

  async balsactl(...args: string[]): Promise<CommandResult> {
    const [program, all] = this.namespace.enter([
      ...this.#programs.balsactl,
      `--kubeconfig=${this.kubeconfig}`,
      ...args,
    ]);
    try {
      return { code: 0, ...(await run(program, all, { timeout: 60_000, encoding: 'utf8' })) };
    } catch (error) {
      const failed = error as { code?: number; stdout?: string; stderr?: string };
      return { code: failed.code ?? -1, stdout: failed.stdout ?? '', stderr: failed.stderr ?? '' };
    }
  }

  /** Kills everything this node started (balsad, containerd, shims, containers) and removes its directories. */
  async destroy(): Promise<void> {
    await this.kill();
    for (const pid of this.ownProcesses()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    this.namespace.destroy();
    await delay(100);
    unmountBelow(this.directory);
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  /** Process ids of all that this node runs: containerd and its shims name our directories on their command lines; containers are the shims' children. */
  ownProcesses(): number[] {
    const parents = new Map<number, number>();
    const own = new Set<number>();
    for (const entry of readdirSync('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      const pid = Number(entry);
      try {
        const status = readFileSync(`/proc/${entry}/stat`, 'utf8');
        parents.set(pid, Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1]));
        if (
          readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(this.directory) ||
          readlinkSync(`/proc/${entry}/cwd`).startsWith(this.directory)
        )
          own.add(pid);
      } catch {
        // It has ended meanwhile, or is a kernel thread.
      }
    }
    own.delete(process.pid);
    for (let before = -1; before !== own.size; ) {
      before = own.size;
      for (const [pid, parent] of parents) if (own.has(parent)) own.add(pid);
    }
    return [...own];
  }
}

interface Teardown {
  teardown(handler: () => Promise<void>): void;
}

let clusters = 0;

/** Nodes on one switch, each in a namespace of its own, removed when the test ends, however it ends. Not yet started. */
export function createTestNodes(t: Teardown, count: number, ...flags: string[]): TestNode[] {
  const id = `${process.pid % 10_000}-${clusters++}`;
  const wires = new Switch(`balsa-sw-${id}`, `10.77.${(process.pid + clusters) % 250}`);
  const nodes = Array.from({ length: count }, (_, i) => new TestNode(wires.plug(`balsa-n${i + 1}-${id}`), flags));
  t.teardown(async () => {
    await Promise.all(nodes.map((node) => node.destroy()));
    wires.destroy();
  });
  return nodes;
}

/** A node in a namespace of its own, removed when the test ends, however it ends. Not yet started. */
export function createTestNode(t: Teardown, ...flags: string[]): TestNode {
  const [node] = createTestNodes(t, 1, ...flags);
  if (node === undefined) throw new Error('one node was asked for');
  return node;
}

/** Asks again until `check` yields something; throws with its last word after the timeout. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < end) {
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    await delay(200);
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}${last instanceof Error ? `\n${last.message}` : ''}`);
}

/** Makes sure that what kubectl needs is there before a test spends minutes. */
export function requireRoot(): void {
  if (process.getuid?.() !== 0) throw new Error('integration tests need root: network namespaces and containers');
  execFileSync('ip', ['netns', 'list'], { stdio: 'ignore' });
}
