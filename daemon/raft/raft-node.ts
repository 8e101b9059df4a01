import { type ConfigChange, decodeConfigChange, encodeConfigChange } from './config-change.ts';
import { invariant } from './invariant.ts';
import { handleSnapshotStatus, handleUnreachable, leaderPropose, type ProposalRefusal } from './leader.ts';
import { type ConfigState, type Entry, type HardState, type Message, message, type Snapshot } from './message.ts';
import { Raft, type RaftOptions, type Role } from './raft.ts';
import type { ReadState } from './read-index.ts';
import { type Proposal, reduceUncommitted } from './replication.ts';

export interface SoftState {
  readonly leader: number;
  readonly role: Role;
}

/** What is to be done now. Nothing in it may be left out, and the next one comes only after `advance`. */
export interface Ready {
  /** Who leads and what this member is; undefined when that has not changed. */
  readonly softState: SoftState | undefined;
  /** To be on disk along with `entries`; undefined when it has not changed. */
  readonly hardState: HardState | undefined;
  /** To be appended to the log on disk, replacing what stands at the same indexes or after them. */
  readonly entries: readonly Entry[];
  /** To replace the log and the state machine, before anything else of this Ready. */
  readonly snapshot: Snapshot | undefined;
  /** On disk and committed: to be applied, in order. */
  readonly committed: readonly Entry[];
  /** May be sent at once, while the disk is still at work. */
  readonly messages: readonly Message[];
  /** To be sent only once `snapshot`, `hardState` and `entries` are on disk. */
  readonly messagesAfterSync: readonly Message[];
  /** Reads that may be answered once their index is applied. */
  readonly readStates: readonly ReadState[];
  /** Whether the disk must have it before `messagesAfterSync` and `advance`; a mere change of the commit index may be lost. */
  readonly mustSync: boolean;
}

/** What need not wait while a Ready is being written: see `early`. */
export interface EarlyReady {
  readonly committed: readonly Entry[];
  readonly messages: readonly Message[];
  readonly readStates: readonly ReadState[];
}

const nobody: SoftState = { leader: 0, role: 'follower' };

/**
 * One member, driven from outside: feed it `step`, `tick` and `propose`; whenever `hasReady()`, take `ready()`, do what it
 * says, and call `advance()`. Other calls may come between the two. Committed entries are reported with `applied` as soon as
 * they are applied.
 */
export class RaftNode {
  readonly raft: Raft;
  #softState: SoftState = nobody;
  #hardState: HardState;
  #outstanding: Ready | undefined;

  constructor(options: RaftOptions) {
    this.raft = new Raft(options);
    this.#hardState = this.raft.hardState();
  }

  get softState(): SoftState {
    return { leader: this.raft.leader, role: this.raft.role };
  }

  tick(): void {
    this.raft.tick();
  }

  /** A message from another member. */
  step(received: Message): void {
    // One that is not a member any more is not listened to, save where it may know better.
    const response = received.type.endsWith('Response');
    if (response && received.from !== this.raft.id && !this.raft.tracker.progress.has(received.from)) {
      if (received.type !== 'readIndexResponse') return;
    }
    this.raft.step(received);
  }

  /** Stands for election at once. */
  campaign(): void {
    this.raft.hup(this.raft.preVote ? 'preVote' : 'vote');
  }

  /** Proposes entries, together; undefined when they are taken (or forwarded), which is no promise that they will be committed. */
  propose(datas: readonly Uint8Array[]): ProposalRefusal | undefined {
    return this.#propose(datas.map((data) => ({ type: 'normal', data })));
  }

  proposeConfigChange(change: ConfigChange): ProposalRefusal | undefined {
    return this.#propose([{ type: 'configChange', data: encodeConfigChange(change) }]);
  }

