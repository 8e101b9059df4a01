import type { Message } from './message.ts';
import type { Raft } from './raft.ts';
import { broadcastHeartbeat } from './replication.ts';

/** Whether this leader knows how far the log was committed when it was elected. */
export function hasCommittedInTerm(raft: Raft): boolean {
  return raft.log.term(raft.log.committed) === raft.term;
}

export function handleReadIndex(raft: Raft, received: Message): void {
  if (!hasCommittedInTerm(raft)) raft.earlyReads.push(received);
  else answerRead(raft, received);
}

/** Answers a read, or begins the round that will: `committed` now is an index the reader must not read behind. */
export function answerRead(raft: Raft, received: Message): void {
  if (raft.tracker.isSingleton() && raft.tracker.membership.incoming.has(raft.id)) {
    respond(raft, received, raft.log.committed);
    return;
  }
  if (raft.reads === 'lease' && raft.lease.isValid()) {
    respond(raft, received, raft.log.committed);
    return;
  }
  raft.readIndex.add(raft.log.committed, received);
  raft.readIndex.acknowledge(raft.id, received.context);
  broadcastHeartbeat(raft, received.context);
}

/** A follower has confirmed this leader for the read named in its heartbeat. */
export function confirmRead(raft: Raft, received: Message): void {
  if (received.context === '') return;
  const confirmed = raft.readIndex.acknowledge(received.from, received.context);
  if (!raft.tracker.isQuorum(confirmed)) return;
  for (const { request, index } of raft.readIndex.advance(received.context)) respond(raft, request, index);
}

function respond(raft: Raft, request: Message, index: number): void {
  const { context, from } = request;
  if (from === 0 || from === raft.id) raft.readStates.push({ index, context });
  else raft.send({ type: 'readIndexResponse', to: from, index, context });
}
