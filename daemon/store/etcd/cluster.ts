import {
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  MemberUpdateRequest,
  MemberUpdateResponse,
  type Member as WireMember,
} from '../../../proto/generated/etcd/messages.ts';
import type { EmbeddedStore } from '../embedded-store.ts';
import type { Member } from '../store.ts';
import type { AuthGate } from './auth-gate.ts';
import { headerOf } from './header.ts';
import type { ServiceMethods } from './services.ts';

function toWire(member: Member): WireMember {
  return {
    ID: member.id,
    name: member.name,
    peerURLs: [...member.peerUrls],
    clientURLs: [...member.clientUrls],
    isLearner: member.isLearner,
  };
}

export function clusterMethods(store: EmbeddedStore, gate: AuthGate): ServiceMethods {
  const members = async () => (await store.members()).map(toWire);
  // etcd leaves the revision out of what does not read the keyspace.
  const header = () => headerOf(store, 0);
  return {
    unary: {
      MemberAdd: async (request, caller) => {
        gate.admin(caller);
        const { peerURLs, isLearner } = MemberAddRequest.decode(request);
        const member = toWire(await store.membership.add(peerURLs, isLearner));
        return MemberAddResponse.encode({ header: header(), member, members: await members() }).finish();
      },
      MemberRemove: async (request, caller) => {
        gate.admin(caller);
        await store.membership.remove(MemberRemoveRequest.decode(request).ID);
        return MemberRemoveResponse.encode({ header: header(), members: await members() }).finish();
      },
      MemberUpdate: async (request, caller) => {
        gate.admin(caller);
        const { ID, peerURLs } = MemberUpdateRequest.decode(request);
        await store.membership.update(ID, { peerUrls: peerURLs });
        return MemberUpdateResponse.encode({ header: header(), members: await members() }).finish();
      },
      MemberList: async (request) => {
        if (MemberListRequest.decode(request).linearizable) await store.thread.confirmRead();
        return MemberListResponse.encode({ header: header(), members: await members() }).finish();
      },
      MemberPromote: async (request, caller) => {
        gate.admin(caller);
        await store.membership.promote(MemberPromoteRequest.decode(request).ID);
        return MemberPromoteResponse.encode({ header: header(), members: await members() }).finish();
      },
    },
  };
}
