import { message } from '../../daemon/raft/message.ts';
import { majorityCommitted, majorityVote } from '../../daemon/raft/quorum.ts';
import type { RaftNode } from '../../daemon/raft/raft-node.ts';

/** One way to get it wrong, which the simulation must notice. */
export interface Variant {
  readonly name: string;
  /** Schedules within which it must be caught. */
  readonly within: number;
  /** Where to begin, for one that takes long to show: before a schedule that is known to show it. */
  readonly from?: number;
  readonly skipSync?: boolean;
  readonly answerBeforeSync?: boolean;
  readonly forgetVote?: boolean;
  readonly readLocally?: boolean;
  /** Forces the way reads are made linearizable. */
  readonly reads?: 'lease';
  /** The kind of trouble that brings it out, where trouble of every kind would take too long to. */
  readonly emphasis?: 'membership' | 'fragileLeaders';
  breakNode?(node: RaftNode): void;
}

export const variants: readonly Variant[] = [
  { name: 'acknowledges what is not synced, and the disk loses it', within: 400, skipSync: true },
  { name: 'sends its promises before they are synced', within: 400, answerBeforeSync: true },
  { name: 'forgets its vote in a crash', within: 1500, forgetVote: true },
  { name: 'answers reads from its own state', within: 400, readLocally: true },
  {
    name: 'believes in a lease it does not have',
    within: 400,
    reads: 'lease',
    breakNode: ({ raft }) => {
      raft.lease.isValid = () => true;
    },
  },
  {
    name: 'answers a read before a quorum has confirmed the leader',
    within: 400,
    breakNode: ({ raft: { tracker } }) => {
      // The short cut of a leader without followers.
      tracker.isSingleton = () => true;
    },
  },
  {
    name: 'serves reads before it has committed in its own term',
    within: 1500,
    breakNode: ({ raft }) => {
      const { term } = raft.log;
      raft.log.term = (index) =>
        raft.role === 'leader' && index === raft.log.committed ? raft.term : term.call(raft.log, index);
    },
  },
  {
    name: 'commits entries of earlier terms by counting',
    within: 6000,
    from: 2200,
    emphasis: 'fragileLeaders',
    breakNode: ({ raft: { log } }) => {
      log.maybeCommit = (index) => {
        if (index <= log.committed) return false;
        log.commitTo(index);
        return true;
      };
    },
  },
  {
    name: 'commits with one member less than a majority',
    within: 400,
    breakNode: ({ raft: { tracker } }) => {
      tracker.committed = () => {
        const matches = tracker.voters().map((id) => tracker.progress.get(id)?.match ?? 0);
        matches.sort((a, b) => b - a);
        return matches[Math.max(0, (matches.length >> 1) - 1)]!;
      };
    },
  },
  {
    name: 'wins an election with one vote less than a majority',
    within: 400,
    breakNode: ({ raft: { tracker } }) => {
      tracker.tally = () => {
        const yes = [...tracker.votes.values()].filter((granted) => granted).length;
        return yes >= Math.max(1, tracker.voters().length >> 1) ? 'won' : 'pending';
      };
    },
  },
  {
    name: 'grants its vote to whoever asks',
    within: 400,
    breakNode: ({ raft: { log } }) => {
      log.isUpToDate = () => true;
    },
  },
  {
    name: 'votes twice in a term',
    within: 1500,
    breakNode: (node) => {
      const step = node.step.bind(node);
      node.step = (received) => {
        if (received.type === 'vote' && node.raft.role !== 'leader') {
          node.raft.vote = 0;
          node.raft.leader = 0;
        }
        step(received);
      };
    },
  },
  {
    name: 'appends without looking at the entry before',
    within: 400,
    breakNode: ({ raft: { log } }) => {
      log.maybeAppend = (index, _term, committed, entries) => {
        if (index > log.lastIndex()) return undefined;
        const fresh = entries.filter((entry) => entry.index > log.committed);
        if (fresh.length > 0) log.append(fresh);
        log.commitTo(Math.min(committed, index + entries.length));
        return index + entries.length;
      };
    },
  },
  {
    name: 'keeps its own entries where the leader’s differ',
    within: 400,
    breakNode: ({ raft: { log } }) => {
      log.findConflict = (entries) => entries.find((entry) => entry.index > log.lastIndex())?.index ?? 0;
    },
  },
  {
    name: 'applies what is not committed',
    within: 400,
    breakNode: ({ raft: { log } }) => {
      const { slice } = log;
      log.nextCommitted = (maxBytes) => {
        const end = log.unstable.offset;
        if (log.unstable.snapshot !== undefined || log.applied + 1 >= end) return [];
        log.committed = Math.max(log.committed, end - 1);
        return slice.call(log, log.applied + 1, end, maxBytes) ?? [];
      };
    },
  },
  {
    name: 'ignores the outgoing majority of a joint configuration',
    within: 6000,
    from: 600,
    emphasis: 'membership',
    breakNode: ({ raft: { tracker } }) => {
      tracker.committed = () =>
        majorityCommitted(tracker.membership.incoming, (id) => tracker.progress.get(id)?.match ?? 0);
      tracker.tally = () => majorityVote(tracker.membership.incoming, (id) => tracker.votes.get(id));
    },
  },
  {
    name: 'keeps leading an old term',
    within: 400,
    breakNode: (node) => {
      const step = node.step.bind(node);
      node.step = (received) => {
        const deposed = node.raft.role === 'leader' && received.term > node.raft.term;
        // It takes the newer term's entries while it believes to lead its own.
        step(deposed ? message({ ...received, term: node.raft.term }) : received);
      };
    },
  },
];
