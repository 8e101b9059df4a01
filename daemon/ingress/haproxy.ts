import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Logger } from '../log/logger.ts';
import { assignSlots, type HaproxySettings, renderHaproxy, type Slots, slotsFor } from './haproxy-config.ts';
import type { Endpoint, Routing } from './routing.ts';
import { isRefusal, runtimeCommand } from './stats-socket.ts';

const run = promisify(execFile);

export interface HaproxyOptions {
  /** Configurations and certificates are written to `ingress` in it. */
  readonly dataDir: string;
  /** The stats socket and the pid are in `ingress` in it. */
  readonly runDir: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly metricsPort: number;
  /** PEM of certificate and key for clients that ask for no name we know. */
  readonly defaultCertificate: string;
  /** The process ended by itself: `apply` is due again, in so many milliseconds. */
  readonly onLost: (delayMs: number) => void;
  readonly binary?: string;
  readonly logger: Logger;
}

type Assigned = ReadonlyMap<string, readonly (Endpoint | undefined)[]>;

const backOff = { first: 500, most: 30_000 };
const readyTimeoutMs = 15_000;
const stopTimeoutMs = 2000;
/** Who lived this long did not fail at once. */
const soundAfterMs = 10_000;

/** The HAProxy of this node: a child process that follows the routing it is given. */
export class Haproxy {
  readonly #options: HaproxyOptions;
  readonly #directory: string;
  readonly #socket: string;
  readonly #pidFile: string;
  #child: ChildProcess | undefined;
  #structure = '';
  #slots: Slots = new Map();
  #assigned: Assigned = new Map();
  #generation = 0;
  #failures = 0;
  #warnedMissing = false;
  #stopping = false;

