import { randomInt } from 'node:crypto';
import { type ConfigChange, ConfigChangeError, decodeConfigChange, encodeConfigChange } from './config-change.ts';
import { type DiskEntry, DiskLog, type DiskLogReader, toDisk } from './disk-log.ts';
import { hasCommittedInTerm } from './leader-reads.ts';
import { type ConfigState, type Entry, emptyConfig, type HardState, type Message } from './message.ts';
import type { Role } from './raft.ts';
import { RaftNode, type Ready } from './raft-node.ts';
import type { PeerHandler, PeerTransport, ReceivedSnapshot } from './transport.ts';

/** The disk and the replicated state machine, as the driver needs them. */
export interface ReplicaDisk extends DiskLogReader {
  logState(): {
    readonly firstIndex: number;
    readonly lastIndex: number;
    readonly compactedIndex: number;
    readonly compactedTerm: number;
    readonly hardState: { readonly term: number; readonly vote: bigint; readonly commit: number };
  };
  state(): { readonly appliedIndex: number; readonly appliedTerm: number };
  /** Resolves once it is on disk; calls take effect in order. Rejects when the disk has failed. */
  appendLog(entries: readonly DiskEntry[], hardState?: { term: number; vote: bigint; commit: number }): Promise<void>;
  compactLog(index: number): void;
  /** Applies in order, atomically with the records in `meta`; gives the results back packed. */
  applyPacked(
    entries: readonly DiskEntry[],
    options: { raftTerm: number; meta?: readonly { key: string; value?: Uint8Array }[] },
  ): ArrayBuffer;
  getMeta(key: string): Buffer | undefined;
}

/** How a member stands; given to the outside on every change. */
export interface MemberState {
  readonly role: Role;
  readonly leader: number;
  readonly term: number;
  readonly config: ConfigState;
  /** It leads, and has committed an entry of its own term: what it has applied is all there is. */
  readonly leading: boolean;
}

export interface DriverOptions {
  readonly id: number;
  readonly disk: ReplicaDisk;
  readonly transport?: PeerTransport;
  /** Milliseconds between heartbeats: one tick. */
  readonly heartbeatInterval: number;
  /** Milliseconds without a leader before an election. */
  readonly electionTimeout: number;
  readonly reads?: 'quorum' | 'lease';
  /** Entries kept on disk for followers that are behind, once they are applied. */
  readonly keepEntries: number;
  /** Results of applied commands, packed as the disk gave them. */
  onApplied(results: ArrayBuffer): void;
  /** Linearizable reads asked for with these numbers may be answered from the local state now. */
  onReadable(reads: readonly number[]): void;
  onState(state: MemberState): void;
  /** A membership change was applied; `records` of `describeChange` are already on disk. */
  onConfig(config: ConfigState): void;
  /** Records to be written with a membership change that takes effect. */
  describeChange(change: ConfigChange): readonly { key: string; value?: Uint8Array }[];
  /** Nothing can be done any more: the disk failed, or an invariant is broken. */
  onFatal(error: unknown): void;
}

/** Where the driver keeps the membership, beside the state machine's own records. */
export const configKey = 'raft/config';

/** Milliseconds after which a read whose confirmation may have been lost is asked for again. */
const readRetry = 500;
/** Milliseconds a proposal or a read waits for a leader before it is given up: whoever asked has given up by then. */
const patience = 7_000;
/** Entries applied beyond `keepEntries` before the log is cut. */
const compactionSlack = 4;

interface ParkedProposals {
  readonly since: number;
  readonly datas: readonly Uint8Array[];
}

interface WaitingRead {
  readonly read: number;
  readonly since: number;
}

interface ReadRound {
  readonly reads: readonly WaitingRead[];
  readonly asked: number;
  index: number | undefined;
}

interface WaitingChange {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Runs one member on a real disk, network and clock. One write to disk is under way at a time, and whatever arrives meanwhile
 * goes into the next: the busier the member, the larger its batches.
 */
export class RaftDriver implements PeerHandler {
  readonly node: RaftNode;
  readonly #options: DriverOptions;
  readonly #log: DiskLog;
  #config: ConfigState;
  #applied: number;
  #appliedTerm: number;
  #state: MemberState | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastTick: number;
  #stopped = false;
  #writing: Promise<void> = Promise.resolve();
  #parked: ParkedProposals[] = [];
  #waitingReads: WaitingRead[] = [];
  #rounds = new Map<string, ReadRound>();
  #roundCount = 0;
  #waitingChanges = new Map<string, WaitingChange>();
  #arrivedSnapshot: { readonly index: number; readonly snapshot: ReceivedSnapshot } | undefined;

