import { CompactionRequest } from '../../../proto/generated/etcd/messages.ts';
import type { EmbeddedStore } from '../embedded-store.ts';
import type { AuthGate } from './auth-gate.ts';
import { isReadOnlyTxn, isSerializableRange } from './request-scan.ts';
import type { ServiceMethods } from './services.ts';

/** Requests and responses pass through as the bytes they are; only the native store reads them. */
export function kvMethods(store: EmbeddedStore, gate: AuthGate): ServiceMethods {
  const { native, thread } = store;
  const term = () => thread.state?.term ?? 0;
  return {
    unary: {
      Range: (request, caller) => {
        native.checkRequest('range', request);
        gate.range(request, caller);
        if (thread.readsAlone() || isSerializableRange(request)) return native.rangeEncoded(request, term());
        return thread.confirmRead().then(() => native.rangeEncoded(request, term()));
      },
      Put: (request, caller) => {
        native.checkRequest('put', request);
        gate.put(request, caller);
        return store.write('put', request);
      },
      DeleteRange: (request, caller) => {
        native.checkRequest('deleteRange', request);
        gate.deleteRange(request, caller);
        return store.write('deleteRange', request);
      },
      Txn: (request, caller) => {
        native.checkRequest('txn', request);
        gate.txn(request, caller);
        if (!isReadOnlyTxn(request)) return store.write('txn', request);
        if (thread.readsAlone()) return native.txnEncoded(request, term());
        return thread.confirmRead().then(() => native.txnEncoded(request, term()));
      },
      Compact: async (request, caller) => {
        gate.user(caller);
        const { revision, physical } = CompactionRequest.decode(request);
        const response = await store.write('compaction', request);
        if (physical) await native.compactionFinished(Number(revision));
        return response;
      },
    },
  };
}
