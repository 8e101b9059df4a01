import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { configKey } from '../raft/driver.ts';
import type { ConfigState } from '../raft/message.ts';
import { deriveClusterId, deriveMemberId, randomToken, saveIdentity } from './identity.ts';
import { openStore } from './native.ts';
import { type MemberRecord, memberKeyPrefix } from './raft-thread-protocol.ts';
import { readSnapshotFile } from './snapshot-file.ts';

export interface RestoreOptions {
  readonly snapshot: string;
  /** Where the member's store will be; it must hold none. */
  readonly dataDir: string;
  readonly nodeName: string;
  /** The members of the new cluster, this one too; each restores from the same file with the same list and token. */
  readonly members: readonly { readonly name: string; readonly peerUrls: readonly string[] }[];
  readonly clusterToken?: string;
}

/**
 * Makes the store of one member of a **new** cluster out of a snapshot: keys, revisions and leases as they were, and the members given.
 * Throws SnapshotFileError when the file is not whole, and an error that names the directory when there is a store already.
 */
export async function restoreStore(options: RestoreOptions): Promise<{ readonly revision: number }> {
  const { dataDir, nodeName } = options;
  const identityFile = join(dataDir, 'member.json');
  if (existsSync(identityFile) || existsSync(join(dataDir, 'db'))) {
    throw new Error(`${dataDir} holds a store already: restore into an empty directory`);
  }
  if (options.members.length > 1 && options.clusterToken === undefined) {
    throw new Error('a cluster of several members needs a cluster token, the same on each');
  }
  const token = options.clusterToken ?? randomToken();
  const members: MemberRecord[] = options.members.map(({ name, peerUrls }) => ({
    id: deriveMemberId(name, peerUrls, token),
    name,
    peerUrls,
    clientUrls: [],
  }));
  const self = members.find((member) => member.name === nodeName);
  if (self === undefined) throw new Error(`the members do not name this node, ${nodeName}`);

  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const store = openStore(join(dataDir, 'db'));
  let unusable = false;
  try {
    const install = store.installSnapshot();
    try {
      for await (const piece of readSnapshotFile(options.snapshot)) await install.write(piece);
    } catch (error) {
      install.abort();
      // Nothing is left that would keep a better snapshot from being restored here.
      unusable = true;
      throw error;
    }
    await install.finish({ term: 0, vote: 0n, commit: 0 });
    const { appliedIndex, appliedTerm, revision } = store.state();
    const ids = members.map((member) => member.id);
    const config: ConfigState = {
      voters: [...ids].sort((a, b) => a - b),
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    };
    // The members of the cluster the snapshot comes from have no part in the new one.
    await store.writeMeta([
      ...store.scanMeta(memberKeyPrefix).map(([key]) => ({ key })),
      ...members.map((member) => ({
        key: `${memberKeyPrefix}${member.id}`,
        value: Buffer.from(JSON.stringify(member)),
      })),
      { key: configKey, value: Buffer.from(JSON.stringify(config)) },
    ]);
    // What is in the snapshot was committed, in its term; the new cluster goes on from there.
    await store.appendLog([], { term: appliedTerm, vote: 0n, commit: appliedIndex });
    await store.flush();
    saveIdentity(identityFile, { memberId: self.id, clusterId: deriveClusterId(ids, token) });
    return { revision };
  } finally {
    store.close();
    if (unusable) rmSync(join(dataDir, 'db'), { recursive: true });
  }
}
