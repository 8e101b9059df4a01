import { invariant } from './invariant.ts';
import { answerRead } from './leader-reads.ts';
import { type Entry, type EntryType, entryBytes } from './message.ts';
import type { Raft } from './raft.ts';

export interface Proposal {
  readonly type: EntryType;
  readonly data: Uint8Array;
}

/** Adds entries to the leader's own log; false when too much is uncommitted already. */
export function appendEntries(raft: Raft, proposals: readonly Proposal[]): boolean {
  let bytes = 0;
  for (const proposal of proposals) bytes += proposal.data.length;
  // Something is always let through, and entries without data always are: they are the leader's own.
  if (raft.uncommittedBytes > 0 && bytes > 0 && raft.uncommittedBytes + bytes > raft.maxUncommittedBytes) return false;
  raft.uncommittedBytes += bytes;
  const first = raft.log.lastIndex() + 1;
  const entries: Entry[] = proposals.map(({ type, data }, position) => ({
    term: raft.term,
    index: first + position,
    type,
    data,
  }));
  const last = raft.log.append(entries);
  // The leader's own acknowledgement counts like any other: once the entries are on disk.
  raft.send({ type: 'appendResponse', to: raft.id, index: last });
  return true;
}

/** Committed entries no longer count against what a leader may take on. */
export function reduceUncommitted(raft: Raft, entries: readonly Entry[]): void {
  let bytes = 0;
  for (const entry of entries) bytes += entry.data.length;
  raft.uncommittedBytes = Math.max(0, raft.uncommittedBytes - bytes);
}

/** Commits what a quorum holds, and tells everyone; false when that is nothing new. */
export function maybeCommit(raft: Raft): boolean {
  if (!raft.log.maybeCommit(raft.tracker.committed(), raft.term)) return false;
  const early = raft.earlyReads;
  raft.earlyReads = [];
  for (const read of early) answerRead(raft, read);
  broadcastAppend(raft);
  return true;
}

export function broadcastAppend(raft: Raft): void {
  for (const [id] of raft.tracker.members()) if (id !== raft.id) sendAppend(raft, id, true);
}

/** Sends what a follower lacks, as far as its flow control allows; an empty append (for its commit index) only if asked to. */
export function sendAppend(raft: Raft, to: number, evenEmpty: boolean): boolean {
  const progress = raft.tracker.progress.get(to);
  if (progress === undefined || progress.isPaused()) return false;
  const previous = progress.next - 1;
  const previousTerm = raft.log.term(previous);
  if (previousTerm === undefined) return sendSnapshot(raft, to);
  const windowFull = progress.state === 'replicate' && progress.inflights.full();
  const entries = windowFull ? [] : raft.log.entries(progress.next, raft.maxMessageBytes);
  if (entries === undefined) return sendSnapshot(raft, to);
  if (entries.length === 0 && !evenEmpty) return false;
  raft.send({
    type: 'append',
    to,
    index: previous,
    logTerm: previousTerm,
    entries,
    commit: raft.log.committed,
  });
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  progress.sent(entries.length, bytes);
  return true;
}

function sendSnapshot(raft: Raft, to: number): boolean {
  const progress = raft.tracker.progress.get(to)!;
  // Nobody builds a snapshot for a member that does not answer.
  if (!progress.recentActive) return false;
  const snapshot = raft.log.snapshot();
  if (snapshot === undefined) return false;
  invariant(snapshot.metadata.index > 0, 'a snapshot that is sent is not empty', { to });
  progress.becomeSnapshot(snapshot.metadata.index);
  raft.send({ type: 'snapshot', to, snapshot });
  return true;
}

export function broadcastHeartbeat(raft: Raft, context: string = raft.readIndex.last()): void {
  for (const [id, progress] of raft.tracker.members()) {
    if (id === raft.id) continue;
    // A follower commits only what it is known to hold.
    // `index` comes back with the answer: it says when this heartbeat was sent.
    raft.send({
      type: 'heartbeat',
      to: id,
      index: raft.ticks,
      commit: Math.min(progress.match, raft.log.committed),
      context,
    });
  }
}

export function abortTransfer(raft: Raft): void {
  raft.transferee = 0;
}
