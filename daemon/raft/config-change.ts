import { invariant } from './invariant.ts';
import type { ConfigState } from './message.ts';
import type { Progress } from './progress.ts';
import { emptyMembership, type Membership, type Tracker } from './tracker.ts';

export type ConfigChangeStep = {
  readonly type: 'addVoter' | 'addLearner' | 'remove';
  readonly id: number;
};

/**
 * A change of membership, as it stands in the log. No steps: leave the joint configuration.
 * - `auto`: one step is taken at once, more go through a joint configuration that is left by itself;
 * - `joint`: through a joint configuration that is left by itself, even for one step;
 * - `jointExplicit`: through a joint configuration that stays until an empty change leaves it.
 */
export interface ConfigChange {
  readonly transition: 'auto' | 'joint' | 'jointExplicit';
  readonly steps: readonly ConfigChangeStep[];
  /** Of the proposer's own: names and addresses of members, and who waits for the answer. */
  readonly context: string;
}

export const leaveJoint: ConfigChange = { transition: 'auto', steps: [], context: '' };

export function encodeConfigChange(change: ConfigChange): Uint8Array {
  return Buffer.from(JSON.stringify(change));
}

export function decodeConfigChange(data: Uint8Array): ConfigChange {
  return JSON.parse(Buffer.from(data).toString()) as ConfigChange;
}

/** A membership change the rules exclude. */
export class ConfigChangeError extends Error {
  override readonly name = 'ConfigChangeError';
}

interface Draft {
  incoming: Set<number>;
  outgoing: Set<number>;
  learners: Set<number>;
  learnersNext: Set<number>;
  autoLeave: boolean;
  progress: Map<number, Progress>;
}

export interface ChangedMembership {
  readonly membership: Membership;
  readonly progress: Map<number, Progress>;
}

/** Works out the membership that follows from a change; nothing is altered until the caller takes the result. */
export class ConfigChanger {
  readonly #tracker: Tracker;
  readonly #lastIndex: number;

  constructor(tracker: Tracker, lastIndex: number) {
    this.#tracker = tracker;
    this.#lastIndex = lastIndex;
  }

  apply(change: ConfigChange): ChangedMembership {
    if (change.steps.length === 0) return this.leaveJoint();
    if (change.transition === 'auto' && change.steps.length === 1) return this.simple(change.steps);
    return this.enterJoint(change.transition !== 'jointExplicit', change.steps);
  }

  simple(steps: readonly ConfigChangeStep[]): ChangedMembership {
    if (this.#tracker.isJoint()) throw new ConfigChangeError('a simple change cannot be made in a joint configuration');
    const draft = this.#draft();
    this.#take(draft, steps);
    const before = this.#tracker.membership.incoming;
    let difference = 0;
    for (const id of draft.incoming) if (!before.has(id)) difference++;
    for (const id of before) if (!draft.incoming.has(id)) difference++;
    if (difference > 1) throw new ConfigChangeError('more than one voter changed without a joint configuration');
    return this.#check(draft);
  }

  enterJoint(autoLeave: boolean, steps: readonly ConfigChangeStep[]): ChangedMembership {
    if (this.#tracker.isJoint()) throw new ConfigChangeError('the configuration is already joint');
    const draft = this.#draft();
    if (draft.incoming.size === 0) throw new ConfigChangeError('an empty configuration cannot become joint');
    draft.outgoing = new Set(draft.incoming);
    this.#take(draft, steps);
    draft.autoLeave = autoLeave;
    return this.#check(draft);
  }

  leaveJoint(): ChangedMembership {
    if (!this.#tracker.isJoint()) throw new ConfigChangeError('a configuration that is not joint cannot be left');
    const draft = this.#draft();
    for (const id of draft.learnersNext) draft.learners.add(id);
    draft.learnersNext.clear();
    for (const id of draft.outgoing) {
      if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
    }
    draft.outgoing.clear();
    draft.autoLeave = false;
    return this.#check(draft);
  }

  #draft(): Draft {
    const { incoming, outgoing, learners, learnersNext, autoLeave } = this.#tracker.membership;
    return {
      incoming: new Set(incoming),
      outgoing: new Set(outgoing),
      learners: new Set(learners),
      learnersNext: new Set(learnersNext),
      autoLeave,
      progress: new Map(this.#tracker.progress),
    };
  }

  #take(draft: Draft, steps: readonly ConfigChangeStep[]): void {
    for (const step of steps) {
      if (step.id === 0) continue;
      if (step.type === 'addVoter') this.#addVoter(draft, step.id);
      else if (step.type === 'addLearner') this.#addLearner(draft, step.id);
      else this.#remove(draft, step.id);
    }
    if (draft.incoming.size === 0) throw new ConfigChangeError('the last voter cannot be removed');
  }

  #addVoter(draft: Draft, id: number): void {
    if (!draft.progress.has(id)) this.#add(draft, id);
    draft.learners.delete(id);
    draft.learnersNext.delete(id);
    draft.incoming.add(id);
  }

  #addLearner(draft: Draft, id: number): void {
    const progress = draft.progress.get(id);
    if (progress === undefined) {
      this.#add(draft, id);
      draft.learners.add(id);
      return;
    }
    if (draft.learners.has(id)) return;
    this.#remove(draft, id);
    draft.progress.set(id, progress);
    if (draft.outgoing.has(id)) {
      // Still a voter of the outgoing majority: it becomes a learner when that is left.
      draft.learnersNext.add(id);
    } else {
      draft.learners.add(id);
    }
  }

  #remove(draft: Draft, id: number): void {
    draft.incoming.delete(id);
    draft.learners.delete(id);
    draft.learnersNext.delete(id);
    if (!draft.outgoing.has(id)) draft.progress.delete(id);
  }

  #add(draft: Draft, id: number): void {
    const progress = this.#tracker.newProgress(0, Math.max(this.#lastIndex, 1));
    // Counts as heard from, lest a leader that checks its quorum right now steps down for a member it has just added.
    progress.recentActive = true;
    draft.progress.set(id, progress);
  }

  #check(draft: Draft): ChangedMembership {
    const { progress, ...membership } = draft;
    for (const id of [...draft.incoming, ...draft.outgoing, ...draft.learners, ...draft.learnersNext]) {
      invariant(progress.has(id), 'every member has a progress', { id });
    }
    for (const id of draft.learners) {
      const voter = draft.incoming.has(id) || draft.outgoing.has(id);
      invariant(!voter, 'a learner is no voter', { id });
    }
    for (const id of draft.learnersNext) {
      invariant(draft.outgoing.has(id), 'who becomes a learner next is an outgoing voter', { id });
    }
    if (draft.outgoing.size === 0) {
      invariant(draft.learnersNext.size === 0 && !draft.autoLeave, 'only a joint configuration is left', {});
    }
    return { membership, progress };
  }
}

/** The membership a configuration state describes, with nothing known yet of anyone's log. */
export function restoreMembership(tracker: Tracker, config: ConfigState, lastIndex: number): ChangedMembership {
  const progress = new Map<number, Progress>();
  for (const id of [...config.voters, ...config.votersOutgoing, ...config.learners]) {
    if (!progress.has(id)) progress.set(id, tracker.newProgress(0, Math.max(lastIndex, 1)));
  }
  const membership: Membership = {
    ...emptyMembership,
    incoming: new Set(config.voters),
    outgoing: new Set(config.votersOutgoing),
    learners: new Set(config.learners),
    learnersNext: new Set(config.learnersNext),
    autoLeave: config.autoLeave,
  };
  return { membership, progress };
}
