import { Inflights } from './inflights.ts';
import type { ConfigState } from './message.ts';
import { Progress } from './progress.ts';
import { type JointVoters, jointCommitted, jointVote, type VoteResult, voterIds } from './quorum.ts';

/** A membership under which the cluster works. */
export interface Membership extends JointVoters {
  readonly learners: ReadonlySet<number>;
  readonly learnersNext: ReadonlySet<number>;
  readonly autoLeave: boolean;
}

export const emptyMembership: Membership = {
  incoming: new Set(),
  outgoing: new Set(),
  learners: new Set(),
  learnersNext: new Set(),
  autoLeave: false,
};

/** The members, what the leader knows of each, and the votes of the election under way. */
export class Tracker {
  membership: Membership = emptyMembership;
  progress: Map<number, Progress> = new Map();
  votes = new Map<number, boolean>();
  readonly #maxInflightMessages: number;
  readonly #maxInflightBytes: number;

  constructor(maxInflightMessages: number, maxInflightBytes: number) {
    this.#maxInflightMessages = maxInflightMessages;
    this.#maxInflightBytes = maxInflightBytes;
  }

  /** Takes over a membership that has been worked out. */
  adopt(membership: Membership, progress: Map<number, Progress>): void {
    this.membership = membership;
    this.progress = progress;
    for (const [id, each] of progress) each.isLearner = membership.learners.has(id);
  }

  newProgress(match: number, next: number): Progress {
    return new Progress(match, next, new Inflights(this.#maxInflightMessages, this.#maxInflightBytes));
  }

  /** The highest index that is on the disks of a quorum. */
  committed(): number {
    return jointCommitted(this.membership, (id) => this.progress.get(id)?.match ?? 0);
  }

  recordVote(id: number, granted: boolean): void {
    if (!this.votes.has(id)) this.votes.set(id, granted);
  }

  tally(): VoteResult {
    return jointVote(this.membership, (id) => this.votes.get(id));
  }

  /** Whether these members are a quorum. */
  isQuorum(ids: ReadonlySet<number>): boolean {
    return jointVote(this.membership, (id) => (ids.has(id) ? true : undefined)) === 'won';
  }

  quorumActive(): boolean {
    return jointVote(this.membership, (id) => this.progress.get(id)?.recentActive === true) === 'won';
  }

  isSingleton(): boolean {
    return this.membership.incoming.size === 1 && this.membership.outgoing.size === 0;
  }

  isJoint(): boolean {
    return this.membership.outgoing.size > 0;
  }

  voters(): number[] {
    return voterIds(this.membership);
  }

  /** All members in the order of their ids, so that what is sent is sent in the same order every time. */
  members(): [number, Progress][] {
    return [...this.progress].sort(([a], [b]) => a - b);
  }

  configState(): ConfigState {
    const sorted = (ids: ReadonlySet<number>) => [...ids].sort((a, b) => a - b);
    const { incoming, outgoing, learners, learnersNext, autoLeave } = this.membership;
    return {
      voters: sorted(incoming),
      votersOutgoing: sorted(outgoing),
      learners: sorted(learners),
      learnersNext: sorted(learnersNext),
      autoLeave,
    };
  }
}
