import { restoreMembership } from './config-change.ts';
import { invariant } from './invariant.ts';
import type { Message, Snapshot } from './message.ts';
import type { Raft } from './raft.ts';

export function stepFollower(raft: Raft, received: Message): void {
  switch (received.type) {
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      invariant(raft.leader === 0 || raft.leader === received.from, 'a term has one leader', {
        term: raft.term,
        known: raft.leader,
        heard: received.from,
      });
      raft.electionElapsed = 0;
      raft.leader = received.from;
      if (received.type === 'append') handleAppend(raft, received);
      else if (received.type === 'heartbeat') handleHeartbeat(raft, received);
      else handleSnapshot(raft, received);
      return;
    case 'timeoutNow':
      // The leader hands over: no pre-vote, since it is known to be alive and willing.
      raft.hup('transfer');
      return;
    case 'readIndexResponse':
      raft.readStates.push({ index: received.index, context: received.context });
      return;
    case 'propose':
    case 'readIndex':
    case 'transferLeader':
      followerForward(raft, received);
      return;
    default:
      return;
  }
}

/** Passes a request on to the leader; false when there is none to pass it to. */
export function followerForward(raft: Raft, received: Message): boolean {
  if (raft.leader === 0) return false;
  if (received.type === 'propose' && raft.disableProposalForwarding) return false;
  const { type, entries, context } = received;
  // A transfer names the member that is to lead as its sender.
  if (type === 'transferLeader') {
    raft.outbox.push({ ...received, to: raft.leader, term: raft.term });
    return true;
  }
  raft.send({ type, to: raft.leader, entries, context });
  return true;
}

export function handleAppend(raft: Raft, received: Message): void {
  const { log } = raft;
  if (received.index < log.committed) {
    raft.send({ type: 'appendResponse', to: received.from, index: log.committed });
    return;
  }
  const last = log.maybeAppend(received.index, received.logTerm, received.commit, received.entries);
  if (last !== undefined) {
    raft.send({ type: 'appendResponse', to: received.from, index: last });
    return;
  }
  // Names the highest place where the two logs may agree, so that the leader skips a whole term at a time.
  const hint = log.findConflictByTerm(Math.min(received.index, log.lastIndex()), received.logTerm);
  raft.send({
    type: 'appendResponse',
    to: received.from,
    index: received.index,
    reject: true,
    rejectHint: hint.index,
    logTerm: hint.term,
  });
}

export function handleHeartbeat(raft: Raft, received: Message): void {
  // The leader sends no more than it knows this member to hold.
  raft.log.commitTo(received.commit);
  raft.send({ type: 'heartbeatResponse', to: received.from, index: received.index, context: received.context });
}

export function handleSnapshot(raft: Raft, received: Message): void {
  invariant(received.snapshot !== undefined, 'a snapshot message has a snapshot', {});
  const restored = restore(raft, received.snapshot!);
  const index = restored ? raft.log.lastIndex() : raft.log.committed;
  raft.send({ type: 'appendResponse', to: received.from, index });
}

/** Replaces the log by a snapshot; false when the log already holds what the snapshot does. */
function restore(raft: Raft, snapshot: Snapshot): boolean {
  const { index, term, config } = snapshot.metadata;
  if (index <= raft.log.committed) return false;
  invariant(raft.role === 'follower', 'only a follower takes a snapshot', { role: raft.role });
  const members = [...config.voters, ...config.votersOutgoing, ...config.learners];
  // A snapshot of a configuration without this member cannot have been meant for it.
  if (!members.includes(raft.id)) return false;
  if (raft.log.matchTerm(index, term)) {
    raft.log.commitTo(index);
    return false;
  }
  raft.log.restore(snapshot);
  raft.switchTo(restoreMembership(raft.tracker, config, raft.log.lastIndex()));
  return true;
}
