import type { Raft } from './raft.ts';

/**
 * The leader's lease: while a quorum has answered heartbeats sent less than the lease's length ago, nobody else can have been
 * elected, because whoever hears a leader grants no vote for an election timeout. Shorter than that timeout by a quarter, which
 * is how much faster than the leader's any other clock may run.
 */
export class LeaderLease {
  readonly #raft: Raft;
  readonly ticks: number;
  /** A member was told to stand for election at once, and will be voted for in spite of the lease. */
  #givenAway = false;

  constructor(raft: Raft) {
    this.#raft = raft;
    this.ticks = Math.floor((raft.electionTicks * 3) / 4);
  }

  giveAway(): void {
    this.#givenAway = true;
  }

  /** A new term begins without a lease. */
  reset(): void {
    this.#givenAway = false;
    for (const progress of this.#raft.tracker.progress.values()) progress.confirmedTick = Number.NEGATIVE_INFINITY;
  }

  /** The follower has answered the heartbeat sent at this tick. */
  confirm(id: number, tick: number): void {
    const progress = this.#raft.tracker.progress.get(id);
    if (progress !== undefined) progress.confirmedTick = Math.max(progress.confirmedTick, tick);
  }

  isValid(): boolean {
    const { tracker, ticks, id, transferee } = this.#raft;
    if (this.#givenAway || transferee !== 0) return false;
    const confirmed = new Set([id]);
    for (const [member, progress] of tracker.progress) {
      if (ticks - progress.confirmedTick < this.ticks) confirmed.add(member);
    }
    return tracker.isQuorum(confirmed);
  }
}