  constructor(options: DriverOptions) {
    this.#options = options;
    const { disk } = options;
    const log = disk.logState();
    const state = disk.state();
    const stored = disk.getMeta(configKey);
    this.#config = stored === undefined ? emptyConfig : (JSON.parse(stored.toString()) as ConfigState);
    this.#applied = state.appliedIndex;
    this.#appliedTerm = state.appliedTerm;
    const hardState: HardState = {
      term: log.hardState.term,
      vote: Number(log.hardState.vote),
      // What was applied was committed, even if that had not been written down.
      commit: Math.max(log.hardState.commit, state.appliedIndex),
    };
    const lastTerm =
      log.lastIndex === log.compactedIndex ? log.compactedTerm : (disk.logTerm(log.lastIndex) ?? log.compactedTerm);
    this.#log = new DiskLog(
      disk,
      { firstIndex: log.firstIndex, lastIndex: log.lastIndex, lastTerm, hardState, config: this.#config },
      () => ({
        // The transport sends the state as it is then, and says so in the message.
        metadata: { index: this.#applied, term: this.#appliedTerm, config: this.#config },
        data: new Uint8Array(),
      }),
    );
    this.node = new RaftNode({
      id: options.id,
      storage: this.#log,
      electionTicks: Math.max(2, Math.round(options.electionTimeout / options.heartbeatInterval)),
      heartbeatTicks: 1,
      random: (limit) => randomInt(limit),
      applied: this.#applied,
      ...(options.reads === undefined ? {} : { reads: options.reads }),
    });
    this.#lastTick = performance.now();
  }

  /** Begins to take part. */
  start(): void {
    this.#timer = setInterval(() => this.#guarded(() => this.#tick()), this.#options.heartbeatInterval);
    this.#guarded(() => this.#pump());
    this.#campaignIfAlone();
  }

  /** Takes no further part; resolves when nothing is being written any more. A leader hands over first, if there is to whom. */
  async stop(): Promise<void> {
    if (!this.#stopped) await this.#handOver();
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#writing.catch(() => {
      // Reported when it happened.
    });
  }

  async #handOver(): Promise<void> {
    const { raft } = this.node;
    if (raft.role !== 'leader') return;
    const candidates = raft.tracker
      .members()
      .filter(([id, progress]) => id !== raft.id && progress.recentActive && this.#config.voters.includes(id))
      .sort(([, a], [, b]) => b.match - a.match);
    const successor = candidates[0]?.[0];
    if (successor === undefined) return;
    this.transferLeadership(successor);
    const limit = performance.now() + this.#options.electionTimeout;
    while (raft.role === 'leader' && performance.now() < limit) {
      await new Promise((resolve) => setTimeout(resolve, this.#options.heartbeatInterval / 2));
    }
  }

  get config(): ConfigState {
    return this.#config;
  }

  get appliedIndex(): number {
    return this.#applied;
  }

  get appliedTerm(): number {
    return this.#appliedTerm;
  }

  /** Nobody else could be elected, so there is nothing to wait for. */
  #campaignIfAlone(): void {
    const { voters, votersOutgoing } = this.#config;
    if (voters.length === 1 && voters[0] === this.#options.id && votersOutgoing.length === 0) {
      this.#guarded(() => {
        this.node.campaign();
        this.#pump();
      });
    }
  }

