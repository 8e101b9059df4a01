import { setTimeout as sleep } from 'node:timers/promises';
import { isApiError } from '../../apimachinery/api-error.ts';
import type { Node, NodeStatus, Taint } from '../../apimachinery/types/core-v1.ts';
import { nodes } from '../../apimachinery/types/resources.ts';
import type { ApiClient } from '../../client/api-client.ts';
import type { Logger } from '../../log/logger.ts';
import type { KubeletEvents } from '../events.ts';
import { architecture } from './host-facts.ts';
import { differs, type NodeFacts, nodeStatus } from './node-status.ts';

const CHECK_MS = 10_000;
/** Until the node is ready and whenever something changed about it, changes are reported this soon. */
const QUICK_CHECK_MS = 100;
const RETRY_MS = 1000;
/** Written at least this often, changed or not. */
const REPORT_MS = 5 * 60_000;

export interface RegistrationOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly facts: () => Promise<NodeFacts>;
  readonly events: KubeletEvents;
  readonly logger: Logger;
}

/** Makes the Node object of this node, and keeps its status. */
export class NodeRegistration {
  readonly #options: RegistrationOptions;
  #node: Node | undefined;
  #reportedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #current: Promise<void> = Promise.resolve();

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  get node(): Node | undefined {
    return this.#node;
  }

  /** Resolves once the Node exists and its first status is written. */
  async start(): Promise<void> {
    for (;;) {
      try {
        await this.#register();
        this.#options.events.node('Normal', 'Starting', 'Starting kubelet.');
        await this.#report();
        this.#tellStart();
        break;
      } catch (err) {
        // The API may be further away than this process: it will come.
        this.#options.logger.warn({ err, node: this.#options.nodeName }, 'cannot register the node; trying again');
        await sleep(RETRY_MS);
      }
    }
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#current;
  }

  /** Something about the node changed: report it now. */
  refresh(): void {
    clearTimeout(this.#timer);
    this.#run();
  }

  #isReady(): boolean {
    return this.#node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  }

  #schedule(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), this.#isReady() ? CHECK_MS : QUICK_CHECK_MS);
    this.#timer.unref();
  }

  #run(): void {
    this.#current = this.#current
      .then(() => this.#report())
      .catch((err: unknown) => {
        if (!this.#stopped) this.#options.logger.warn({ err }, "cannot write the node's status");
      })
      .then(() => this.#schedule());
  }

  #standardLabels(): Record<string, string> {
    const arch = architecture();
    return {
      'beta.kubernetes.io/arch': arch,
      'beta.kubernetes.io/os': 'linux',
      'kubernetes.io/arch': arch,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/hostname': this.#options.nodeName,
    };
  }

  async #register(): Promise<void> {
    const { client, nodeName, labels, taints, logger } = this.#options;
    const wanted = { ...labels, ...this.#standardLabels() };
    try {
      const node = await client.get(nodes, { name: nodeName });
      const missing = Object.entries(wanted).filter(([key, value]) => node.metadata?.labels?.[key] !== value);
      this.#node =
        missing.length === 0
          ? node
          : await client.patch(
              nodes,
              { name: nodeName },
              { metadata: { labels: Object.fromEntries(missing) } },
              { type: 'merge' },
            );
      return;
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
    const node: Node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name: nodeName,
        labels: wanted,
        annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
      },
      spec: taints.length === 0 ? {} : { taints: [...taints] },
      status: nodeStatus(await this.#options.facts(), {}),
    };
    try {
      this.#node = await client.create(nodes, node);
      logger.info({ node: nodeName }, 'registered the node');
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists')) throw error;
      this.#node = await client.get(nodes, { name: nodeName });
    }
  }

  async #report(): Promise<void> {
    const { client, nodeName } = this.#options;
    const facts = await this.#options.facts();
    try {
      // As it is now: others write conditions too, such as Unknown while no sign of life got through.
      const node = await client.get(nodes, { name: nodeName });
      const old = node.status ?? {};
      const next = nodeStatus(facts, old);
      this.#node = node;
      if (!differs(old, next) && Date.now() - this.#reportedAt < REPORT_MS) return;
      this.#node = await client.patch(nodes, { name: nodeName }, patchOf(old, next), {
        type: 'strategic',
        subresource: 'status',
      });
      this.#reportedAt = Date.now();
      this.#tell(old, next);
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
      // Someone deleted the Node: a kubelet that lives registers again.
      await this.#register();
    }
  }

  /** A kubelet that starts says how it finds its node. */
  #tellStart(): void {
    const { events } = this.#options;
    const conditions = this.#node?.status?.conditions?.filter(({ type }) => type !== 'Ready');
    this.#tell({}, { conditions: conditions ?? [] });
    events.node('Normal', 'NodeAllocatableEnforced', 'Updated Node Allocatable limit across pods');
  }

  /** Events for what changed about the node. */
  #tell(old: NodeStatus, next: NodeStatus): void {
    const { events, nodeName } = this.#options;
    const reasons: Readonly<Record<string, readonly [string, string]>> = {
      Ready: ['NodeReady', 'NodeNotReady'],
      MemoryPressure: ['NodeHasInsufficientMemory', 'NodeHasSufficientMemory'],
      DiskPressure: ['NodeHasDiskPressure', 'NodeHasNoDiskPressure'],
      PIDPressure: ['NodeHasInsufficientPID', 'NodeHasSufficientPID'],
    };
    for (const { type, status } of next.conditions ?? []) {
      const [whenTrue, whenFalse] = reasons[type] ?? [];
      const before = old.conditions?.find((condition) => condition.type === type)?.status;
      if (before === status || whenTrue === undefined || whenFalse === undefined) continue;
      const reason = status === 'True' ? whenTrue : whenFalse;
      events.node('Normal', reason, `Node ${nodeName} status is now: ${reason}`);
    }
  }
}

/** The whole of what changed; addresses merge by type and would keep what is gone. */
function patchOf(old: NodeStatus, next: NodeStatus): object {
  const changed = Object.entries(next).filter(
    ([key, value]) => key === 'conditions' || JSON.stringify(old[key as keyof NodeStatus]) !== JSON.stringify(value),
  );
  const status = Object.fromEntries(changed);
  if (Array.isArray(status['addresses'])) status['addresses'] = [{ $patch: 'replace' }, ...status['addresses']];
  return { status };
}
