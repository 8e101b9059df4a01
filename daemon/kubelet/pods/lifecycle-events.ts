import type { Logger } from '../../log/logger.ts';
import { labels } from '../container/labels.ts';
import type { Container, ContainerRuntime, PodSandbox } from '../runtime.ts';

const RELIST_MS = 1000;

/** The pod that a sandbox or container belongs to, as its labels say; undefined for what no kubelet made. */
export interface RuntimePod {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  /** State of each sandbox and container, by id. */
  readonly states: ReadonlyMap<string, number>;
}

function group(sandboxes: readonly PodSandbox[], containers: readonly Container[]): Map<string, RuntimePod> {
  const pods = new Map<string, RuntimePod & { states: Map<string, number> }>();
  for (const item of [...sandboxes, ...containers]) {
    const uid = item.labels[labels.podUid];
    if (uid === undefined) continue;
    let pod = pods.get(uid);
    if (pod === undefined) {
      const name = item.labels[labels.podName] ?? '';
      pod = { uid, name, namespace: item.labels[labels.podNamespace] ?? '', states: new Map() };
      pods.set(uid, pod);
    }
    pod.states.set(item.id, item.state);
  }
  return pods;
}

const same = (a: RuntimePod | undefined, b: RuntimePod): boolean =>
  a !== undefined &&
  a.states.size === b.states.size &&
  [...b.states].every(([id, state]) => a.states.get(id) === state);

/** Lists what the runtime has, every second, and tells which pods are no longer as they were: level-triggered. */
export class PodLifecycleEvents {
  readonly #runtime: ContainerRuntime;
  readonly #logger: Logger;
  readonly #onChange: (pod: RuntimePod) => void;
  #pods: ReadonlyMap<string, RuntimePod> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #listedAt = 0;
  #failing = false;
  #stopped = false;
  #current: Promise<void> = Promise.resolve();

  constructor(runtime: ContainerRuntime, logger: Logger, onChange: (pod: RuntimePod) => void) {
    this.#runtime = runtime;
    this.#logger = logger;
    this.#onChange = onChange;
  }

  /** All pods the runtime had when it was last asked, whether or not the API knows them. */
  get pods(): ReadonlyMap<string, RuntimePod> {
    return this.#pods;
  }

  /** Milliseconds since the runtime last answered. */
  age(): number {
    return Date.now() - this.#listedAt;
  }

  /** Resolves after the first list. */
  async start(): Promise<void> {
    await this.relist();
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#current;
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#current = this.relist();
      void this.#current.then(() => this.#schedule());
    }, RELIST_MS);
    this.#timer.unref();
  }

  async relist(): Promise<void> {
    try {
      const [sandboxes, containers] = await Promise.all([
        this.#runtime.listPodSandboxes(),
        this.#runtime.listContainers(),
      ]);
      const before = this.#pods;
      this.#pods = group(sandboxes, containers);
      this.#listedAt = Date.now();
      if (this.#failing) this.#logger.info('the container runtime answers again');
      this.#failing = false;
      for (const pod of this.#pods.values()) if (!same(before.get(pod.uid), pod)) this.#onChange(pod);
      for (const pod of before.values()) if (!this.#pods.has(pod.uid)) this.#onChange({ ...pod, states: new Map() });
    } catch (err) {
      if (!this.#failing) this.#logger.warn({ err }, 'the container runtime does not answer');
      this.#failing = true;
    }
  }
}
