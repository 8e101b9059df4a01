import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../log/logger.ts';
import { removePodCgroup } from './container/cgroups.ts';
import { hasCgroup2, lacksCapSysResource, renderContainerdConfig, usesSystemdCgroups } from './containerd-config.ts';
import { connectRuntime } from './cri.ts';
import { endShim, findStrayShims, removeStrayShims } from './stray-shims.ts';

export interface ContainerdOptions {
  /** State of this node; containerd's is below `containerd/` in it. */
  readonly dataDir: string;
  /** For sockets and FIFOs (short: a socket's path holds 107 bytes). Default: /run/balsa. */
  readonly runDir?: string;
  readonly pauseImage: string;
  readonly cniConfDir: string;
  readonly cniBinDir: string;
  readonly logger: Logger;
  readonly binary?: string;
  readonly snapshotter?: string;
}

export interface Containerd {
  /** The CRI socket, as `unix://` URL. */
  readonly endpoint: string;
  readonly socket: string;
  /**
   * Ends containerd. Containers live on under their shims when `keepContainers` is set (the default) and are found again by
   * the next start; otherwise every pod is stopped and removed first.
   */
  stop(options?: { keepContainers?: boolean }): Promise<void>;
}

const MAX_SOCKET_PATH = 107;
const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
const RESTART_BACK_OFF_MS = { first: 500, most: 30_000 };

/** The directory for sockets of the node whose data is in `dataDir`; differs per data directory, and is short. */
export function containerdStateDir(dataDir: string, runDir: string): string {
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 8);
  const directory = join(runDir, `containerd-${hash}`);
  // containerd appends `.ttrpc` to the socket's name.
  return join(directory, 'containerd.sock.ttrpc').length <= MAX_SOCKET_PATH ? directory : `/run/balsa-${hash}`;
}

/** The pid in `pidFile` if that process is still the containerd that uses `configFile`; pids are used again after a reboot. */
function runningPid(pidFile: string, configFile: string): number | undefined {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8').trim());
    if (!Number.isInteger(pid) || pid <= 1) return undefined;
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return commandLine.includes(configFile) ? pid : undefined;
  } catch {
    return undefined; // Never started, or gone.
  }
}

