import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { MemberRecord } from './raft-thread-protocol.ts';

/** Who this member is: chosen once, kept beside the data, never part of what is replicated. */
export interface Identity {
  /** Below 2^52, so that it is exact as a number. */
  readonly memberId: number;
  readonly clusterId: bigint;
  /** The members this one's cluster began with, when it was one of them; needed until its log has begun. */
  readonly bootstrap?: readonly MemberRecord[];
  /** The members of the cluster it joined, by which it is reached until it has their records of itself. */
  readonly joined?: readonly MemberRecord[];
}

/** The id that members of a new cluster agree on for each of them, without talking to each other. */
export function deriveMemberId(name: string, peerUrls: readonly string[], token: string): number {
  const digest = createHash('sha256')
    .update([name, ...[...peerUrls].sort(), token].join('\0'))
    .digest();
  return Number(digest.readBigUInt64BE() >> 12n) || 1;
}

export function deriveClusterId(memberIds: readonly number[], token: string): bigint {
  const digest = createHash('sha256')
    .update([...[...memberIds].sort((a, b) => a - b), token].join('\0'))
    .digest();
  return digest.readBigUInt64BE() || 1n;
}

export function randomToken(): string {
  return randomBytes(16).toString('hex');
}

export function loadIdentity(file: string): Identity | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const stored = JSON.parse(text) as Partial<Omit<Identity, 'clusterId'>> & { clusterId?: string };
  if (!Number.isSafeInteger(stored.memberId) || stored.clusterId === undefined) {
    throw new Error(`${file} does not name a member: it is damaged`);
  }
  return { ...stored, memberId: stored.memberId!, clusterId: BigInt(stored.clusterId) };
}

/** On disk, whole or not at all, when this returns. */
export function saveIdentity(file: string, identity: Identity): void {
  const text = `${JSON.stringify({ ...identity, clusterId: String(identity.clusterId) }, undefined, 2)}\n`;
  const draft = `${file}.new`;
  const descriptor = openSync(draft, 'w', 0o600);
  writeSync(descriptor, text);
  fsyncSync(descriptor);
  closeSync(descriptor);
  renameSync(draft, file);
  const directory = openSync(dirname(file), 'r');
  fsyncSync(directory);
  closeSync(directory);
}
