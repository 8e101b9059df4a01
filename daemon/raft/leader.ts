import { decodeConfigChange } from './config-change.ts';
import { confirmRead, handleReadIndex } from './leader-reads.ts';
import type { Message } from './message.ts';
import type { Progress } from './progress.ts';
import type { Raft } from './raft.ts';
import { abortTransfer, appendEntries, broadcastAppend, maybeCommit, sendAppend } from './replication.ts';

/** Why a proposal was not taken. */
export type ProposalRefusal =
  | 'no_leader'
  | 'not_member'
  | 'transferring'
  | 'too_much_uncommitted'
  | 'config_change_pending';

export function stepLeader(raft: Raft, received: Message): void {
  if (received.type === 'propose') {
    // Forwarded: whoever proposed it will see that it is not committed.
    leaderPropose(raft, received);
    return;
  }
  if (received.type === 'readIndex') {
    handleReadIndex(raft, received);
    return;
  }
  const progress = raft.tracker.progress.get(received.from);
  if (progress === undefined) return;
  switch (received.type) {
    case 'appendResponse':
      handleAppendResponse(raft, progress, received);
      return;
    case 'heartbeatResponse':
      progress.recentActive = true;
      progress.paused = false;
      raft.lease.confirm(received.from, received.index);
      // The whole window may have been lost; one message finds out.
      if (progress.state === 'replicate' && progress.inflights.full()) progress.inflights.freeFirst();
      if (progress.match < raft.log.lastIndex() || progress.state === 'probe') sendAppend(raft, received.from, true);
      confirmRead(raft, received);
      handOver(raft, received.from, progress);
      return;
    case 'transferLeader':
      handleTransfer(raft, progress, received.from);
      return;
    default:
      return;
  }
}

export function leaderPropose(raft: Raft, received: Message): ProposalRefusal | undefined {
  // Removed or demoted: it leads only until it has handed over.
  if (!raft.isVoter()) return 'not_member';
  if (raft.transferee !== 0) return 'transferring';
  let pending = raft.pendingConfigIndex;
  for (const [position, entry] of received.entries.entries()) {
    if (entry.type !== 'configChange') continue;
    const leaving = decodeConfigChange(entry.data).steps.length === 0;
    if (pending > raft.log.applied || raft.tracker.isJoint() !== leaving) return 'config_change_pending';
    pending = raft.log.lastIndex() + 1 + position;
  }
  if (!appendEntries(raft, received.entries)) return 'too_much_uncommitted';
  raft.pendingConfigIndex = pending;
  broadcastAppend(raft);
  return undefined;
}

function handleAppendResponse(raft: Raft, progress: Progress, received: Message): void {
  progress.recentActive = true;
  const { from } = received;
  if (received.reject) {
    const mayMatch =
      received.logTerm > 0
        ? raft.log.findConflictByTerm(received.rejectHint, received.logTerm).index
        : received.rejectHint;
    if (!progress.rejected(received.index, mayMatch)) return;
    if (progress.state === 'replicate') progress.becomeProbe();
    sendAppend(raft, from, true);
    return;
  }
  const wasPaused = progress.isPaused();
  const agreesInProbe = progress.state === 'probe' && progress.match === received.index;
  if (!progress.acknowledge(received.index) && !agreesInProbe) return;
  if (progress.state === 'probe') progress.becomeReplicate();
  else if (progress.state === 'replicate') progress.inflights.freeTo(received.index);
  else if (progress.match + 1 >= raft.log.firstIndex()) {
    // It has what the log still holds, from this snapshot or another.
    progress.becomeProbe();
    progress.becomeReplicate();
  }
  // Nothing new to tell everyone: this follower may still wait for what was held back while it was paused.
  if (!maybeCommit(raft) && wasPaused && from !== raft.id) sendAppend(raft, from, true);
  if (from !== raft.id) {
    while (sendAppend(raft, from, false)) {
      // Pipelines as far as the window allows.
    }
  }
  if (from === raft.transferee && progress.match === raft.log.lastIndex()) {
    sendTimeoutNow(raft, from);
  }
  handOver(raft, from, progress);
}

/**
 * A leader that is no voter any more leads on until a voter holds all it has, and knows it committed; then that one is told to
 * take over. To step down at once could leave nobody who can be elected.
 */
export function handOver(raft: Raft, id: number, progress: Progress): void {
  if (raft.role !== 'leader' || raft.isVoter() || raft.transferee !== 0) return;
  const { log } = raft;
  if (log.committed === log.lastIndex() && progress.match === log.lastIndex()) handleTransfer(raft, progress, id);
}

function handleTransfer(raft: Raft, progress: Progress, to: number): void {
  if (progress.isLearner || !raft.tracker.membership.incoming.has(to)) return;
  if (raft.transferee === to) return;
  abortTransfer(raft);
  if (to === raft.id) return;
  // Given up after an election timeout.
  raft.electionElapsed = 0;
  raft.transferee = to;
  if (progress.match === raft.log.lastIndex()) sendTimeoutNow(raft, to);
  else sendAppend(raft, to, true);
}

function sendTimeoutNow(raft: Raft, to: number): void {
  raft.lease.giveAway();
  raft.send({ type: 'timeoutNow', to });
}

/** The transport could not reach a member: what was pipelined to it is probably lost. */
export function handleUnreachable(raft: Raft, id: number): void {
  const progress = raft.tracker.progress.get(id);
  if (raft.role === 'leader' && progress?.state === 'replicate') progress.becomeProbe();
}

/** The transport has delivered a snapshot, or failed to. */
export function handleSnapshotStatus(raft: Raft, id: number, delivered: boolean): void {
  const progress = raft.tracker.progress.get(id);
  if (raft.role !== 'leader' || progress?.state !== 'snapshot') return;
  if (!delivered) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  // Delivered: its acknowledgement says more than a probe would. Failed: a heartbeat's time is left before the next try.
  progress.paused = true;
}
