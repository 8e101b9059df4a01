import { isApiError } from '../../apimachinery/api-error.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { pods } from '../../apimachinery/types/resources.ts';
import { BackOff } from '../back-off.ts';
import { uidOf } from '../container/labels.ts';
import type { KubeletContext } from '../context.ts';
import { refusal } from './admission.ts';
import { releasePod, removePod } from './clean-up.ts';
import { gracePeriod, killPod } from './kill.ts';
import { isRunning, readPodRuntime } from './pod-runtime.ts';
import { newPodState, type PodState, podVersion } from './pod-state.ts';
import { reportStatus } from './report.ts';
import { SyncError, syncPod } from './sync-pod.ts';

/** A pod is looked at this often even when nothing seems to happen. */
const RESYNC_MS = 60_000;
const RETRY_MS = { initial: 500, max: 10_000 };

export interface PodVerdict {
  readonly reason: string;
  readonly message: string;
  readonly graceSeconds?: number;
}

/**
 * The life of one pod on this node, one step at a time: *syncing* until it has ended or shall end, *terminating* until no
 * container runs, *terminated* until it is deleted, then cleaned up and gone. Each step begins with what the runtime has
 * and what the API says, so it does not matter at which point an earlier kubelet was killed.
 */
export class PodWorker {
  readonly uid: string;
  readonly state: PodState;
  readonly #context: KubeletContext;
  readonly #others: () => readonly Pod[];
  readonly #onGone: () => void;
  readonly #backOff = new BackOff(RETRY_MS.initial, RETRY_MS.max);
  #phase: 'syncing' | 'terminating' | 'terminated' | 'gone' = 'syncing';
  /** No longer in the API: what is left is to be taken down. */
  #removed = false;
  #dirty = true;
  #stopped = false;
  #wakeUp: () => void = () => {};
  #hurry = new AbortController();
  #killGrace: number | undefined;
  #verdictGrace: number | undefined;
  readonly #running: Promise<void>;

  constructor(
    context: KubeletContext,
    pod: Pod,
    options: { others: () => readonly Pod[]; onGone: () => void; removed?: boolean },
  ) {
    this.uid = uidOf(pod);
    this.state = newPodState(pod);
    this.#context = context;
    this.#others = options.others;
    this.#onGone = options.onGone;
    this.#removed = options.removed ?? false;
    this.#running = this.#loop();
  }

  get phase(): string {
    return this.#phase;
  }

  /** Whether the pod takes up room on the node. */
  get active(): boolean {
    return this.#phase === 'syncing' && this.state.verdict === undefined;
  }

  /** The API has a newer object. */
  update(pod: Pod): void {
    const changed = podVersion(pod) !== podVersion(this.state.pod);
    this.state.pod = pod;
    if (!changed) return;
    this.#shorten();
    this.wake();
  }

  /** The API has it no more. */
  remove(last: Pod): void {
    this.state.pod = last;
    this.#removed = true;
    this.#shorten();
    this.wake();
  }

  /** Ends the pod by the kubelet's own decision (eviction); its phase becomes Failed. */
  condemn({ reason, message, graceSeconds }: PodVerdict): void {
    if (this.#phase !== 'syncing' || this.state.verdict !== undefined) return;
    this.state.verdict = { reason, message };
    this.#verdictGrace = graceSeconds;
    this.wake();
  }

  /** Something changed: take a step soon. */
  wake(): void {
    this.#dirty = true;
    this.#wakeUp();
  }

  /** Ends the worker, not the pod. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.wake();
    return this.#running;
  }

  /** The grace period became shorter while containers are being ended: hooks end, and the runtime is told again. */
  #shorten(): void {
    if (this.#phase !== 'terminating' || this.#killGrace === undefined) return;
    const grace = gracePeriod(this.state.pod);
    if (grace >= this.#killGrace) return;
    this.#killGrace = grace;
    this.#hurry.abort();
    for (const container of this.state.runtime.containers.filter(isRunning))
      this.#context.runtime.stopContainer(container.status.id, grace).catch((err: unknown) => {
        this.#context.logger.warn({ err, uid: this.uid }, 'cannot shorten the end of a container');
      });
  }

  async #loop(): Promise<void> {
    while (!this.#stopped && !this.#isGone()) {
      this.#dirty = false;
      let wait: number;
      try {
        wait = await this.#step();
        this.#backOff.forget('');
      } catch (error) {
        wait = this.#retryAfter(error);
      }
      if (wait > 0 && !this.#dirty && !this.#stopped && !this.#isGone()) await this.#sleep(wait);
    }
    if (this.#isGone()) this.#onGone();
  }

  #isGone(): boolean {
    return this.#phase === 'gone';
  }