  constructor(options: HaproxyOptions) {
    this.#options = options;
    this.#directory = ingressDirectory(options.dataDir);
    this.#socket = join(ingressDirectory(options.runDir), 'haproxy.sock');
    this.#pidFile = join(ingressDirectory(options.runDir), 'haproxy.pid');
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /**
   * Makes HAProxy serve `routing`: endpoints over its stats socket, all else by a configuration that it has checked and takes
   * over without a lost connection. A configuration that it refuses leaves the one before in force, and rejects.
   */
  async apply(routing: Routing): Promise<void> {
    const slots = slotsFor(routing, this.#slots);
    const assigned = new Map<string, readonly (Endpoint | undefined)[]>();
    const commands: string[] = [];
    for (const [backend, endpoints] of routing.backends) {
      const slot = assignSlots(backend, slots.get(backend) ?? 0, endpoints, this.#assigned.get(backend) ?? []);
      assigned.set(backend, slot.assigned);
      commands.push(...slot.commands);
    }
    const structure = JSON.stringify([...this.#render(routing, slots, new Map(), '/')]);
    const reload = !this.running || structure !== this.#structure || !(await this.#command(commands));
    if (reload && !(await this.#reload(routing, slots, assigned))) return;
    this.#structure = structure;
    this.#slots = slots;
    this.#assigned = assigned;
  }

  /** Ends HAProxy: no new connections, and those under way get two seconds. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGUSR1');
      const timer = setTimeout(() => child.kill('SIGTERM'), stopTimeoutMs);
      await ended;
      clearTimeout(timer);
    }
    rmSync(this.#pidFile, { force: true });
    this.#stopping = false;
  }

  /** False: it takes a reload. */
  async #command(commands: readonly string[]): Promise<boolean> {
    // A line of the runtime API holds 16 kB.
    for (let at = 0; at < commands.length; at += 64) {
      try {
        const answer = await runtimeCommand(this.#socket, commands.slice(at, at + 64));
        if (!isRefusal(answer)) continue;
        this.#options.logger.warn({ answer }, 'HAProxy refused a change of endpoints: reloading');
      } catch (error) {
        this.#options.logger.warn({ err: error }, 'HAProxy does not answer: reloading');
      }
      return false;
    }
    if (commands.length > 0) this.#options.logger.debug({ changes: commands.length }, 'endpoints changed');
    return true;
  }

  #render(routing: Routing, slots: Slots, assigned: Assigned, directory: string): ReadonlyMap<string, string> {
    const { httpPort, httpsPort, metricsPort, defaultCertificate } = this.#options;
    const user = /^haproxy:/m.test(readFileSync('/etc/passwd', 'utf8')) ? { user: 'haproxy' } : {};
    const ipv6 = existsSync('/proc/net/if_inet6');
    const settings: HaproxySettings = {
      directory,
      socket: this.#socket,
      httpPort,
      httpsPort,
      metricsPort,
      ipv6,
      ...user,
    };
    return renderHaproxy(routing, slots, assigned, settings, defaultCertificate);
  }

  /** False: there is no HAProxy on this host. */
  async #reload(routing: Routing, slots: Slots, assigned: Assigned): Promise<boolean> {
    const { logger } = this.#options;
    const base = this.#directory;
    mkdirSync(base, { recursive: true, mode: 0o700 });
    mkdirSync(dirname(this.#socket), { recursive: true, mode: 0o700 });
    let name = '';
    do name = `config-${++this.#generation}`;
    while (existsSync(join(base, name)));
    const directory = join(base, name);
    mkdirSync(directory, { mode: 0o700 });
    for (const [file, text] of this.#render(routing, slots, assigned, directory))
      writeFileSync(join(directory, file), text, { mode: 0o600 });
    const config = join(directory, 'haproxy.cfg');
    const binary = this.#options.binary ?? 'haproxy';
    try {
      await run(binary, ['-c', '-f', config], { timeout: 60_000 });
    } catch (error) {
      const failure = error as NodeJS.ErrnoException & { stderr?: string };
      rmSync(directory, { recursive: true, force: true });
      if (failure.code !== 'ENOENT')
        throw new Error(`HAProxy refuses the configuration: ${failure.stderr ?? failure.message}`);
      if (!this.#warnedMissing) logger.warn('there are Ingresses, but haproxy is not installed: they are not served');
      this.#warnedMissing = true;
      return false;
    }
    await this.#launch(binary, config);
    for (const other of readdirSync(base))
      if (other.startsWith('config-') && other !== name) rmSync(join(base, other), { recursive: true, force: true });
    logger.info(
      { pid: this.#child?.pid, hosts: routing.hosts.size, backends: slots.size },
      'HAProxy serves a new configuration',
    );
    return true;
  }

  async #launch(binary: string, config: string): Promise<void> {
    const { logger } = this.#options;
    const before = this.#child?.pid ?? leftBehind(this.#pidFile, this.#directory);
    const args = ['-db', '-f', config];
    // The new process takes the listening sockets over from the old one, which then finishes what it has.
    if (before !== undefined) args.push('-x', this.#socket, '-sf', String(before));
    const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        said = `${said}${text}`.slice(-2000);
        logger.debug({ haproxy: text.trim() });
      });
    let ended = false;
    const started = Date.now();
    child.once('error', (error) => {
      ended = true;
      said ||= error.message;
    });
    child.once('exit', (code, signal) => {
      ended = true;
      if (this.#child !== child || this.#stopping) return;
      this.#child = undefined;
      if (Date.now() - started > soundAfterMs) this.#failures = 0;
      const delay = Math.min(backOff.first * 2 ** this.#failures++, backOff.most);
      logger.warn({ code, signal, said, delay }, 'HAProxy ended: starting it again');
      this.#options.onLost(delay);
    });
    for (let waited = 0; waited < readyTimeoutMs && !ended; waited += 20) {
      const info = await runtimeCommand(this.#socket, ['show info']).catch(() => '');
      if (new RegExp(`^Pid: ${child.pid}$`, 'm').test(info)) {
        this.#child = child;
        writeFileSync(this.#pidFile, `${child.pid}\n`);
        return;
      }
      await sleep(20);
    }
    child.kill('SIGTERM');
    throw new Error(`HAProxy did not start: ${said.trim() || 'no answer on its stats socket'}`);
  }
}

/** The pid of the HAProxy that an earlier daemon left behind: one that was killed could not end it. */
function leftBehind(pidFile: string, directory: string): number | undefined {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8').trim());
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return commandLine.includes(directory) ? pid : undefined;
  } catch {
    return undefined; // None was left, or it has ended.
  }
}

const ingressDirectory = (parent: string): string => join(parent, 'ingress');

/** Ends the HAProxy of a daemon that no longer runs. */
export function endLeftHaproxy(dataDir: string, runDir: string): void {
  const pid = leftBehind(join(ingressDirectory(runDir), 'haproxy.pid'), ingressDirectory(dataDir));
  if (pid !== undefined) process.kill(pid, 'SIGTERM');
}