  /** Proposes commands; those that nobody can take now wait for a leader for a while. */
  propose(datas: readonly Uint8Array[]): void {
    this.#guarded(() => {
      if (this.node.propose(datas) !== undefined) this.#parked.push({ since: performance.now(), datas });
      this.#pump();
    });
  }

  /** Resolves when the change has taken effect here. `id` is unique; it finds the change in the log. */
  changeMembers(id: string, change: Omit<ConfigChange, 'context'>, context: unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waitingChanges.set(id, { resolve, reject });
      const refusal = this.node.proposeConfigChange({ ...change, context: JSON.stringify({ id, context }) });
      if (refusal !== undefined) {
        this.#waitingChanges.delete(id);
        reject(new ConfigChangeError(refusal));
        return;
      }
      this.#guarded(() => this.#pump());
    });
  }

  /** Whether this member leads and that one's log is close enough to its own for it to count in a majority, as etcd judges a learner. */
  isCaughtUp(id: number): boolean {
    const { raft } = this.node;
    const progress = raft.tracker.progress.get(id);
    return raft.role === 'leader' && progress !== undefined && progress.match >= raft.log.committed * 0.9;
  }

  transferLeadership(to: number): void {
    this.#guarded(() => {
      this.node.transferLeadership(to);
      this.#pump();
    });
  }

  /** Asks for linearizable reads; each number comes back through `onReadable`. */
  read(reads: readonly number[]): void {
    this.#guarded(() => {
      const since = performance.now();
      for (const read of reads) this.#waitingReads.push({ read, since });
      this.#beginRound();
      this.#pump();
    });
  }

  receive(message: Message): void {
    this.#guarded(() => {
      this.node.step(message);
      this.#pump();
    });
  }

  async receiveSnapshot(message: Message, snapshot: ReceivedSnapshot): Promise<void> {
    if (this.#stopped || message.snapshot === undefined || this.#arrivedSnapshot !== undefined) {
      snapshot.discard();
      return;
    }
    // Nothing else may be under way on the disk when the state is replaced.
    const { index } = message.snapshot.metadata;
    this.#arrivedSnapshot = { index, snapshot };
    this.receive(message);
    const wanted = this.node.raft.log.unstable.snapshot?.metadata.index === index;
    if (!wanted) {
      this.#arrivedSnapshot = undefined;
      snapshot.discard();
    }
  }

  unreachable(id: number): void {
    this.#guarded(() => {
      this.node.reportUnreachable(id);
      this.#pump();
    });
  }

  snapshotSent(id: number, delivered: boolean): void {
    this.#guarded(() => {
      this.node.reportSnapshot(id, delivered);
      this.#pump();
    });
  }

  #guarded(run: () => void): void {
    if (this.#stopped) return;
    try {
      run();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#options.onFatal(error);
  }

  #tick(): void {
    // The timer may be late; the clock that elections depend on is not.
    const { heartbeatInterval } = this.#options;
    const now = performance.now();
    let ticks = Math.floor((now - this.#lastTick) / heartbeatInterval + 0.25);
    this.#lastTick += ticks * heartbeatInterval;
    // After a long pause of the whole process, a few ticks say as much as hundreds.
    ticks = Math.min(ticks, this.node.raft.electionTicks - 1);
    for (let tick = 0; tick < ticks; tick++) this.node.tick();
    this.#retry(now);
    this.#pump();
  }

  #retry(now: number): void {
    this.#proposeParked(now);
    for (const [context, round] of this.#rounds) {
      if (round.index !== undefined || now - round.asked < readRetry) continue;
      this.#rounds.delete(context);
      for (const read of round.reads) this.#waitingReads.push(read);
    }
    if (this.#waitingReads.some(({ since }) => now - since > patience)) {
      this.#waitingReads = this.#waitingReads.filter(({ since }) => now - since <= patience);
    }
    this.#beginRound();
  }

  #proposeParked(now: number): void {
    if (this.#parked.length === 0 || this.node.raft.leader === 0) return;
    const parked = this.#parked;
    this.#parked = [];
    for (const each of parked) {
      if (now - each.since > patience) continue;
      if (this.node.propose(each.datas) !== undefined) this.#parked.push(each);
    }
  }

  /** One round of confirmation serves all the reads that wait for it to begin. */
  #beginRound(): void {
    if (this.#waitingReads.length === 0) return;
    const context = `${this.#options.id}.${this.#roundCount++}`;
    if (!this.node.readIndex(context)) return;
    this.#rounds.set(context, { reads: this.#waitingReads, asked: performance.now(), index: undefined });
    this.#waitingReads = [];
  }

  #pump(): void {
    for (let early = this.node.early(); early !== undefined && !this.#stopped; early = this.node.early()) {
      this.#options.transport?.send(early.messages);
      this.#confirmReads(early.readStates);
      this.#apply(early.committed);
    }
    while (!this.#stopped && this.node.hasReady()) {
      const ready = this.node.ready();
      this.#options.transport?.send(ready.messages);
      this.#confirmReads(ready.readStates);
      if (ready.snapshot !== undefined) {
        this.#writing = this.#install(ready);
        return;
      }
      if (!ready.mustSync) {
        this.#apply(ready.committed);
        this.#finish(ready);
        continue;
      }
      const { term, vote, commit } = ready.hardState ?? this.node.raft.hardState();
      const written = this.#options.disk.appendLog(toDisk(ready.entries), { term, vote: BigInt(vote), commit });
      this.#writing = written.then(
        () => {
          this.#guarded(() => {
            this.#finish(ready);
            this.#pump();
          });
        },
        (error: unknown) => this.#fail(error),
      );
      // The disk is at work; what is committed already need not wait for it.
      this.#apply(ready.committed);
      return;
    }
    this.#tellState();
  }

  async #install(ready: Ready): Promise<void> {
    try {
      const { index, term, config } = ready.snapshot!.metadata;
      const arrived = this.#arrivedSnapshot;
      this.#arrivedSnapshot = undefined;
      if (arrived === undefined || arrived.index !== index)
        throw new Error(`the state of snapshot ${index} is missing`);
      const hardState = ready.hardState ?? this.node.raft.hardState();
      await arrived.snapshot.install(hardState);
      this.#log.restarted(index, term);
      this.#applied = index;
      this.#appliedTerm = term;
      this.#config = config;
      if (ready.entries.length > 0) {
        await this.#options.disk.appendLog(toDisk(ready.entries), {
          term: hardState.term,
          vote: BigInt(hardState.vote),
          commit: hardState.commit,
        });
      }
      this.#guarded(() => {
        this.#options.onConfig(config);
        this.#finish(ready);
        this.#pump();
      });
    } catch (error) {
      this.#fail(error);
    }
  }

  #finish(ready: Ready): void {
    this.#log.append(ready.entries);
    this.#options.transport?.send(ready.messagesAfterSync);
    this.node.advance();
    this.#answerReads();
    this.#compact();
    if (ready.softState !== undefined) this.#retry(performance.now());
    this.#tellState();
  }

  #apply(entries: readonly Entry[]): void {
    let start = 0;
    for (let position = 0; position < entries.length; position++) {
      if (entries[position]!.type !== 'configChange') continue;
      this.#applyCommands(entries.slice(start, position));
      this.#applyConfigChange(entries[position]!);
      start = position + 1;
    }
    this.#applyCommands(start === 0 ? entries : entries.slice(start));
    if (entries.length === 0) return;
    this.node.applied(entries);
    this.#answerReads();
  }

  #applyCommands(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    const results = this.#options.disk.applyPacked(toDisk(entries), { raftTerm: this.node.raft.term });
    this.#applied = last.index;
    this.#appliedTerm = last.term;
    if (results.byteLength > 0) this.#options.onApplied(results);
  }

  #applyConfigChange(entry: Entry): void {
    const change = decodeConfigChange(entry.data);
    const { id } = change.context === '' ? { id: undefined } : (JSON.parse(change.context) as { id?: string });
    const waiting = id === undefined ? undefined : this.#waitingChanges.get(id);
    if (id !== undefined) this.#waitingChanges.delete(id);
    let records: readonly { key: string; value?: Uint8Array }[] = [];
    let refused: unknown;
    try {
      this.#config = this.node.applyConfigChange(entry);
      records = [
        ...this.#options.describeChange(change),
        { key: configKey, value: Buffer.from(JSON.stringify(this.#config)) },
      ];
    } catch (error) {
      // Excluded by the rules, as every member finds: it changes nothing anywhere.
      if (!(error instanceof ConfigChangeError)) throw error;
      refused = error;
    }
    this.#options.disk.applyPacked(toDisk([entry]), { raftTerm: this.node.raft.term, meta: records });
    this.#applied = entry.index;
    this.#appliedTerm = entry.term;
    if (refused !== undefined) waiting?.reject(refused);
    else {
      this.#options.onConfig(this.#config);
      waiting?.resolve();
    }
  }

  #confirmReads(readStates: Ready['readStates']): void {
    if (readStates.length === 0) return;
    for (const { index, context } of readStates) {
      const round = this.#rounds.get(context);
      if (round !== undefined) round.index = index;
    }
    this.#answerReads();
  }

  #answerReads(): void {
    for (const [context, { index, reads }] of this.#rounds) {
      if (index === undefined || index > this.#applied) continue;
      this.#rounds.delete(context);
      this.#options.onReadable(reads.map(({ read }) => read));
    }
  }

  /** Cuts the log behind what is applied, leaving enough for followers a little behind. */
  #compact(): void {
    const { keepEntries, disk } = this.#options;
    if (this.#applied - this.#log.firstIndex() < keepEntries * compactionSlack) return;
    const index = Math.min(this.#applied, this.node.raft.log.applied) - keepEntries;
    if (index < this.#log.firstIndex()) return;
    disk.compactLog(index);
    this.#log.compacted(index);
  }

  #tellState(): void {
    const { raft } = this.node;
    const leading = raft.role === 'leader' && hasCommittedInTerm(raft) && this.#applied >= raft.log.committed;
    const before = this.#state;
    const same =
      before !== undefined &&
      before.role === raft.role &&
      before.leader === raft.leader &&
      before.term === raft.term &&
      before.config === this.#config &&
      // Once reached in a term it stays: entries on their way to being applied do not undo it.
      (before.leading || !leading);
    if (same) return;
    const kept = before?.leading === true && before.term === raft.term && raft.role === 'leader';
    this.#state = {
      role: raft.role,
      leader: raft.leader,
      term: raft.term,
      config: this.#config,
      leading: leading || kept,
    };
    this.#options.onState(this.#state);
  }
}

/** The first entries of a new cluster, the same on each of its members: each is added in turn, in the order of the ids. */
export function bootstrapEntries(members: readonly { readonly id: number; readonly context: unknown }[]): DiskEntry[] {
  return [...members]
    .sort((a, b) => a.id - b.id)
    .map(({ id, context }, position) => ({
      index: position + 1,
      term: 1,
      type: 1,
      data: encodeConfigChange({
        transition: 'auto',
        steps: [{ type: 'addVoter', id }],
        context: JSON.stringify({ context }),
      }),
    }));
}
