import type { LeaderQuestion } from '../../proto/generated/raft/messages.ts';
import type { ConfigChangeStep } from '../raft/config-change.ts';
import type { MemberState } from '../raft/driver.ts';

/** What the store's thread is started with. */
export interface RaftThreadSetup {
  readonly dataDir: string;
  readonly memberId: number;
  readonly clusterId: string;
  readonly name: string;
  readonly clientUrls: readonly string[];
  readonly heartbeatInterval: number;
  readonly electionTimeout: number;
  readonly reads: 'quorum' | 'lease';
  /** Seconds of history kept; 0: nothing is compacted by itself. */
  readonly autoCompaction: number;
  readonly peer: PeerSetup | undefined;
  /** The members of a new cluster, when this is the first start of one of them. */
  readonly bootstrap: readonly MemberRecord[] | undefined;
  /** Other members, while this one has no record of its own of them: it has just joined. */
  readonly knownPeers: readonly MemberRecord[];
  /** One word, 1 while this member is the only voter and leads. */
  readonly alone: SharedArrayBuffer;
  readonly logLevel: string;
}

export interface PeerSetup {
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM; without it peers speak in the clear, as tests do. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string } | undefined;
}

/** A member as the cluster records it. */
export interface MemberRecord {
  readonly id: number;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
}

/** To the store's thread. A bare ArrayBuffer is a batch of proposals. */
export type ToRaftThread =
  | ArrayBuffer
  | { readonly type: 'read'; readonly reads: readonly number[] }
  | {
      readonly type: 'changeMembers';
      readonly request: number;
      readonly transition: 'auto' | 'joint';
      readonly steps: readonly ConfigChangeStep[];
      readonly member: MemberRecord | undefined;
    }
  | { readonly type: 'transfer'; readonly to: number }
  | { readonly type: 'ask'; readonly request: number; readonly question: LeaderQuestion }
  | { readonly type: 'stop' };

/** From the store's thread. A bare ArrayBuffer holds the results of applied commands. */
export type FromRaftThread =
  | ArrayBuffer
  | { readonly type: 'started'; readonly peerAddress: { readonly host: string; readonly port: number } | undefined }
  | { readonly type: 'readable'; readonly reads: readonly number[] }
  | { readonly type: 'state'; readonly state: MemberState }
  | { readonly type: 'answer'; readonly request: number; readonly error: string | undefined; readonly value: number }
  | { readonly type: 'removed' }
  | { readonly type: 'fatal'; readonly message: string }
  | { readonly type: 'stopped' };

/** Many byte strings in one buffer, each behind its length: a batch crosses threads without being copied again. */
export function packBatch(parts: readonly Uint8Array[]): ArrayBuffer {
  let size = 0;
  for (const part of parts) size += 4 + part.length;
  const buffer = new ArrayBuffer(size);
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return buffer;
}

export function unpackBatch(buffer: ArrayBuffer): Uint8Array[] {
  const view = new DataView(buffer);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < buffer.byteLength; ) {
    const length = view.getUint32(at, true);
    parts.push(new Uint8Array(buffer, at + 4, length));
    at += 4 + length;
  }
  return parts;
}

/** Where the members' records are kept beside the state machine's own. */
export const memberKeyPrefix = 'member/';
export const selfKey = 'self';
