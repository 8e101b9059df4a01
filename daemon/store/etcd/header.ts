import type { ResponseHeader } from '../../../proto/generated/etcd/messages.ts';
import type { EmbeddedStore } from '../embedded-store.ts';

/** What every response begins with. */
export function headerOf(store: EmbeddedStore, revision: number = store.native.state().revision): ResponseHeader {
  return {
    clusterId: store.clusterId,
    memberId: store.memberId,
    revision: BigInt(revision),
    raftTerm: BigInt(store.thread.state?.term ?? 0),
  };
}
