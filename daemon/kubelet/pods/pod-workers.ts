import { setTimeout as sleep } from 'node:timers/promises';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { uidOf } from '../container/labels.ts';
import type { KubeletContext } from '../context.ts';
import type { RuntimePod } from './lifecycle-events.ts';
import { PodWorker } from './pod-worker.ts';

const PATIENCE_MS = 2000;

/** One worker for each pod that is on this node, or shall be, or was until its remains are gone. */
export class PodWorkers {
  readonly #context: KubeletContext;
  readonly #workers = new Map<string, PodWorker>();
  #stopped = false;

  constructor(context: KubeletContext) {
    this.#context = context;
  }

  get(uid: string): PodWorker | undefined {
    return this.#workers.get(uid);
  }

  get all(): readonly PodWorker[] {
    return [...this.#workers.values()];
  }

  /** Pods of this node, newest objects, by what the API said last. */
  get pods(): readonly Pod[] {
    return this.all.map(({ state }) => state.pod);
  }

  /** A pod was added to this node or changed. */
  update(pod: Pod): void {
    if (this.#stopped) return;
    const uid = uidOf(pod);
    const worker = this.#workers.get(uid);
    if (worker !== undefined) worker.update(pod);
    else this.#start(pod, false);
  }

  /** A pod is in the API no more. */
  remove(pod: Pod): void {
    this.#workers.get(uidOf(pod))?.remove(pod);
  }

  /** The runtime has a pod that the API does not know: a deletion that happened while no kubelet ran. */
  adoptOrphan({ uid, name, namespace }: RuntimePod): void {
    if (this.#stopped || this.#workers.has(uid)) return;
    this.#context.logger.info({ namespace, name, uid }, 'taking down a pod that is no longer in the API');
    this.#start({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, uid }, spec: { containers: [] } }, true);
  }

  wake(uid: string): void {
    this.#workers.get(uid)?.wake();
  }

  wakeAll(): void {
    for (const worker of this.#workers.values()) worker.wake();
  }

  /** Ends all workers; pods run on. A step that waits for a container's end is left to the next kubelet. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const all = Promise.all(this.all.map((worker) => worker.stop()));
    const patience = new AbortController();
    await Promise.race([all, sleep(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
  }

  #start(pod: Pod, removed: boolean): void {
    const uid = uidOf(pod);
    const worker = new PodWorker(this.#context, pod, {
      removed,
      others: () =>
        this.all
          .filter((other) => other.uid !== uid && other.active && other.state.admitted)
          .map(({ state }) => state.pod),
      onGone: () => this.#workers.delete(uid),
    });
    this.#workers.set(uid, worker);
  }
}
