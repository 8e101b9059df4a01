import {
  type ChangedMembership,
  type ConfigChange,
  ConfigChanger,
  encodeConfigChange,
  leaveJoint,
  restoreMembership,
} from './config-change.ts';
import { campaign, handleVoteRequest, stepCandidate } from './election.ts';
import { followerForward, stepFollower } from './follower.ts';
import { invariant } from './invariant.ts';
import { handOver, stepLeader } from './leader.ts';
import { LeaderLease } from './lease.ts';
import { RaftLog } from './log.ts';
import { type ConfigState, type HardState, type Message, message, transferContext } from './message.ts';
import { isVoter } from './quorum.ts';
import { ReadIndexQueue, type ReadState } from './read-index.ts';
import { abortTransfer, appendEntries, broadcastHeartbeat, maybeCommit, sendAppend } from './replication.ts';
import type { LogStorage } from './storage.ts';
import { Tracker } from './tracker.ts';

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export interface RaftOptions {
  readonly id: number;
  readonly storage: LogStorage;
  /** Ticks without a word from a leader before a member stands for election; each election adds up to as many at random. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** An integer in [0, limit): the only randomness there is. */
  readonly random: (limit: number) => number;
  /** What the state machine has already applied, when a node restarts. */
  readonly applied?: number;
  /** Bytes of entries in one append. */
  readonly maxMessageBytes?: number;
  readonly maxInflightMessages?: number;
  readonly maxInflightBytes?: number;
  /** Bytes of committed entries handed out at once. */
  readonly maxCommittedBytes?: number;
  /** Bytes of proposals a leader takes on before they are committed; further ones are dropped. */
  readonly maxUncommittedBytes?: number;
  /** A leader that does not hear from a quorum steps down, and a member that hears its leader grants no vote. */
  readonly checkQuorum?: boolean;
  /** Ask whether an election could be won before a new term is begun. */
  readonly preVote?: boolean;
  /** How reads are made linearizable: by a round of heartbeats, or by the leader's lease (which trusts the clocks; needs `checkQuorum`). */
  readonly reads?: 'quorum' | 'lease';
  readonly disableProposalForwarding?: boolean;
}

/**
 * Messages that speak of what is on this member's disk: an acknowledgement, a vote, and the request for one, which names the
 * end of the log. (If a candidate could lose that end in a crash, a late vote for it would count for a shorter log.)
 */
const promises: ReadonlySet<string> = new Set(['appendResponse', 'vote', 'voteResponse', 'preVote', 'preVoteResponse']);

/**
 * The consensus state machine of one member. It reads its log from a `LogStorage` and speaks through `outbox` (may be sent at
 * once) and `outboxAfterSync` (only once everything appended so far is on disk); a `RaftNode` drives it.
 */
export class Raft {
  readonly id: number;
  readonly log: RaftLog;
  readonly tracker: Tracker;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly maxMessageBytes: number;
  readonly maxCommittedBytes: number;
  readonly maxUncommittedBytes: number;
  readonly checkQuorum: boolean;
  readonly preVote: boolean;
  readonly reads: 'quorum' | 'lease';
  readonly disableProposalForwarding: boolean;
  readonly #random: (limit: number) => number;

  role: Role = 'follower';
  term: number;
  vote: number;
  leader = 0;
  /** To whom leadership is being handed over; no proposals are taken meanwhile. */
  transferee = 0;
  /** A leader takes no further membership change until this index is applied. */
  pendingConfigIndex = 0;
  uncommittedBytes = 0;
  electionElapsed = 0;
  heartbeatElapsed = 0;
  randomizedElectionTicks = 0;

  /** How often `tick` was called: the leader's clock. */
  ticks = 0;
  readonly lease: LeaderLease;
  readIndex = new ReadIndexQueue();
  readStates: ReadState[] = [];
  /** Reads that came before this leader had committed an entry of its term. */
  earlyReads: Message[] = [];
  outbox: Message[] = [];
  outboxAfterSync: Message[] = [];

