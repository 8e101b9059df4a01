import { LeaderQuestion_Kind } from '../../proto/generated/raft/messages.ts';
import { GrpcError } from './grpc/status.ts';
import { deriveMemberId } from './identity.ts';
import type { RaftThread } from './raft-thread.ts';
import type { MemberRecord } from './raft-thread-protocol.ts';
import type { Member } from './store.ts';
import { grpcStatus, storeError } from './store-error-table.ts';

/** Learners there may be at a time, as etcd's `--max-learners`. */
const maxLearners = 1;

const refused = (message: string) => new GrpcError(grpcStatus.failedPrecondition, `etcdserver: ${message}`);

/** Changes of the cluster's members, held to etcd's rules: no change that could cost the quorum is begun. */
export class MembershipChanges {
  readonly #thread: RaftThread;
  readonly #clusterId: bigint;
  readonly #members: () => Promise<readonly Member[]>;

  constructor(thread: RaftThread, clusterId: bigint, members: () => Promise<readonly Member[]>) {
    this.#thread = thread;
    this.#clusterId = clusterId;
    this.#members = members;
  }

  async add(peerUrls: readonly string[], isLearner: boolean): Promise<Member> {
    if (peerUrls.length === 0 || !peerUrls.every(isPeerUrl)) {
      throw new GrpcError(grpcStatus.invalidArgument, 'etcdserver: given member URLs are invalid');
    }
    const members = await this.#members();
    if (members.some((member) => member.peerUrls.some((url) => peerUrls.includes(url)))) {
      throw refused('Peer URLs already exists');
    }
    if (isLearner) {
      if (members.filter((member) => member.isLearner).length >= maxLearners) {
        throw refused('too many learner members in cluster');
      }
    } else checkQuorumAfter(members, 1, undefined);
    const id = deriveMemberId('', peerUrls, `${this.#clusterId}/${Date.now()}`);
    const record = { id, name: '', peerUrls, clientUrls: [] };
    await this.#change([{ type: isLearner ? 'addLearner' : 'addVoter', id }], record);
    return { id: BigInt(id), name: '', peerUrls, clientUrls: [], isLearner };
  }

  async remove(id: bigint): Promise<void> {
    const members = await this.#members();
    const member = find(members, id);
    if (!member.isLearner) checkQuorumAfter(members, -1, id);
    await this.#change([{ type: 'remove', id: Number(id) }], undefined);
  }

  /** Records what has changed of a member; nothing about its vote. */
  async update(id: bigint, changed: Partial<Omit<MemberRecord, 'id'>>): Promise<void> {
    const { name, peerUrls, clientUrls, isLearner } = find(await this.#members(), id);
    const record = { id: Number(id), name, peerUrls, clientUrls, ...changed };
    await this.#change([{ type: isLearner ? 'addLearner' : 'addVoter', id: record.id }], record);
  }

  async promote(id: bigint): Promise<void> {
    const member = find(await this.#members(), id);
    if (!member.isLearner) throw refused('can only promote a learner member');
    const ready = await this.#thread.ask(LeaderQuestion_Kind.CAUGHT_UP, id);
    if (ready !== 1) throw refused('can only promote a learner member which is in sync with leader');
    await this.#change([{ type: 'addVoter', id: Number(id) }], undefined);
  }

  async #change(
    steps: readonly { type: 'addVoter' | 'addLearner' | 'remove'; id: number }[],
    member: MemberRecord | undefined,
  ): Promise<void> {
    await this.#thread.request((request) => ({ type: 'changeMembers', request, transition: 'auto', steps, member }));
  }
}

function isPeerUrl(url: string): boolean {
  try {
    const { protocol, port } = new URL(url);
    return (protocol === 'http:' || protocol === 'https:') && port !== '';
  } catch {
    return false;
  }
}

function find(members: readonly Member[], id: bigint): Member {
  const member = members.find((each) => each.id === id);
  if (member === undefined) throw storeError('member_not_found');
  return member;
}

/** Whether the members that have ever started would still be a majority of the voters after the change. */
function checkQuorumAfter(members: readonly Member[], change: 1 | -1, removed: bigint | undefined): void {
  const voters = members.filter((member) => !member.isLearner);
  const started = voters.filter((member) => member.name !== '' && member.id !== removed).length;
  // A single member may always be given its second: there is no other way to grow.
  if (change === 1 && voters.length === 1 && started === 1) return;
  const after = voters.length + change;
  if (started < (after >> 1) + 1) throw refused('re-configuration failed due to not enough started members');
}
