import type { ConfigChange, ConfigChangeStep } from '../../daemon/raft/config-change.ts';
import { Clock } from './clock.ts';
import { Invariants, SafetyViolation } from './invariants.ts';
import { findNonLinearizable, type Operation } from './linearizability.ts';
import { Member, type Surroundings } from './member.ts';
import { Network } from './network.ts';
import { Random } from './random.ts';
import type { Variant } from './variants.ts';

export interface ScheduleResult {
  readonly seed: number;
  readonly operations: number;
  readonly answered: number;
  readonly elections: number;
}

type Misfortune =
  | 'crash'
  | 'crashLeader'
  | 'blackout'
  | 'partition'
  | 'isolateLeader'
  | 'heal'
  | 'change'
  | 'compact'
  | 'transfer';

const membershipTrouble: readonly Misfortune[] = [
  'change',
  'change',
  'change',
  'partition',
  'isolateLeader',
  'heal',
  'heal',
  'crash',
  'compact',
];
const crashTrouble: readonly Misfortune[] = ['crash', 'crash', 'partition', 'partition', 'heal', 'heal'];

/** What kinds of trouble a schedule is made of; a kind named twice comes twice as often. */
const focuses: readonly (readonly Misfortune[])[] = [
  ['crash', 'crashLeader', 'blackout', 'partition', 'isolateLeader', 'heal', 'heal', 'change', 'compact', 'transfer'],
  ['crash', 'crash', 'crashLeader', 'crashLeader', 'blackout', 'partition', 'heal', 'heal', 'compact'],
  ['isolateLeader', 'isolateLeader', 'heal', 'transfer'],
  membershipTrouble,
  ['partition', 'partition', 'heal', 'heal', 'transfer', 'compact', 'crash'],
];

const keys = ['a', 'b'] as const;
const maxMembers = 7;
/** Milliseconds of trouble, and the longest time a healed cluster may take to agree again. */
const troubleTime = 10_000;
const recoveryTime = 20_000;

/** One cluster's life, entirely decided by its seed: trouble of every kind, then peace, in which it must recover. */
export class Schedule {
  readonly #seed: number;
  readonly #random: Random;
  readonly #clock = new Clock();
  readonly #invariants = new Invariants();
  readonly #network: Network;
  readonly #members = new Map<number, Member>();
  readonly #around: Surroundings;
  readonly #history: Operation[] = [];
  #values = 0;
  #nextId: number;
  #trouble = true;
  #lastTerm = 0;
  /** Milliseconds between two misfortunes at most. */
  readonly #calm: number;
  /** The misfortunes this schedule draws from. */
  readonly #focus: readonly Misfortune[];
  /** Chance that a leader crashes just after its election, with its first entries on their way. */
  readonly #fragile: number;
  readonly #trace: ((line: string) => void) | undefined;