  constructor(options: RaftOptions) {
    invariant(options.id > 0, 'a member has an id', { id: options.id });
    invariant(options.heartbeatTicks > 0, 'heartbeats are sent', {});
    invariant(options.electionTicks > options.heartbeatTicks, 'an election takes longer than a heartbeat', {});
    this.id = options.id;
    this.electionTicks = options.electionTicks;
    this.heartbeatTicks = options.heartbeatTicks;
    this.#random = options.random;
    this.maxMessageBytes = options.maxMessageBytes ?? 512 * 1024;
    this.maxCommittedBytes = options.maxCommittedBytes ?? 8 * 1024 * 1024;
    this.maxUncommittedBytes = options.maxUncommittedBytes ?? 256 * 1024 * 1024;
    this.checkQuorum = options.checkQuorum ?? true;
    this.preVote = options.preVote ?? true;
    this.reads = options.reads ?? 'quorum';
    invariant(this.reads === 'quorum' || this.checkQuorum, 'a lease needs the quorum check', {});
    this.disableProposalForwarding = options.disableProposalForwarding ?? false;

    const { hardState, config } = options.storage.initialState();
    this.log = new RaftLog(options.storage);
    this.tracker = new Tracker(options.maxInflightMessages ?? 256, options.maxInflightBytes ?? 64 * 1024 * 1024);
    this.tracker.adopt(...unpack(restoreMembership(this.tracker, config, this.log.lastIndex())));
    this.term = hardState.term;
    this.vote = hardState.vote;
    invariant(
      hardState.commit <= this.log.lastIndex() && (hardState.commit === 0 || hardState.commit >= this.log.committed),
      'what was committed is in the log',
      { commit: hardState.commit, first: this.log.firstIndex(), last: this.log.lastIndex() },
    );
    this.log.commitTo(hardState.commit);
    if (options.applied !== undefined && options.applied > 0) this.log.appliedTo(options.applied);
    this.lease = new LeaderLease(this);
    this.becomeFollower(this.term, 0);
  }

  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  /** Sends at once, unless the message promises something that must be on disk first. */
  send(fields: Partial<Message> & Pick<Message, 'type' | 'to'>): void {
    // Forwarded requests belong to no term; votes carry the term they are for, set by the sender.
    const unbound = fields.type === 'propose' || fields.type === 'readIndex' || fields.type === 'readIndexResponse';
    const ready = message({ ...fields, from: this.id, term: fields.term ?? (unbound ? 0 : this.term) });
    const promise = promises.has(ready.type);
    if (promise) this.outboxAfterSync.push(ready);
    else {
      invariant(ready.to !== this.id, 'a member does not write to itself', { type: ready.type });
      this.outbox.push(ready);
    }
  }

  tick(): void {
    this.ticks++;
    if (this.role === 'leader') this.#tickLeader();
    else {
      this.electionElapsed++;
      if (this.promotable() && this.electionElapsed >= this.randomizedElectionTicks) {
        this.electionElapsed = 0;
        this.hup(this.preVote ? 'preVote' : 'vote');
      }
    }
  }

