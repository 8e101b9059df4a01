import { type ConfigChange, ConfigChangeError, encodeConfigChange } from '../../daemon/raft/config-change.ts';
import { type ConfigState, type Entry, emptyConfig, type Message, type Snapshot } from '../../daemon/raft/message.ts';
import { RaftNode, type Ready } from '../../daemon/raft/raft-node.ts';
import { MemoryStorage } from '../../daemon/raft/storage.ts';
import type { Clock } from './clock.ts';
import { Disk } from './disk.ts';
import type { Invariants } from './invariants.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import { type Command, decodeCommand, encodeCommand, StateMachine } from './state-machine.ts';
import type { Variant } from './variants.ts';

export const electionTicks = 10;
const tickMilliseconds = 30;

export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly invariants: Invariants;
  readonly variant: Variant | undefined;
  readonly reads: 'quorum' | 'lease';
  readonly preVote: boolean;
  /** Chance that an fsync fails. */
  diskErrors: number;
  /** Milliseconds an fsync takes at most. */
  diskLatency: number;
  /** Bytes of entries in one message; 1: one entry at a time. */
  readonly messageBytes: number;
  /** A member has just been elected. */
  elected(member: Member): void;
}

interface PendingRead {
  readonly index: number;
  readonly context: string;
}

/** One member: the state machine under test, driven as the real driver drives it, on a simulated disk, clock and network. */
export class Member {
  readonly id: number;
  readonly disk = new Disk();
  node: RaftNode | undefined;
  config: ConfigState = emptyConfig;
  applied = 0;
  readonly #around: Surroundings;
  #storage = new MemoryStorage();
  #machine = new StateMachine();
  #appliedTerm = 0;
  #incarnation = 0;
  #waitingWrites = new Map<number, (applied: boolean) => void>();
  #waitingReads = new Map<string, { readonly key: string; readonly answer: (value: number) => void }>();
  #confirmedReads: PendingRead[] = [];
  #readCount = 0;

  constructor(id: number, around: Surroundings) {
    this.id = id;
    this.#around = around;
  }

  /** Gives a member of a new cluster its first entries: the members, each added in turn. */
  bootstrap(ids: readonly number[]): void {
    const entries = ids.map((id, position): Entry => {
      const change: ConfigChange = { transition: 'auto', steps: [{ type: 'addVoter', id }], context: '' };
      return { term: 1, index: position + 1, type: 'configChange', data: encodeConfigChange(change) };
    });
    this.disk.write({ kind: 'log', entries, hardState: { term: 1, vote: 0, commit: ids.length } });
    this.disk.sync(this.disk.unsynced);
  }

  start(): void {
    const { image } = this.disk;
    this.#incarnation++;
    this.#machine = image.machine.clone();
    this.applied = image.applied;
    this.#appliedTerm = image.appliedTerm;
    this.config = image.config;
    this.#storage = new MemoryStorage(() => this.#snapshot());
    if (image.compactedIndex > 0) {
      const metadata = { index: image.compactedIndex, term: image.compactedTerm, config: image.config };
      this.#storage.applySnapshot({ metadata, data: new Uint8Array() });
    }
    this.#storage.append(image.entries);
    // What was applied was committed, even if that was not on disk yet.
    this.#storage.setHardState({ ...image.hardState, commit: Math.max(image.hardState.commit, image.applied) });
    this.#storage.setConfig(image.config);
    this.node = new RaftNode({
      id: this.id,
      storage: this.#storage,
      electionTicks,
      heartbeatTicks: 1,
      random: (limit) => this.#around.random.below(limit),
      applied: image.applied,
      maxInflightMessages: 8,
      maxMessageBytes: this.#around.messageBytes,
      maxCommittedBytes: 2000,
      reads: this.#around.reads,
      preVote: this.#around.preVote,
    });
    this.#around.variant?.breakNode?.(this.node);
    // Clocks run apart by up to a tenth.
    this.#tick(tickMilliseconds * (0.95 + this.#around.random.below(100) / 1000), this.#incarnation);
    this.#pump();
  }

