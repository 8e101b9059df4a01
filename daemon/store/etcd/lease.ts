import {
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from '../../../proto/generated/etcd/messages.ts';
import type { EmbeddedStore } from '../embedded-store.ts';
import type { GrpcCall } from '../grpc/server.ts';
import { StoreError } from '../store.ts';
import type { AuthGate } from './auth-gate.ts';
import { headerOf } from './header.ts';
import type { ServiceMethods } from './services.ts';

export function leaseMethods(store: EmbeddedStore, gate: AuthGate): ServiceMethods {
  return {
    unary: {
      LeaseGrant: (request, caller) => {
        gate.user(caller);
        const { TTL, ID } = LeaseGrantRequest.decode(request);
        return store.grantLease(TTL, ID);
      },
      LeaseRevoke: (request, caller) => {
        gate.lease(LeaseRevokeRequest.decode(request).ID, caller);
        return store.write('leaseRevoke', request);
      },
      LeaseTimeToLive: async (request, caller) => {
        const { ID, keys } = LeaseTimeToLiveRequest.decode(request);
        if (keys) gate.lease(ID, caller);
        const status = await store.leaseTimeToLive(ID, keys);
        return LeaseTimeToLiveResponse.encode({
          header: headerOf(store),
          ID,
          TTL: BigInt(status.ttl),
          grantedTTL: BigInt(status.grantedTtl),
          keys: [...status.keys],
        }).finish();
      },
      LeaseLeases: async () => {
        const leases = (await store.leases()).map((ID) => ({ ID }));
        return LeaseLeasesResponse.encode({ header: headerOf(store), leases }).finish();
      },
    },
    stream: { LeaseKeepAlive: (call) => keepAlive(store, call) },
  };
}

function keepAlive(store: EmbeddedStore, call: GrpcCall): void {
  // Answers come in the order of the requests.
  let last = Promise.resolve();
  call.onMessage = (message) => {
    const { ID } = LeaseKeepAliveRequest.decode(message);
    last = last.then(async () => {
      try {
        const ttl = await ttlAfterRenewal(store, ID);
        call.send(LeaseKeepAliveResponse.encode({ header: headerOf(store), ID, TTL: BigInt(ttl) }).finish());
      } catch (error) {
        call.end(error);
      }
    });
  };
  call.onEnd = () => {
    last = last.then(() => call.end());
  };
}

/** Seconds; 0 when there is no such lease, which is how this call says so. */
async function ttlAfterRenewal(store: EmbeddedStore, id: bigint): Promise<number> {
  try {
    return (await store.leaseKeepAlive(id)).ttl;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'lease_not_found') return 0;
    throw error;
  }
}
