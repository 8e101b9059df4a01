import type { Member as MemberMessage, MemberResponse } from '../../../proto/generated/balsa/control/v1/control.ts';
import { apiError } from '../../apimachinery/api-error.ts';
import type { RunningStore } from '../../store/embedded.ts';
import type { Member } from '../../store/store.ts';

/** The member of that name, or of that id in hexadecimal. Throws ApiError when there is none. */
async function find({ store }: RunningStore, wanted: string): Promise<Member> {
  const members = await store.members();
  const found =
    members.find((member) => member.name === wanted) ?? members.find((member) => member.id.toString(16) === wanted);
  if (found !== undefined) return found;
  const names = members.map((member) => member.name || member.id.toString(16)).join(', ');
  throw apiError('NotFound', `the store has no member ${JSON.stringify(wanted)}; it has ${names}`);
}

async function reply(running: RunningStore, member: Member): Promise<MemberResponse> {
  const { leader } = await running.store.status();
  const now = (await running.store.members()).find(({ id }) => id === member.id) ?? member;
  const message: MemberMessage = {
    id: now.id,
    name: now.name,
    peerUrls: [...now.peerUrls],
    clientUrls: [...now.clientUrls],
    isLearner: now.isLearner,
    isLeader: now.id === leader,
  };
  return { member: message };
}

export async function removeMember(running: RunningStore, wanted: string): Promise<MemberResponse> {
  const member = await find(running, wanted);
  await running.membership.remove(member.id);
  return reply(running, member);
}

export async function promoteMember(running: RunningStore, wanted: string): Promise<MemberResponse> {
  const member = await find(running, wanted);
  await running.membership.promote(member.id);
  return reply(running, member);
}

export async function transferLeader(running: RunningStore, wanted: string): Promise<MemberResponse> {
  const member = await find(running, wanted);
  if (member.isLearner) throw apiError('BadRequest', `${wanted} is a learner: promote it first`);
  await running.moveLeader(member.id);
  return reply(running, member);
}
