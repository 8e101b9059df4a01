import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Reply {
  /** Who answered. */
  readonly name?: string;
  /** The address the server saw. */
  readonly client?: string;
  /** Why nobody did: `ECONNREFUSED`, `timeout`... */
  readonly error?: string;
}

export interface Rate {
  readonly perSecond: number;
  readonly failed: number;
  readonly median: number;
  readonly high: number;
}

export interface RequestOptions {
  readonly protocol?: 'TCP' | 'UDP';
  readonly localPort?: number;
  readonly localAddress?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

const agentFile = fileURLToPath(new URL('agent.mjs', import.meta.url));

export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });
}

/** A process in a namespace; without one, in the namespace of the test. */
export class Agent {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #pending = new Map<number, (result: Reply) => void>();
  #next = 1;

  static async start(name: string, namespace?: string): Promise<Agent> {
    const command = [process.execPath, agentFile, name];
    const full = namespace === undefined ? command : ['ip', 'netns', 'exec', namespace, ...command];
    const child = spawn(full[0]!, full.slice(1), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const agent = new Agent(name, child);
    await once(child, 'message');
    return agent;
  }

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#process = child;
    child.on('message', ({ id, result }: { id: number; result: Reply }) => {
      this.#pending.get(id)?.(result);
      this.#pending.delete(id);
    });
  }

  async listen(port: number, protocol: 'TCP' | 'UDP' = 'TCP', host?: string): Promise<void> {
    const { error } = await this.#send('listen', { port, protocol, host });
    if (error !== undefined) throw new Error(`${this.name} cannot listen on ${port}: ${error}`);
  }

  request(host: string, port: number, options: RequestOptions = {}): Promise<Reply> {
    return this.#send('request', { host, port, protocol: 'TCP', ...options });
  }

  /** The names of those who answered `count` requests, or the errors; sorted, each once. */
  async whoAnswers(host: string, port: number, count = 24, options: RequestOptions = {}): Promise<string[]> {
    const replies = await Promise.all(Array.from({ length: count }, () => this.request(host, port, options)));
    return [...new Set(replies.map((reply) => reply.name ?? reply.error ?? ''))].sort();
  }

  /** Connections a second, and milliseconds of one: the median and that of the slowest of a hundred. */
  async rate(host: string, port: number, seconds: number): Promise<Rate> {
    return (await this.#send('rate', { host, port, seconds })) as unknown as Rate;
  }

  async stop(): Promise<void> {
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }

  #send(command: string, argument: object): Promise<Reply> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#pending.set(id, resolve);
      this.#process.send({ id, command, argument });
    });
  }
}

export const nodeIp = '192.0.2.1';
export const nodeIp6 = '2001:db8::1';
export const outsideIp = '192.0.2.100';
export const podCidr = '10.244.0.0/16';
export const podCidr6 = 'fd00:10:244::/56';

/**
 * A node (the namespace of the test) with pods on routed links, as the pod network makes them, and a client outside the
 * cluster behind the node's uplink. Pods serve TCP and UDP on 8080.
 */
export class Lab {
  readonly node: Agent;
  readonly outside: Agent;
  readonly pods: readonly Agent[];

  private constructor(node: Agent, outside: Agent, pods: readonly Agent[]) {
    this.node = node;
    this.outside = outside;
    this.pods = pods;
  }

  static podIp(index: number): string {
    return `10.244.0.${index + 2}`;
  }

  static podIp6(index: number): string {
    return `fd00:10:244::${index + 2}`;
  }

  static async create(podCount: number): Promise<Lab> {
    run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
    run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet');
    run('ip', 'netns', 'add', 'bn-outside');
    run('ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'bn-outside');
    run('ip', 'address', 'add', `${nodeIp}/24`, 'dev', 'uplink');
    run('ip', 'address', 'add', `${nodeIp6}/64`, 'dev', 'uplink', 'nodad');
    run('ip', 'link', 'set', 'uplink', 'up');
    // The client is also where the default route leads: without this it would be told to talk to itself.
    run('sh', '-c', 'for f in /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 > $f; done');
    run('ip', 'route', 'add', 'default', 'via', outsideIp);
    run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8::100');
    const outside = (...args: string[]) => run('ip', '-n', 'bn-outside', ...args);
    outside('address', 'add', `${outsideIp}/24`, 'dev', 'eth0');
    outside('address', 'add', '192.0.2.101/24', 'dev', 'eth0');
    outside('address', 'add', '2001:db8::100/64', 'dev', 'eth0', 'nodad');
    outside('link', 'set', 'eth0', 'up');
    outside('link', 'set', 'lo', 'up');
    // What a router would announce: the way to the Services' addresses leads through the node.
    for (const cidr of ['10.96.0.0/12', '198.51.100.0/24']) outside('route', 'add', cidr, 'via', nodeIp);
    outside('-6', 'route', 'add', 'fd00:10:96::/112', 'via', nodeIp6);
    for (let index = 0; index < podCount; index++) Lab.#addPod(index);
    const [node, outsideAgent, ...pods] = await Promise.all([
      Agent.start('node'),
      Agent.start('outside', 'bn-outside'),
      ...Array.from({ length: podCount }, (_, index) => Agent.start(`pod${index}`, `bn-pod${index}`)),
    ]);
    for (const pod of pods) {
      await pod.listen(8080, 'TCP', '::');
      await pod.listen(8080, 'UDP', '0.0.0.0');
    }
    return new Lab(node, outsideAgent, pods);
  }

  static #addPod(index: number): void {
    const namespace = `bn-pod${index}`;
    const link = `pod${index}`;
    run('ip', 'netns', 'add', namespace);
    run('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    run('ip', 'address', 'add', '10.244.0.1/32', 'dev', link);
    run('ip', 'address', 'add', 'fd00:10:244::1/128', 'dev', link, 'nodad');
    run('ip', 'link', 'set', link, 'up');
    run('ip', 'route', 'add', `${Lab.podIp(index)}/32`, 'dev', link, 'src', '10.244.0.1');
    run('ip', '-6', 'route', 'add', `${Lab.podIp6(index)}/128`, 'dev', link);
    const inside = (...args: string[]) => run('ip', '-n', namespace, ...args);
    inside('link', 'set', 'lo', 'up');
    inside('address', 'add', `${Lab.podIp(index)}/32`, 'dev', 'eth0');
    inside('address', 'add', `${Lab.podIp6(index)}/128`, 'dev', 'eth0', 'nodad');
    inside('link', 'set', 'eth0', 'up');
    inside('route', 'add', '10.244.0.1', 'dev', 'eth0', 'scope', 'link');
    inside('route', 'add', 'default', 'via', '10.244.0.1');
    inside('-6', 'route', 'add', 'fd00:10:244::1', 'dev', 'eth0');
    inside('-6', 'route', 'add', 'default', 'via', 'fd00:10:244::1');
  }

  async stop(): Promise<void> {
    await Promise.all([this.node, this.outside, ...this.pods].map((agent) => agent.stop()));
  }
}