  constructor(seed: number, variant?: Variant, trace?: (line: string) => void) {
    this.#seed = seed;
    this.#trace = trace;
    this.#random = new Random(seed);
    const random = this.#random;
    const { emphasis } = variant ?? {};
    const fragile = emphasis === 'fragileLeaders';
    const emphasized = emphasis === 'membership' ? membershipTrouble : fragile ? crashTrouble : undefined;
    this.#calm = random.pick([250, 600, 1500]);
    this.#focus = emphasized ?? random.pick(focuses);
    this.#network = new Network(this.#clock, random, (message) => this.#members.get(message.to)?.receive(message));
    this.#around = {
      clock: this.#clock,
      random,
      network: this.#network,
      invariants: this.#invariants,
      variant,
      reads: variant?.reads ?? (random.chance(0.3) ? 'lease' : 'quorum'),
      preVote: random.chance(0.7),
      diskErrors: random.pick([0, 0, 0.002]),
      diskLatency: random.pick([2, 10, 80]),
      messageBytes: fragile ? 1 : random.pick([1, 1, 300, 1000]),
      elected: (member) => this.#elected(member),
    };
    this.#fragile = fragile ? 0.7 : random.pick([0, 0, 0, 0.6]);
    Object.assign(this.#network.faults, {
      drop: random.pick([0, 0.02, 0.2]),
      duplicate: random.pick([0, 0.05, 0.3]),
      delay: random.pick([0, 0.05, 0.2]),
    });
    const size = emphasis === undefined ? random.pick([1, 2, 3, 3, 3, 4, 5, 5, 7]) : random.pick([3, 5]);
    const ids = Array.from({ length: size }, (_, index) => index + 1);
    this.#nextId = size + 1;
    for (const id of ids) {
      const member = new Member(id, this.#around);
      member.bootstrap(ids);
      this.#members.set(id, member);
    }
  }

  /** Throws SafetyViolation, or whatever the state machine asserts, when something is wrong. */
  run(): ScheduleResult {
    for (const member of this.#members.values()) member.start();
    for (let client = 0; client < 5; client++) this.#client();
    this.#clock.after(700, () => this.#strike());
    this.#clock.runUntil(troubleTime);
    this.#recover();
    this.#checkHistory();
    return {
      seed: this.#seed,
      operations: this.#history.length,
      answered: this.#history.filter((operation) => operation.completed !== undefined).length,
      elections: this.#lastTerm,
    };
  }

  #say(line: string): void {
    this.#trace?.(`${this.#clock.now.toFixed(0).padStart(6)} ${line}`);
  }

  #strike(): void {
    this.#clock.after(this.#random.between(20, this.#calm), () => {
      if (!this.#trouble) return;
      this.#misfortune();
      this.#strike();
    });
  }

  #misfortune(): void {
    const random = this.#random;
    const members = [...this.#members.values()];
    const member = random.pick(members);
    const leader = this.#leader();
    switch (random.pick(this.#focus)) {
      case 'crash':
        this.#crash(member);
        return;
      case 'crashLeader':
        if (leader !== undefined) this.#crash(leader);
        return;
      case 'blackout':
        for (const each of members) this.#crash(each);
        return;
      case 'partition':
        this.#partition();
        return;
      case 'isolateLeader':
        this.#network.heal();
        this.#isolate(leader ?? member);
        return;
      case 'heal':
        this.#network.heal();
        this.#say('the network is whole');
        return;
      case 'change':
        if (leader !== undefined) this.#changeMembers(leader);
        return;
      case 'compact':
        this.#say(`member ${member.id} compacts its log`);
        member.compact();
        return;
      case 'transfer':
        leader?.transferLeadership(member.id);
    }
  }

  #elected(member: Member): void {
    this.#say(`member ${member.id} leads term ${member.node!.raft.term}`);
    if (!this.#trouble || !this.#random.chance(this.#fragile)) return;
    this.#clock.after(this.#random.between(1, 60), () => {
      if (this.#trouble) this.#crash(member);
    });
  }

  /** One of those that believe they lead. */
  #leader(): Member | undefined {
    const leaders = [...this.#members.values()].filter((each) => each.node?.raft.role === 'leader');
    return leaders.length === 0 ? undefined : this.#random.pick(leaders);
  }

  #crash(member: Member): void {
    if (member.node === undefined) return;
    this.#say(`member ${member.id} crashes`);
    member.crash();
    this.#clock.after(this.#random.between(1, 800), () => this.#restart(member));
  }

  #restart(member: Member): void {
    if (member.node !== undefined) return;
    this.#say(`member ${member.id} starts`);
    member.start();
  }

  #partition(): void {
    const sides = new Map([...this.#members.keys()].map((id) => [id, this.#random.below(2)]));
    // One direction only, at times.
    const oneWay = this.#random.chance(0.3);
    for (const [from, side] of sides) {
      for (const [to, other] of sides) {
        if (side !== other && (!oneWay || side === 0)) this.#network.cut(from, to);
      }
    }
    this.#say(`the network is cut ${oneWay ? 'one way ' : ''}: ${JSON.stringify([...sides])}`);
  }

  #isolate(member: Member): void {
    for (const id of this.#members.keys()) {
      if (id === member.id) continue;
      this.#network.cut(member.id, id);
      this.#network.cut(id, member.id);
    }
    this.#say(`member ${member.id} is cut off`);
  }

  #changeMembers(leader: Member): void {
    const random = this.#random;
    const { voters, learners } = leader.config;
    const steps: ConfigChangeStep[] = [];
    const count = random.pick([1, 1, 2, 3, 4]);
    // Most of the voters at once: the old majority and the new one share hardly anyone.
    const swapped = random.chance(0.3) && this.#nextId < 20 ? voters.slice(1) : [];
    for (const id of swapped) steps.push({ type: 'remove', id }, { ...this.#newMember(), type: 'addVoter' });
    for (let step = 0; step < count && swapped.length === 0; step++) {
      const kind = random.below(4);
      if (kind === 0 && voters.length > 1) steps.push({ type: 'remove', id: random.pick(voters) });
      else if (kind === 1 && learners.length > 0) steps.push({ type: 'addVoter', id: random.pick(learners) });
      else if (kind === 2 && voters.length > 1) steps.push({ type: 'addLearner', id: random.pick(voters) });
      else if (voters.length + learners.length < maxMembers && this.#nextId < 24) steps.push(this.#newMember());
    }
    const leaving = leader.config.votersOutgoing.length > 0;
    const transition = random.pick(['auto', 'joint', 'jointExplicit'] as const);
    const change: ConfigChange = leaving
      ? { transition: 'auto', steps: [], context: '' }
      : { transition, steps, context: '' };
    if (!leaving && steps.length === 0) return;
    this.#say(`leader ${leader.id} proposes ${JSON.stringify(change)}`);
    leader.changeMembers(change);
  }

  #newMember(): ConfigChangeStep {
    const id = this.#nextId++;
    const member = new Member(id, this.#around);
    this.#members.set(id, member);
    member.start();
    return { type: this.#random.chance(0.5) ? 'addVoter' : 'addLearner', id };
  }

  /** A client does one operation after the other, each on a member of its choice, and gives up on one that takes too long. */
  #client(): void {
    this.#clock.after(this.#random.between(1, 100), () => {
      if (!this.#trouble) return;
      this.#operate();
    });
  }

  #operate(): void {
    const random = this.#random;
    const members = [...this.#members.values()];
    const leader = this.#leader();
    const member = leader !== undefined && random.chance(0.6) ? leader : random.pick(members);
    const kind = random.pick(['read', 'read', 'write', 'write', 'swap'] as const);
    const key = random.pick(keys);
    const operation: Operation = {
      kind,
      key,
      invoked: this.#clock.now,
      completed: undefined,
      value: ++this.#values,
      expected: random.between(Math.max(0, this.#values - 6), this.#values - 1),
      result: undefined,
    };
    let over = false;
    const answer = (result: number | boolean) => {
      if (over) return;
      over = true;
      operation.completed = this.#clock.now;
      operation.result = result;
      this.#client();
    };
    const { value, expected } = operation;
    const position = this.#history.push(operation);
    const taken =
      kind === 'read'
        ? member.read(key, answer)
        : member.propose({ operation: value, key, kind, value, expected }, answer);
    if (!taken) {
      // Refused before anything was done.
      over = true;
      this.#history.splice(position - 1, 1);
      this.#client();
      return;
    }
    this.#clock.after(500, () => {
      if (over) return;
      over = true;
      this.#client();
    });
  }

  #recover(): void {
    this.#say('peace');
    this.#trouble = false;
    this.#network.heal();
    Object.assign(this.#network.faults, { drop: 0, duplicate: 0, delay: 0 });
    this.#around.diskErrors = 0;
    for (const member of this.#members.values()) this.#restart(member);
    const nodes = () => [...this.#members.values()].map((member) => member.node!);
    this.#invariants.logsMatch(nodes());
    this.#clock.runUntil(this.#clock.now + recoveryTime, () => this.#hasAgreed());
    if (!this.#hasAgreed()) throw new SafetyViolation(`liveness: no agreement after ${recoveryTime} ms of peace`);
    this.#invariants.logsMatch(nodes());
  }

  /** A leader has committed in its term, and every member of its configuration has applied all that it has. */
  #hasAgreed(): boolean {
    let leader: Member | undefined;
    for (const member of this.#members.values()) {
      if (member.node === undefined) {
        // Its disk failed just before peace.
        member.start();
        return false;
      }
      const { raft } = member.node;
      if (raft.role !== 'leader') continue;
      if (leader === undefined || raft.term > leader.node!.raft.term) leader = member;
    }
    if (leader === undefined) return false;
    const { raft } = leader.node!;
    this.#lastTerm = raft.term;
    if (raft.log.term(leader.applied) !== raft.term || leader.applied !== raft.log.lastIndex()) return false;
    const { voters, votersOutgoing, learners } = leader.config;
    return [...voters, ...votersOutgoing, ...learners].every((id) => {
      const member = this.#members.get(id)!;
      return member.applied === leader.applied && member.node?.raft.term === raft.term;
    });
  }

  #checkHistory(): void {
    const key = findNonLinearizable(this.#history);
    if (key === undefined) return;
    for (const operation of this.#history) if (operation.key === key) this.#say(JSON.stringify(operation));
    throw new SafetyViolation(`linearizability: no order explains what clients saw of register ${key}`);
  }
}
