import { type Message as Wire, MessageType as WireType } from '../../proto/generated/raft/messages.ts';
import { decodeLog, packLog } from '../store/native-packing.ts';
import { fromDisk, toDisk } from './disk-log.ts';
import { type Message, type MessageType, message, type SnapshotMetadata } from './message.ts';

const wireTypes: Record<MessageType, WireType> = {
  propose: WireType.PROPOSE,
  append: WireType.APPEND,
  appendResponse: WireType.APPEND_RESPONSE,
  vote: WireType.VOTE,
  voteResponse: WireType.VOTE_RESPONSE,
  preVote: WireType.PRE_VOTE,
  preVoteResponse: WireType.PRE_VOTE_RESPONSE,
  snapshot: WireType.SNAPSHOT,
  heartbeat: WireType.HEARTBEAT,
  heartbeatResponse: WireType.HEARTBEAT_RESPONSE,
  transferLeader: WireType.TRANSFER_LEADER,
  timeoutNow: WireType.TIMEOUT_NOW,
  readIndex: WireType.READ_INDEX,
  readIndexResponse: WireType.READ_INDEX_RESPONSE,
};
const types = new Map(Object.entries(wireTypes).map(([type, wire]) => [wire, type as MessageType]));
const nothing = Buffer.alloc(0);

/** A message that cannot be what another member sent. */
export class WireMessageError extends Error {
  override readonly name = 'WireMessageError';
}

export function toWire(source: Message): Wire {
  const { snapshot } = source;
  return {
    type: wireTypes[source.type],
    to: BigInt(source.to),
    from: BigInt(source.from),
    term: BigInt(source.term),
    index: BigInt(source.index),
    logTerm: BigInt(source.logTerm),
    commit: BigInt(source.commit),
    reject: source.reject,
    rejectHint: BigInt(source.rejectHint),
    context: source.context,
    entries: source.entries.length === 0 ? nothing : packLog(toDisk(source.entries)),
    snapshot: snapshot && {
      index: BigInt(snapshot.metadata.index),
      term: BigInt(snapshot.metadata.term),
      voters: snapshot.metadata.config.voters.map(BigInt),
      votersOutgoing: snapshot.metadata.config.votersOutgoing.map(BigInt),
      learners: snapshot.metadata.config.learners.map(BigInt),
      learnersNext: snapshot.metadata.config.learnersNext.map(BigInt),
      autoLeave: snapshot.metadata.config.autoLeave,
    },
  };
}

export function fromWire(wire: Wire): Message {
  const type = types.get(wire.type);
  if (type === undefined) throw new WireMessageError(`unknown message type ${wire.type}`);
  let entries: Message['entries'] = [];
  if (wire.entries.length > 0) {
    // The decoder takes a whole buffer; the bytes are a view of a larger one.
    const copy = Uint8Array.prototype.slice.call(wire.entries);
    try {
      entries = fromDisk(decodeLog(copy.buffer as ArrayBuffer));
    } catch (error) {
      throw new WireMessageError('damaged entries', { cause: error });
    }
  }
  return message({
    type,
    to: number(wire.to),
    from: number(wire.from),
    term: number(wire.term),
    index: number(wire.index),
    logTerm: number(wire.logTerm),
    commit: number(wire.commit),
    reject: wire.reject,
    rejectHint: number(wire.rejectHint),
    context: wire.context,
    entries,
    snapshot: wire.snapshot && { metadata: metadataFromWire(wire.snapshot), data: nothing },
  });
}

function metadataFromWire(wire: NonNullable<Wire['snapshot']>): SnapshotMetadata {
  return {
    index: number(wire.index),
    term: number(wire.term),
    config: {
      voters: wire.voters.map(number),
      votersOutgoing: wire.votersOutgoing.map(number),
      learners: wire.learners.map(number),
      learnersNext: wire.learnersNext.map(number),
      autoLeave: wire.autoLeave,
    },
  };
}

function number(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new WireMessageError(`${value} is out of range`);
  return Number(value);
}