  crash(): void {
    if (this.node === undefined) return;
    this.node = undefined;
    this.#incarnation++;
    this.disk.crash(this.#around.random);
    this.#waitingWrites = new Map();
    this.#waitingReads = new Map();
    this.#confirmedReads = [];
  }

  #tick(period: number, incarnation: number): void {
    this.#around.clock.after(period, () => {
      if (incarnation !== this.#incarnation) return;
      this.node!.tick();
      this.#pump();
      this.#tick(period, incarnation);
    });
  }

  receive(message: Message): void {
    if (this.node === undefined) return;
    this.node.step(message);
    this.#pump();
  }

  /** Proposes here; `answer` is called when it is applied here. False when it was refused. */
  propose(command: Command, answer: (applied: boolean) => void): boolean {
    if (this.node === undefined || this.node.propose([encodeCommand(command)]) !== undefined) return false;
    this.#waitingWrites.set(command.operation, answer);
    this.#pump();
    return true;
  }

  read(key: string, answer: (value: number) => void): boolean {
    if (this.node === undefined) return false;
    if (this.#around.variant?.readLocally) {
      answer(this.#machine.read(key));
      return true;
    }
    const context = `${this.id}.${this.#incarnation}.${this.#readCount++}`;
    this.#waitingReads.set(context, { key, answer });
    this.node.readIndex(context);
    this.#pump();
    return true;
  }

  changeMembers(change: ConfigChange): void {
    if (this.node?.raft.role !== 'leader') return;
    this.node.proposeConfigChange(change);
    this.#pump();
  }

  transferLeadership(to: number): void {
    if (this.node?.raft.role !== 'leader') return;
    this.node.transferLeadership(to);
    this.#pump();
  }

  compact(): void {
    const keep = 3;
    if (this.node === undefined || this.applied - this.#storage.firstIndex() < keep) return;
    const index = Math.min(this.applied, this.node.raft.log.applied) - keep;
    if (index < this.#storage.firstIndex()) return;
    this.#storage.compact(index);
    this.disk.write({ kind: 'compact', index });
  }

  #snapshot(): Snapshot | undefined {
    if (this.applied === 0) return undefined;
    const metadata = { index: this.applied, term: this.#appliedTerm, config: this.config };
    return { metadata, data: this.#machine.encode() };
  }

  #pump(): void {
    for (let early = this.node?.early(); early !== undefined; early = this.node?.early()) {
      this.#send(early.messages);
      this.#apply(early.committed);
      this.#confirmedReads.push(...early.readStates);
      this.#answerReads();
    }
    while (this.node?.hasReady()) {
      const ready = this.node.ready();
      if (this.node.raft.role === 'leader') this.#around.invariants.leads(this.id, this.node);
      if (ready.softState?.role === 'leader') this.#around.elected(this);
      this.#send(ready.messages);
      if (this.#around.variant?.answerBeforeSync) this.#send(ready.messagesAfterSync);
      const hardState =
        ready.hardState && this.#around.variant?.forgetVote ? { ...ready.hardState, vote: 0 } : ready.hardState;
      if (ready.snapshot !== undefined) this.disk.write({ kind: 'install', snapshot: ready.snapshot, hardState });
      this.disk.write({ kind: 'log', entries: ready.entries, hardState });
      // Committed entries are on disk already, so they need not wait for this write.
      this.#apply(ready.committed);
      if (!ready.mustSync) {
        this.#finish(ready);
        continue;
      }
      this.#sync(ready);
      return;
    }
  }

  #sync(ready: Ready): void {
    const { clock, random, variant } = this.#around;
    const incarnation = this.#incarnation;
    const covered = this.disk.unsynced;
    clock.after(random.between(1, this.#around.diskLatency), () => {
      if (incarnation !== this.#incarnation) return;
      if (random.chance(this.#around.diskErrors)) {
        // What an fsync that failed has written, nobody knows: the member stops.
        this.crash();
        return;
      }
      if (!variant?.skipSync) this.disk.sync(covered);
      this.#finish(ready);
      this.#pump();
    });
  }

  #finish(ready: Ready): void {
    if (ready.snapshot !== undefined) {
      const { index, term, config } = ready.snapshot.metadata;
      this.#storage.applySnapshot(ready.snapshot);
      this.#machine = StateMachine.decode(ready.snapshot.data);
      this.applied = index;
      this.#appliedTerm = term;
      this.config = config;
    }
    this.#storage.append(ready.entries);
    if (ready.hardState !== undefined) this.#storage.setHardState(ready.hardState);
    if (!this.#around.variant?.answerBeforeSync) this.#send(ready.messagesAfterSync);
    this.#confirmedReads.push(...ready.readStates);
    this.#answerReads();
    this.node!.advance();
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      const sent = this.#around.network.send(message);
      if (!sent) this.node!.reportUnreachable(message.to);
      if (message.type === 'snapshot') {
        // The transport learns later whether it got through, and may be wrong about it.
        const incarnation = this.#incarnation;
        const delivered = sent && this.#around.random.chance(0.8);
        this.#around.clock.after(30, () => {
          if (incarnation !== this.#incarnation) return;
          this.node!.reportSnapshot(message.to, delivered);
          this.#pump();
        });
      }
    }
  }

  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#around.invariants.applies(this.id, entry);
      if (entry.type === 'configChange') this.#applyConfigChange(entry);
      else if (entry.data.length > 0) {
        const command = decodeCommand(entry.data);
        const applied = this.#machine.apply(command);
        this.#waitingWrites.get(command.operation)?.(applied);
        this.#waitingWrites.delete(command.operation);
      }
      this.applied = entry.index;
      this.#appliedTerm = entry.term;
    }
    if (entries.length > 0) {
      this.disk.write({ kind: 'apply', entries, config: this.config });
      this.node!.applied(entries);
    }
    this.#answerReads();
  }

  #applyConfigChange(entry: Entry): void {
    try {
      this.config = this.node!.applyConfigChange(entry);
    } catch (error) {
      // Excluded by the rules: every member finds so, and goes on as if it had not been there.
      if (!(error instanceof ConfigChangeError)) throw error;
    }
  }

  #answerReads(): void {
    this.#confirmedReads = this.#confirmedReads.filter(({ index, context }) => {
      if (index > this.applied) return true;
      const waiting = this.#waitingReads.get(context);
      this.#waitingReads.delete(context);
      waiting?.answer(this.#machine.read(waiting.key));
      return false;
    });
  }
}