  #retryAfter(error: unknown): number {
    const { namespace, name } = this.state.pod.metadata ?? {};
    if (error instanceof SyncError) {
      this.#context.logger.debug({ err: error, namespace, name }, 'a pod has to wait');
      if (error.retryMs !== undefined) return error.retryMs;
    } else {
      this.#context.logger.warn({ err: error, namespace, name, phase: this.#phase }, 'step of a pod failed');
      if (this.#phase === 'syncing' && error instanceof Error)
        this.#context.events.pod(this.state.pod, 'Warning', 'FailedSync', `error determining status: ${error.message}`);
    }
    this.#backOff.next('');
    return this.#backOff.remainingSinceFailure('');
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Resolves to how long there is nothing to do, in milliseconds, unless something happens. */
  async #step(): Promise<number> {
    switch (this.#phase) {
      case 'syncing':
        return this.#sync();
      case 'terminating':
        return this.#terminate();
      case 'terminated':
        return this.#afterEnd();
      default:
        return 0;
    }
  }

  #shallEnd(): boolean {
    return (
      this.#removed || this.state.pod.metadata?.deletionTimestamp !== undefined || this.state.verdict !== undefined
    );
  }

  async #sync(): Promise<number> {
    const { state } = this;
    if (!this.#shallEnd()) this.#checkDeadline();
    if (!this.#shallEnd() && !state.admitted) await this.#admit();
    if (this.#shallEnd()) {
      this.#phase = 'terminating';
      return 0;
    }
    const { finished, acted, retryMs } = await syncPod(this.#context, state);
    if (finished) {
      this.#phase = 'terminating';
      return 0;
    }
    if (acted) return 0;
    return Math.min(retryMs ?? RESYNC_MS, RESYNC_MS, this.#untilDeadline() ?? RESYNC_MS);
  }

  async #admit(): Promise<void> {
    const { state } = this;
    const runs = state.pod.status?.containerStatuses !== undefined;
    const refused = runs ? undefined : refusal(state.pod, this.#others(), this.#context.allocatable());
    state.admitted = true;
    if (refused === undefined) return;
    this.#context.events.pod(state.pod, 'Warning', refused.reason, refused.message);
    state.verdict = { reason: refused.reason, message: `Pod was rejected: ${refused.message}`, refused: true };
  }

  #untilDeadline(): number | undefined {
    const { activeDeadlineSeconds } = this.state.pod.spec ?? {};
    const started = this.#context.status.current(this.uid)?.startTime ?? this.state.pod.status?.startTime;
    if (activeDeadlineSeconds === undefined || started === undefined) return undefined;
    return Math.max(0, Date.parse(started) + activeDeadlineSeconds * 1000 - Date.now());
  }

  #checkDeadline(): void {
    if (this.#untilDeadline() !== 0) return;
    const message = 'Pod was active on the node longer than the specified deadline';
    this.#context.events.pod(this.state.pod, 'Normal', 'DeadlineExceeded', message);
    this.state.verdict = { reason: 'DeadlineExceeded', message };
  }

  async #terminate(): Promise<number> {
    const { state } = this;
    const context = this.#context;
    context.probes.stopLiveness(this.uid);
    state.runtime = await readPodRuntime(context.runtime, this.uid, state.runtime);
    if (!this.#removed) await reportStatus(context, state, false);
    if (this.#hurry.signal.aborted) this.#hurry = new AbortController();
    const graceSeconds = this.#verdictGrace ?? gracePeriod(state.pod);
    this.#killGrace = graceSeconds;
    await killPod(context, state.pod, state.runtime, { graceSeconds, signal: this.#hurry.signal });
    state.runtime = await readPodRuntime(context.runtime, this.uid, state.runtime);
    if (state.runtime.containers.some(isRunning)) throw new SyncError('a container is still running');
    context.probes.forget(this.uid);
    if (!this.#removed) await reportStatus(context, state, true);
    await releasePod(context, state.pod);
    this.#phase = 'terminated';
    return 0;
  }

  async #afterEnd(): Promise<number> {
    const { state } = this;
    const deleted = state.pod.metadata?.deletionTimestamp !== undefined;
    if (!this.#removed && !deleted) return RESYNC_MS;
    state.runtime = await readPodRuntime(this.#context.runtime, this.uid, state.runtime);
    if (!this.#removed) {
      await reportStatus(this.#context, state, true);
      await this.#context.status.flush(this.uid);
      if (this.#stopped) return RESYNC_MS;
    }
    await removePod(this.#context, state.pod, state.runtime);
    if (!this.#removed) await this.#deleteFromApi();
    this.#context.status.forget(this.uid);
    this.#phase = 'gone';
    return 0;
  }

  /** The last thing a pod's node does for it: lets the API forget the object, and that one only. */
  async #deleteFromApi(): Promise<void> {
    const { namespace = '', name = '' } = this.state.pod.metadata ?? {};
    try {
      await this.#context.client.delete(
        pods,
        { namespace, name },
        { gracePeriodSeconds: 0, preconditions: { uid: this.uid } },
      );
    } catch (error) {
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error;
    }
  }
}