const isAlive = (pid: number): boolean => {
  try {
    // A zombie (our own child not yet reaped) is not alive.
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

async function waitForExit(pid: number, timeoutMs: number): Promise<boolean> {
  for (let waited = 0; waited < timeoutMs; waited += 50) {
    if (!isAlive(pid)) return true;
    await sleep(50);
  }
  return !isAlive(pid);
}

/**
 * Runs a containerd of our own, beside any the host has: own root, state, socket and configuration. One that an earlier
 * `balsad` left behind is adopted when its configuration is still what we would write, else replaced (containers live on
 * under their shims either way). It is started again, with back-off, whenever it dies.
 * Rejects when it does not answer within 30 s.
 */
export async function startContainerd(options: ContainerdOptions): Promise<Containerd> {
  const logger = options.logger.child({ component: 'containerd' });
  const directory = join(options.dataDir, 'containerd');
  const state = containerdStateDir(options.dataDir, options.runDir ?? '/run/balsa');
  const socket = join(state, 'containerd.sock');
  const configFile = join(directory, 'config.toml');
  const pidFile = join(state, 'containerd.pid');
  const logFile = join(directory, 'containerd.log');
  const registryConfigDir = join(directory, 'certs.d');
  for (const path of [directory, state, registryConfigDir, options.cniConfDir]) mkdirSync(path, { recursive: true });

  const config = renderContainerdConfig({
    root: join(directory, 'root'),
    state: join(state, 'state'),
    socket,
    sandboxImage: options.pauseImage,
    cniConfDir: options.cniConfDir,
    cniBinDir: options.cniBinDir,
    snapshotter: options.snapshotter ?? 'overlayfs',
    systemdCgroup: usesSystemdCgroups(),
    restrictOomScoreAdj: lacksCapSysResource(),
    registryConfigDir,
  });
  const unchanged = existsSync(configFile) && readFileSync(configFile, 'utf8') === config;
  writeFileSync(configFile, config);

  let stopping = false;
  let pid: number | undefined;
  let child: ChildProcess | undefined;
  let watching: NodeJS.Timeout | undefined;
  let failures = 0;
  let spawnError: NodeJS.ErrnoException | undefined;

  function launch(): void {
    rmSync(socket, { force: true });
    const log = openSync(logFile, 'a');
    // Detached, with its log in a file: it must outlive us.
    child = spawn(options.binary ?? 'containerd', ['--config', configFile], {
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.on('error', (error) => {
      spawnError = error;
      logger.error({ err: error }, 'cannot run containerd');
      lost();
    });
    child.on('exit', (code, signal) => {
      if (!stopping) logger.warn({ code, signal, log: logFile }, 'containerd ended');
      lost();
    });
    child.unref();
    pid = child.pid;
    if (pid !== undefined) writeFileSync(pidFile, `${pid}\n`);
  }

  function lost(): void {
    pid = undefined;
    if (stopping) return;
    const delay = Math.min(RESTART_BACK_OFF_MS.first * 2 ** failures++, RESTART_BACK_OFF_MS.most);
    watching = setTimeout(() => {
      launch();
      void ready().then(
        () => {
          failures = 0;
        },
        (err: unknown) => logger.error({ err }, 'containerd does not answer'),
      );
    }, delay);
    watching.unref();
  }

  /** An adopted process is not our child: look at it now and then. */
  function watchAdopted(adopted: number): void {
    watching = setInterval(() => {
      if (isAlive(adopted)) return;
      clearInterval(watching);
      if (!stopping) logger.warn({ pid: adopted }, 'containerd ended');
      lost();
    }, 1000);
    watching.unref();
  }

  async function ready(): Promise<void> {
    let last: unknown;
    for (let waited = 0; waited < READY_TIMEOUT_MS; waited += 50) {
      if (spawnError?.code === 'ENOENT') throw new Error('containerd is not installed (or not on PATH)');
      if (existsSync(socket)) {
        const runtime = connectRuntime(`unix://${socket}`);
        try {
          await runtime.version();
          await runtime.status();
          return;
        } catch (error) {
          last = error;
        } finally {
          runtime.close();
        }
      }
      await sleep(50);
    }
    throw new Error(`containerd did not answer on ${socket} within ${READY_TIMEOUT_MS / 1000} s; see ${logFile}`, {
      cause: last,
    });
  }

  const earlier = runningPid(pidFile, configFile);
  if (earlier !== undefined && unchanged) {
    logger.info({ pid: earlier }, 'adopting the running containerd');
    pid = earlier;
    watchAdopted(earlier);
  } else {
    if (earlier !== undefined) await terminate(earlier);
    launch();
  }
  try {
    await ready();
  } catch (error) {
    stopping = true;
    clearTimeout(watching);
    if (pid !== undefined) await terminate(pid);
    throw error;
  }
  logger.info({ pid, socket }, 'containerd is ready');
  const stopLooking = removeStrayShims(socket, logger);

  async function terminate(target: number): Promise<void> {
    try {
      process.kill(target, 'SIGTERM');
      if (await waitForExit(target, STOP_TIMEOUT_MS)) return;
      process.kill(target, 'SIGKILL');
      await waitForExit(target, STOP_TIMEOUT_MS);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  return {
    endpoint: `unix://${socket}`,
    socket,
    async stop({ keepContainers = true } = {}) {
      stopping = true;
      stopLooking();
      clearTimeout(watching);
      clearInterval(watching);
      if (pid === undefined) return;
      if (!keepContainers) await removeAllPods(`unix://${socket}`);
      await terminate(pid);
      // With no containerd left, nobody else would ever end these.
      if (!keepContainers) findStrayShims(socket).forEach(endShim);
      pid = undefined;
      rmSync(pidFile, { force: true });
    },
  };
}

/** Stops and removes every pod of a runtime, whoever made it. */
export async function removeAllPods(endpoint: string): Promise<void> {
  const runtime = connectRuntime(endpoint);
  const cgroups = { systemd: usesSystemdCgroups(), cgroup2: hasCgroup2() };
  try {
    const sandboxes = await runtime.listPodSandboxes();
    await Promise.all(
      sandboxes.map(async ({ id, metadata }) => {
        await runtime.stopPodSandbox(id);
        await runtime.removePodSandbox(id);
        if (metadata !== undefined) await removePodCgroup(metadata.uid, cgroups);
      }),
    );
  } finally {
    runtime.close();
  }
}