  #tickLeader(): void {
    this.heartbeatElapsed++;
    this.electionElapsed++;
    if (this.electionElapsed >= this.electionTicks) {
      this.electionElapsed = 0;
      if (this.checkQuorum) this.#verifyQuorum();
      if (this.role !== 'leader') return;
      // A transfer that has not happened within an election timeout will not.
      abortTransfer(this);
    }
    if (this.heartbeatElapsed >= this.heartbeatTicks) {
      this.heartbeatElapsed = 0;
      broadcastHeartbeat(this);
    }
  }

  #verifyQuorum(): void {
    const self = this.tracker.progress.get(this.id);
    if (self !== undefined) self.recentActive = true;
    if (!this.tracker.quorumActive()) {
      this.becomeFollower(this.term, 0);
      return;
    }
    for (const [id, progress] of this.tracker.progress) if (id !== this.id) progress.recentActive = false;
  }

  /** Whether this member may stand for election: a voter that does not wait for a snapshot. */
  promotable(): boolean {
    const progress = this.tracker.progress.get(this.id);
    return progress !== undefined && !progress.isLearner && this.log.unstable.snapshot === undefined;
  }

  /** Whether this member counts in a majority, as far as it knows. */
  isVoter(): boolean {
    return isVoter(this.tracker.membership, this.id);
  }

  /** Stands for election, if it may. */
  hup(kind: 'preVote' | 'vote' | 'transfer'): void {
    if (this.role === 'leader' || !this.promotable()) return;
    // It might be a change that removes this very member, or makes another majority.
    if (this.#hasUnappliedConfigChange()) return;
    campaign(this, kind);
  }

  /**
   * Stands for election though it is no voter (any more), because it had to refuse a voter whose log is behind its own. So it
   * is when a leader has committed its own removal and crashes before anyone has heard of it: the others still need its vote,
   * which it cannot give. It will pass on what it has, and hand over.
   */
  hupAsNonVoter(): void {
    const hearsLeader = this.leader !== 0 && this.electionElapsed < this.electionTicks;
    if (this.role === 'leader' || hearsLeader || this.log.unstable.snapshot !== undefined) return;
    if (this.isVoter() || this.tracker.voters().length === 0 || this.#hasUnappliedConfigChange()) return;
    campaign(this, this.preVote ? 'preVote' : 'vote');
  }

  #hasUnappliedConfigChange(): boolean {
    const { log } = this;
    if (log.applied >= log.committed) return false;
    const first = Math.max(log.applied + 1, log.firstIndex());
    for (let low = first; low <= log.committed; ) {
      const entries = log.slice(low, log.committed + 1, 16 * 1024 * 1024);
      invariant(entries !== undefined, 'entries are not compacted before they are applied', { low });
      if (entries!.some((entry) => entry.type === 'configChange')) return true;
      low += entries!.length;
    }
    return false;
  }

  step(received: Message): void {
    if (received.term > this.term) {
      if (!this.#admitHigherTerm(received)) return;
    } else if (received.term !== 0 && received.term < this.term) {
      this.#answerLowerTerm(received);
      return;
    }
    if (received.type === 'vote' || received.type === 'preVote') handleVoteRequest(this, received);
    else if (this.role === 'leader') stepLeader(this, received);
    else if (this.role === 'follower') stepFollower(this, received);
    else stepCandidate(this, received);
  }

  /** False when the message is to be ignored. */
  #admitHigherTerm(received: Message): boolean {
    const { type } = received;
    if (type === 'vote' || type === 'preVote') {
      const forced = received.context === transferContext;
      // A member that has just started may have heard a leader that still counts on it.
      const mayHaveHeard = this.reads === 'lease' && this.ticks < this.electionTicks;
      const heard = this.leader !== 0 && this.electionElapsed < this.electionTicks;
      const hearsLeader = this.checkQuorum && (heard || mayHaveHeard);
      // Someone cut off from the leader must not unseat it: whoever hears the leader does not listen.
      if (!forced && hearsLeader) return false;
    }
    // A pre-vote changes nobody's term, and its grant carries the term asked about.
    if (type === 'preVote' || (type === 'preVoteResponse' && !received.reject)) return true;
    const fromLeader = type === 'append' || type === 'heartbeat' || type === 'snapshot';
    this.becomeFollower(received.term, fromLeader ? received.from : 0);
    return true;
  }

  #answerLowerTerm(received: Message): void {
    const { type, from } = received;
    if ((this.checkQuorum || this.preVote) && (type === 'heartbeat' || type === 'append')) {
      // This member may have a higher term from an election it lost while cut off; the leader learns of it and begins a
      // term in which both can talk. Without these two features the vote request itself would have told it.
      this.send({ type: 'appendResponse', to: from });
    } else if (type === 'preVote') {
      this.send({ type: 'preVoteResponse', to: from, reject: true });
    }
  }

  /** A request from this member's own user: a proposal or a read. Forwarded when another leads; false when nobody does. */
  request(received: Message): boolean {
    if (this.role === 'leader') {
      stepLeader(this, received);
      return true;
    }
    return this.role === 'follower' && followerForward(this, received);
  }

  becomeFollower(term: number, leader: number): void {
    this.#reset(term);
    this.leader = leader;
    this.role = 'follower';
  }

  becomeCandidate(): void {
    invariant(this.role !== 'leader', 'a leader does not stand for election', { id: this.id });
    this.#reset(this.term + 1);
    this.vote = this.id;
    this.role = 'candidate';
  }

  becomePreCandidate(): void {
    invariant(this.role !== 'leader', 'a leader does not stand for election', { id: this.id });
    // Neither term nor vote changes: this is only a question.
    this.tracker.votes = new Map();
    this.leader = 0;
    this.role = 'preCandidate';
  }

  becomeLeader(): void {
    invariant(this.role === 'candidate', 'only a candidate becomes leader', { role: this.role });
    this.#reset(this.term);
    this.leader = this.id;
    this.role = 'leader';
    const self = this.tracker.progress.get(this.id);
    if (self !== undefined) {
      self.becomeReplicate();
      self.recentActive = true;
    }
    // There may be a change in the log that is not applied; it is cheaper to wait for all of it than to look.
    this.pendingConfigIndex = this.log.lastIndex();
    // Entries of earlier terms are committed along with this one, and reads are answered once it is.
    const took = appendEntries(this, [{ type: 'normal', data: new Uint8Array() }]);
    invariant(took, 'an empty entry is never too much', {});
  }

  #reset(term: number): void {
    if (this.term !== term) {
      invariant(term > this.term, 'terms never go back', { from: this.term, to: term });
      this.term = term;
      this.vote = 0;
    }
    this.leader = 0;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.randomizedElectionTicks = this.electionTicks + this.#random(this.electionTicks);
    this.transferee = 0;
    this.tracker.votes = new Map();
    const last = this.log.lastIndex();
    for (const [id, progress] of this.tracker.progress) {
      progress.match = id === this.id ? last : 0;
      progress.recentActive = false;
      progress.state = 'replicate';
      progress.becomeProbe();
      progress.next = last + 1;
    }
    this.pendingConfigIndex = 0;
    this.uncommittedBytes = 0;
    this.lease.reset();
    this.readIndex = new ReadIndexQueue();
    this.earlyReads = [];
  }

  /** Entries up to `index` are applied. */
  appliedTo(index: number): void {
    this.log.appliedTo(index);
    const { autoLeave } = this.tracker.membership;
    if (autoLeave && this.role === 'leader' && index >= this.pendingConfigIndex) {
      // The joint configuration has done its work. If this cannot be appended now, the next applied entry tries again.
      if (appendEntries(this, [{ type: 'configChange', data: encodeConfigChange(leaveJoint) }])) {
        this.pendingConfigIndex = this.log.lastIndex();
      }
    }
  }

  /** Takes a committed membership change into effect. Throws ConfigChangeError, with nothing changed, when the rules exclude it. */
  applyConfigChange(change: ConfigChange): ConfigState {
    return this.switchTo(new ConfigChanger(this.tracker, this.log.lastIndex()).apply(change));
  }

  switchTo(changed: ChangedMembership): ConfigState {
    this.tracker.adopt(...unpack(changed));
    const config = this.tracker.configState();
    if (this.role !== 'leader' || config.voters.length === 0) return config;
    // A smaller majority may have been reached already.
    if (!maybeCommit(this)) {
      for (const [id] of this.tracker.members()) if (id !== this.id) sendAppend(this, id, false);
    }
    if (this.transferee !== 0 && !config.voters.includes(this.transferee)) abortTransfer(this);
    for (const [id, progress] of this.tracker.members()) handOver(this, id, progress);
    return config;
  }
}

function unpack({
  membership,
  progress,
}: ChangedMembership): [ChangedMembership['membership'], ChangedMembership['progress']] {
  return [membership, progress];
}