  #propose(proposals: readonly Proposal[]): ProposalRefusal | undefined {
    const entries = proposals.map(({ type, data }) => ({ term: 0, index: 0, type, data }));
    const request = message({ type: 'propose', from: this.raft.id, entries });
    if (this.raft.role === 'leader') return leaderPropose(this.raft, request);
    return this.raft.request(request) ? undefined : 'no_leader';
  }

  /** Asks for an index to read at, which comes as a `ReadState` with this context; false when nobody leads. */
  readIndex(context: string): boolean {
    return this.raft.request(message({ type: 'readIndex', context, from: this.raft.id }));
  }

  transferLeadership(to: number): boolean {
    return this.raft.request(message({ type: 'transferLeader', from: to, term: this.raft.term }));
  }

  /** A committed change takes effect. Throws ConfigChangeError, with nothing changed, when the rules exclude it. */
  applyConfigChange(entry: Entry): ConfigState {
    return this.raft.applyConfigChange(decodeConfigChange(entry.data));
  }

  reportUnreachable(id: number): void {
    handleUnreachable(this.raft, id);
  }

  reportSnapshot(id: number, delivered: boolean): void {
    handleSnapshotStatus(this.raft, id, delivered);
  }

  hasReady(): boolean {
    const { raft } = this;
    if (this.#outstanding !== undefined) return false;
    return (
      raft.outbox.length > 0 ||
      raft.outboxAfterSync.length > 0 ||
      raft.log.unstable.entries.length > 0 ||
      raft.log.unstable.snapshot !== undefined ||
      raft.readStates.length > 0 ||
      raft.log.hasNextCommitted() ||
      raft.log.committed !== this.#hardState.commit ||
      raft.term !== this.#hardState.term ||
      raft.vote !== this.#hardState.vote ||
      raft.leader !== this.#softState.leader ||
      raft.role !== this.#softState.role
    );
  }

  ready(): Ready {
    invariant(this.#outstanding === undefined, 'a Ready is taken only after the one before is done', {});
    const { raft } = this;
    const hardState = raft.hardState();
    const before = this.#hardState;
    const changed =
      hardState.term !== before.term || hardState.vote !== before.vote || hardState.commit !== before.commit;
    const soft = this.softState;
    const softChanged = soft.leader !== this.#softState.leader || soft.role !== this.#softState.role;
    const entries = raft.log.unstable.entries.slice();
    const snapshot = raft.log.unstable.snapshot;
    const ready: Ready = {
      softState: softChanged ? soft : undefined,
      hardState: changed ? hardState : undefined,
      entries,
      snapshot,
      committed: raft.log.nextCommitted(raft.maxCommittedBytes),
      messages: raft.outbox,
      messagesAfterSync: raft.outboxAfterSync.filter((each) => each.to !== raft.id),
      readStates: raft.readStates,
      mustSync:
        entries.length > 0 ||
        snapshot !== undefined ||
        hardState.term !== before.term ||
        hardState.vote !== before.vote,
    };
    this.#toSelf = raft.outboxAfterSync.filter((each) => each.to === raft.id);
    raft.outbox = [];
    raft.outboxAfterSync = [];
    raft.readStates = [];
    this.#softState = soft;
    this.#hardState = hardState;
    this.#outstanding = ready;
    return ready;
  }

  /**
   * What has come up while the Ready last taken is still being written, and does not depend on that: entries that are on disk
   * and committed, and messages that promise nothing.
   */
  early(): EarlyReady | undefined {
    const { raft } = this;
    if (this.#outstanding === undefined) return undefined;
    if (raft.outbox.length === 0 && raft.readStates.length === 0 && !raft.log.hasNextCommitted()) return undefined;
    const early: EarlyReady = {
      committed: raft.log.nextCommitted(raft.maxCommittedBytes),
      messages: raft.outbox,
      readStates: raft.readStates,
    };
    raft.outbox = [];
    raft.readStates = [];
    return early;
  }

  /** The entries handed out are applied. */
  applied(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    reduceUncommitted(this.raft, entries);
    this.raft.appliedTo(last.index);
  }

  #toSelf: readonly Message[] = [];

  /** The Ready last taken is done: written and sent. Its committed entries have been applied, and reported. */
  advance(): void {
    const done = this.#outstanding;
    invariant(done !== undefined, 'only a Ready that was taken is done', {});
    this.#outstanding = undefined;
    const { raft } = this;
    if (done!.snapshot !== undefined) {
      const { index } = done!.snapshot.metadata;
      raft.log.unstable.snapshotStableTo(index);
      if (index > raft.log.applied) raft.appliedTo(index);
    }
    const unapplied = done!.committed.at(-1);
    invariant(
      unapplied === undefined || raft.log.applied >= unapplied.index,
      'committed entries are applied first',
      {},
    );
    const last = done!.entries.at(-1);
    if (last !== undefined) raft.log.unstable.stableTo(last.index, last.term);
    const toSelf = this.#toSelf;
    this.#toSelf = [];
    // A message to itself of a term that has passed meanwhile is dropped by the ordinary rules.
    for (const own of toSelf) raft.step(own);
  }
}
