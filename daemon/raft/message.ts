/**
 * What Raft nodes say to each other and keep on disk. Terms, indexes and member ids are integers below 2^53; id 0 is nobody.
 */

export type EntryType = 'normal' | 'configChange';

export interface Entry {
  readonly term: number;
  readonly index: number;
  readonly type: EntryType;
  readonly data: Uint8Array;
}

/** What must be on disk before any message that depends on it is sent. */
export interface HardState {
  readonly term: number;
  /** Who got this member's vote in `term`; 0: nobody yet. */
  readonly vote: number;
  readonly commit: number;
}

/** The members of a configuration; `votersOutgoing` is empty unless a joint change is under way. */
export interface ConfigState {
  readonly voters: readonly number[];
  readonly votersOutgoing: readonly number[];
  readonly learners: readonly number[];
  /** Voters being demoted: they become learners when the joint configuration is left. */
  readonly learnersNext: readonly number[];
  readonly autoLeave: boolean;
}

export interface SnapshotMetadata {
  readonly index: number;
  readonly term: number;
  readonly config: ConfigState;
}

export interface Snapshot {
  readonly metadata: SnapshotMetadata;
  /** Opaque to Raft: the state itself, or what the driver needs to find and stream it. */
  readonly data: Uint8Array;
}

export type MessageType =
  | 'propose'
  | 'append'
  | 'appendResponse'
  | 'vote'
  | 'voteResponse'
  | 'preVote'
  | 'preVoteResponse'
  | 'snapshot'
  | 'heartbeat'
  | 'heartbeatResponse'
  | 'transferLeader'
  | 'timeoutNow'
  | 'readIndex'
  | 'readIndexResponse';

export interface Message {
  readonly type: MessageType;
  readonly to: number;
  readonly from: number;
  /** 0 on a message that is not part of a term's conversation (a forwarded proposal or read). */
  readonly term: number;
  /** Append: the entry before the first one sent. Response: the last one matched, or the one rejected. Vote: the last one. */
  readonly index: number;
  /** The term of the entry at `index` (or at `rejectHint`, in a rejection). */
  readonly logTerm: number;
  readonly entries: readonly Entry[];
  readonly commit: number;
  readonly reject: boolean;
  /** In a rejected append: the highest index at which the follower may agree. */
  readonly rejectHint: number;
  /** A read's identity; or `transferContext` on a vote asked for by a leader that steps aside. */
  readonly context: string;
  readonly snapshot: Snapshot | undefined;
}

/** Marks a vote request of a leadership transfer: it is granted though the old leader is alive. */
export const transferContext = 'transfer';

export const emptyConfig: ConfigState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

export const emptyHardState: HardState = { term: 0, vote: 0, commit: 0 };

const nothing: Message = {
  type: 'propose',
  to: 0,
  from: 0,
  term: 0,
  index: 0,
  logTerm: 0,
  entries: [],
  commit: 0,
  reject: false,
  rejectHint: 0,
  context: '',
  snapshot: undefined,
};

export function message(fields: Partial<Message> & Pick<Message, 'type'>): Message {
  return { ...nothing, ...fields };
}

/** Bytes an entry counts for when messages and batches are cut to size: its data, and what frames it on the wire. */
export function entryBytes(entry: Entry): number {
  return entry.data.length + 24;
}

/** The longest prefix within `maxBytes`, never empty unless `entries` is. */
export function limitBytes(entries: readonly Entry[], maxBytes: number): readonly Entry[] {
  let bytes = 0;
  for (let count = 0; count < entries.length; count++) {
    bytes += entryBytes(entries[count]!);
    if (bytes > maxBytes && count > 0) return entries.slice(0, count);
  }
  return entries;
}
