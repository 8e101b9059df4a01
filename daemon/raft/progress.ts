import type { Inflights } from './inflights.ts';
import { invariant } from './invariant.ts';

/**
 * - `probe`: the leader looks for where the follower's log agrees, one message at a time;
 * - `replicate`: it agrees, so appends are pipelined ahead of their acknowledgement;
 * - `snapshot`: it needs entries that are compacted away, and nothing is sent until the snapshot is through.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/** What a leader knows of one follower's log. */
export class Progress {
  state: ProgressState = 'probe';
  /** The highest index known to be on the follower's disk. */
  match: number;
  /** The next index to send. */
  next: number;
  /** While in `snapshot`: the index of the snapshot sent. */
  pendingSnapshot = 0;
  /** Heard from since the leader last checked that it has a quorum. */
  recentActive = false;
  /** The leader's clock when it sent the last heartbeat that the follower has answered. */
  confirmedTick = Number.NEGATIVE_INFINITY;
  /** Nothing more is sent until something arrives from the follower. */
  paused = false;
  isLearner = false;
  readonly inflights: Inflights;

  constructor(match: number, next: number, inflights: Inflights) {
    this.match = match;
    this.next = next;
    this.inflights = inflights;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.paused = false;
    this.pendingSnapshot = 0;
    this.inflights.reset();
  }

  becomeProbe(): void {
    // After a snapshot has been sent the follower is expected to have it.
    const from = this.state === 'snapshot' ? Math.max(this.match, this.pendingSnapshot) : this.match;
    this.#enter('probe');
    this.next = from + 1;
  }

  becomeReplicate(): void {
    this.#enter('replicate');
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter('snapshot');
    this.pendingSnapshot = index;
    this.next = index + 1;
  }

  sent(entries: number, bytes: number): void {
    if (this.state === 'replicate') {
      if (entries > 0) {
        this.next += entries;
        this.inflights.add(this.next - 1, bytes);
      }
      // With the window full even an empty append is a probe: one, then silence until an answer.
      this.paused = this.inflights.full();
      return;
    }
    invariant(this.state === 'probe', 'appends are sent only in probe or replicate', { state: this.state });
    if (entries > 0) this.paused = true;
  }

  /** An acknowledgement up to `index`; false when it says nothing new. */
  acknowledge(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.paused = false;
    return true;
  }

  /** A rejection of the append after `rejected`; false when it is out of date. */
  rejected(rejected: number, mayMatch: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
      return true;
    }
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, mayMatch + 1), this.match + 1);
    this.paused = false;
    return true;
  }

  isPaused(): boolean {
    return this.state === 'snapshot' || this.paused;
  }
}
