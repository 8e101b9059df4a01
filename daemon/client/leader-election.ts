import { isApiError } from '../apimachinery/api-error.ts';
import { formatMicroTime, parseTime } from '../apimachinery/time.ts';
import type { Lease } from '../apimachinery/types/coordination-v1.ts';
import { leases } from '../apimachinery/types/resources.ts';
import type { Logger } from '../log/logger.ts';
import type { ApiClient } from './api-client.ts';
import { type Clock, systemClock } from './clock.ts';
import type { EventRecorder } from './event-recorder.ts';

export interface LeaderElectionOptions {
  readonly client: ApiClient;
  /** The Lease that stands for leadership. */
  readonly namespace: string;
  readonly name: string;
  /** Who this candidate is: unique among all. */
  readonly identity: string;
  readonly logger: Logger;
  readonly recorder?: EventRecorder;
  /** Others wait this long after the last renewal they saw (15 s). */
  readonly leaseDurationMs?: number;
  /** A leader that could not renew for this long steps down (10 s). */
  readonly renewDeadlineMs?: number;
  /** Between attempts (2 s). */
  readonly retryPeriodMs?: number;
  readonly onStartedLeading: () => void;
  /** Also called on `stop` of a leader. By then another may lead. */
  readonly onStoppedLeading: () => void;
  readonly onNewLeader?: (identity: string) => void;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface LeaderElection {
  readonly isLeader: boolean;
  /** Gives up the lease when it is held, so that another need not wait for it to run out. */
  stop(): Promise<void>;
}

class LeaseCandidate implements LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #clock: Clock;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;
  /** The record as last seen and when it was seen to change, by this clock: others' clocks are never trusted. */
  #observed: Lease | undefined;
  #observedAt = 0;
  #renewedAt = 0;
  #leading = false;
  #leader = '';
  #stopped = false;
  #cancelTimer: (() => void) | undefined;
  #cancelDeadline: (() => void) | undefined;
  #attempt: Promise<void> | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryPeriodMs = options.retryPeriodMs ?? 2_000;
    if (!(this.#leaseDurationMs > this.#renewDeadlineMs && this.#renewDeadlineMs > this.#retryPeriodMs)) {
      throw new Error('the lease must outlast the renewal deadline, and that the retry period');
    }
    this.#next();
  }

  get isLeader(): boolean {
    return this.#leading;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#attempt;
    if (this.#leading) {
      await this.#release();
      this.#stepDown();
    }
  }

  #next(): void {
    this.#attempt = this.#tryOnce().finally(() => {
      if (!this.#stopped) {
        const random = this.#options.random ?? Math.random;
        // Candidates that would otherwise all try at once come one after another.
        const jitter = this.#leading ? 1 : 1 + 1.2 * random();
        this.#cancelTimer = this.#clock.after(this.#retryPeriodMs * jitter, () => this.#next());
      }
    });
  }

  async #tryOnce(): Promise<void> {
    const startedAt = this.#clock.now();
    let held = false;
    try {
      held = await this.#acquireOrRenew(startedAt);
    } catch (error) {
      this.#options.logger.warn({ lease: this.#options.name, err: error }, 'lease could not be read or written');
    }
    if (held && this.#clock.now() - startedAt < this.#renewDeadlineMs) {
      this.#renewedAt = startedAt;
      if (this.#stopped) {
        return;
      }
      this.#armDeadline();
      if (!this.#leading) {
        this.#leading = true;
        this.#options.logger.info({ lease: this.#options.name }, 'became leader');
        this.#event('became leader');
        this.#options.onStartedLeading();
      }
    } else if (this.#leading && this.#heldByOther()) {
      this.#stepDown();
    }
  }

  /** A request that never returns must not keep up a leadership that others have given up on. */
  #armDeadline(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = this.#clock.after(this.#renewedAt + this.#renewDeadlineMs - this.#clock.now(), () => {
      if (this.#leading) {
        this.#stepDown();
      }
    });
  }

  #heldByOther(): boolean {
    const holder = this.#observed?.spec?.holderIdentity;
    return holder !== undefined && holder !== '' && holder !== this.#options.identity;
  }

  async #acquireOrRenew(now: number): Promise<boolean> {
    const { client, namespace, name, identity } = this.#options;
    const time = formatMicroTime(new Date(now));
    const mine = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000),
      renewTime: time,
    };
    let old: Lease;
    try {
      old = await client.get(leases, { namespace, name });
    } catch (error) {
      if (!isApiError(error, 'NotFound')) {
        throw error;
      }
      const spec = { ...mine, acquireTime: time, leaseTransitions: 0 };
      this.#observe(await client.create(leases, { metadata: { namespace, name }, spec }));
      return true;
    }
    this.#observe(old);
    const holder = old.spec?.holderIdentity ?? '';
    const duration = (old.spec?.leaseDurationSeconds ?? 0) * 1000;
    if (holder !== '' && holder !== identity && this.#observedAt + duration > this.#clock.now()) {
      return false;
    }
    const transitions = old.spec?.leaseTransitions ?? 0;
    const spec =
      holder === identity
        ? { ...old.spec, ...mine }
        : { ...old.spec, ...mine, acquireTime: time, leaseTransitions: transitions + 1 };
    try {
      this.#observe(await client.update(leases, { ...old, spec }));
      return true;
    } catch (error) {
      if (isApiError(error, 'Conflict')) {
        return false;
      }
      throw error;
    }
  }

  #observe(lease: Lease): void {
    const { holderIdentity, renewTime } = lease.spec ?? {};
    const before = this.#observed?.spec;
    if (before === undefined || before.holderIdentity !== holderIdentity || before.renewTime !== renewTime) {
      this.#observedAt = this.#clock.now();
    }
    this.#observed = lease;
    if (holderIdentity && holderIdentity !== this.#leader) {
      this.#leader = holderIdentity;
      this.#options.onNewLeader?.(holderIdentity);
    }
  }

  async #release(): Promise<void> {
    const lease = this.#observed;
    if (lease?.spec?.holderIdentity !== this.#options.identity) {
      return;
    }
    const time = formatMicroTime(new Date(this.#clock.now()));
    const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: time, acquireTime: time };
    try {
      await this.#options.client.update(leases, { ...lease, spec });
    } catch (error) {
      this.#options.logger.warn({ lease: this.#options.name, err: error }, 'lease could not be given up');
    }
  }

  #stepDown(): void {
    this.#leading = false;
    this.#cancelDeadline?.();
    this.#options.logger.info({ lease: this.#options.name }, 'stopped leading');
    this.#event('stopped leading');
    this.#options.onStoppedLeading();
  }

  #event(what: string): void {
    if (this.#observed !== undefined) {
      const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', ...this.#observed };
      this.#options.recorder?.event(lease, 'Normal', 'LeaderElection', `${this.#options.identity} ${what}`);
    }
  }
}

/** Milliseconds since the holder last renewed, by its own clock; undefined when it never did. */
export function leaseAge(lease: Lease, now: number): number | undefined {
  const renewed = parseTime(lease.spec?.renewTime);
  return renewed === undefined ? undefined : now - renewed;
}

/** Takes part in the election of one leader among all that name the same Lease, until stopped. */
export function startLeaderElection(options: LeaderElectionOptions): LeaderElection {
  return new LeaseCandidate(options);
}
