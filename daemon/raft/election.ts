import { handleAppend, handleHeartbeat, handleSnapshot } from './follower.ts';
import { invariant } from './invariant.ts';
import { type Message, transferContext } from './message.ts';
import type { Raft } from './raft.ts';
import { broadcastAppend } from './replication.ts';

/**
 * Stands for election. A pre-vote asks whether it could be won, without beginning a term; a vote begins one; a transfer is a
 * vote that members grant though they hear the old leader, because it was the old leader that asked for it.
 */
export function campaign(raft: Raft, kind: 'preVote' | 'vote' | 'transfer'): void {
  const asked = kind === 'preVote';
  if (asked) raft.becomePreCandidate();
  else raft.becomeCandidate();
  const term = asked ? raft.term + 1 : raft.term;
  const response = asked ? 'preVoteResponse' : 'voteResponse';
  for (const id of raft.tracker.voters()) {
    if (id === raft.id) {
      // Its own vote counts like any other: once the term and the vote are on disk.
      raft.send({ type: response, to: id, term });
      continue;
    }
    raft.send({
      type: asked ? 'preVote' : 'vote',
      to: id,
      term,
      index: raft.log.lastIndex(),
      logTerm: raft.log.lastTerm(),
      context: kind === 'transfer' ? transferContext : '',
    });
  }
}

export function handleVoteRequest(raft: Raft, received: Message): void {
  const asked = received.type === 'preVote';
  const response = asked ? 'preVoteResponse' : 'voteResponse';
  const free =
    raft.vote === received.from ||
    (raft.vote === 0 && raft.leader === 0) ||
    // A question about a later term binds nobody.
    (asked && received.term > raft.term);
  const upToDate = raft.log.isUpToDate(received.index, received.logTerm);
  if (!free || !upToDate) {
    raft.send({ type: response, to: received.from, reject: true });
    if (!upToDate) raft.hupAsNonVoter();
    return;
  }
  // A learner answers too: it may have been promoted without knowing yet.
  raft.send({ type: response, to: received.from, term: received.term });
  if (!asked) {
    raft.electionElapsed = 0;
    raft.vote = received.from;
  }
}

export function stepCandidate(raft: Raft, received: Message): void {
  switch (received.type) {
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      // Someone has won this term.
      raft.becomeFollower(received.term, received.from);
      if (received.type === 'append') handleAppend(raft, received);
      else if (received.type === 'heartbeat') handleHeartbeat(raft, received);
      else handleSnapshot(raft, received);
      return;
    case 'voteResponse':
      if (raft.role === 'candidate') countVote(raft, received);
      return;
    case 'preVoteResponse':
      if (raft.role === 'preCandidate') countVote(raft, received);
      return;
    default:
      return;
  }
}

function countVote(raft: Raft, received: Message): void {
  raft.tracker.recordVote(received.from, !received.reject);
  switch (raft.tracker.tally()) {
    case 'won':
      if (raft.role === 'preCandidate') {
        campaign(raft, 'vote');
        return;
      }
      invariant(raft.vote === raft.id, 'a leader has its own vote', { vote: raft.vote });
      raft.becomeLeader();
      broadcastAppend(raft);
      return;
    case 'lost':
      raft.becomeFollower(raft.term, 0);
      return;
    default:
      return;
  }
}
