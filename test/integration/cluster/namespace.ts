import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A network namespace with one interface, `eth0`: a host of its own as far as addresses, routes and rules go. */
export interface Namespace {
  readonly name: string;
  readonly address: string;
  /** Arguments that run a command inside. `ip netns exec` would hide the cgroup file systems, hence nsenter. */
  enter(command: readonly string[]): [string, string[]];
  exec(command: readonly string[], options?: { input?: string; timeout?: number }): Promise<string>;
  destroy(): void;
}

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });

/** Processes whose network namespace is the one that `name` stands for. */
function processesInside(name: string): number[] {
  const wanted = readlinkOf(`/run/netns/${name}`);
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/ns/net`) === wanted;
      } catch {
        return false; // It has ended meanwhile.
      }
    });
}

function readlinkOf(path: string): string {
  return execFileSync('nsenter', [`--net=${path}`, 'readlink', '/proc/self/ns/net'], { encoding: 'utf8' }).trim();
}

/** A switch that namespaces are plugged into: a bridge in a namespace of its own, so that the host's network stays untouched. */
export class Switch {
  readonly name: string;
  readonly prefix: string;
  #ports = 1;

  /** `prefix`: the first three octets of its /24. */
  constructor(name: string, prefix: string) {
    this.name = name;
    this.prefix = prefix;
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'add', 'br0', 'type', 'bridge');
    ip('-n', name, 'addr', 'add', `${prefix}.1/24`, 'dev', 'br0');
    ip('-n', name, 'link', 'set', 'br0', 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }

  plug(name: string): Namespace {
    const port = ++this.#ports;
    const address = `${this.prefix}.${port}`;
    ip('netns', 'add', name);
    ip('-n', this.name, 'link', 'add', `port${port}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    ip('-n', this.name, 'link', 'set', `port${port}`, 'master', 'br0', 'up');
    ip('-n', name, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'route', 'add', 'default', 'via', `${this.prefix}.1`);
    const enter = (command: readonly string[]): [string, string[]] => [
      'nsenter',
      [`--net=/run/netns/${name}`, '--', ...command],
    ];
    return {
      name,
      address,
      enter,
      async exec(command, options = {}) {
        const [program, args] = enter(command);
        const child = run(program, args, { timeout: options.timeout ?? 60_000, maxBuffer: 64 << 20, encoding: 'utf8' });
        if (options.input !== undefined) child.child.stdin?.end(options.input);
        else child.child.stdin?.end();
        return (await child).stdout;
      },
      destroy() {
        for (const pid of processesInside(name)) {
          try {
            process.kill(pid, 'SIGKILL');
          } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
          }
        }
        ip('netns', 'del', name);
      },
    };
  }

  destroy(): void {
    ip('netns', 'del', this.name);
  }
}

/** Lazily unmounts everything below a directory, deepest first. */
export function unmountBelow(directory: string): void {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${directory}/`))
    .sort((a, b) => b.length - a.length);
  for (const point of points) execFileSync('umount', ['-l', point.replaceAll('\\040', ' ')], { stdio: 'ignore' });
}
