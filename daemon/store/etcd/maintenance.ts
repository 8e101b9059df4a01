import {
  AlarmRequest,
  AlarmResponse,
  DefragmentResponse,
  DowngradeRequest,
  DowngradeResponse,
  HashKVRequest,
  HashKVResponse,
  HashResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
  SnapshotResponse,
  StatusResponse,
} from '../../../proto/generated/etcd/messages.ts';
import { type EmbeddedStore, etcdVersion } from '../embedded-store.ts';
import type { GrpcCall } from '../grpc/server.ts';
import { GrpcError } from '../grpc/status.ts';
import { grpcStatus, storeError } from '../store-error-table.ts';
import type { AuthGate } from './auth-gate.ts';
import { headerOf } from './header.ts';
import type { ServiceMethods } from './services.ts';

const alarmTypes = { nospace: 1, corrupt: 2 } as const;

export function maintenanceMethods(store: EmbeddedStore, gate: AuthGate): ServiceMethods {
  const { native, thread } = store;
  return {
    unary: {
      Alarm: async (request, caller) => {
        const { action } = AlarmRequest.decode(request);
        if (action !== 0) {
          gate.admin(caller);
          return store.write('alarm', request);
        }
        const alarms = native.alarms().map(({ memberId, alarm }) => ({ memberID: memberId, alarm: alarmTypes[alarm] }));
        return AlarmResponse.encode({ header: headerOf(store), alarms }).finish();
      },
      Status: async () => {
        const status = await store.status();
        return StatusResponse.encode({
          header: headerOf(store, status.revision),
          version: status.version,
          dbSize: BigInt(status.dbSize),
          leader: status.leader,
          raftIndex: BigInt(status.raftIndex),
          raftTerm: BigInt(status.raftTerm),
          raftAppliedIndex: BigInt(status.raftAppliedIndex),
          errors: [...status.errors],
          dbSizeInUse: BigInt(status.dbSizeInUse),
          isLearner: status.isLearner,
          storageVersion: etcdVersion,
          dbSizeQuota: BigInt(native.stats().quotaBytes),
          downgradeInfo: undefined,
        }).finish();
      },
      Defragment: async (_request, caller) => {
        gate.admin(caller);
        await native.defragment();
        return DefragmentResponse.encode({ header: headerOf(store) }).finish();
      },
      Hash: async (_request, caller) => {
        gate.admin(caller);
        const { hash } = await native.hashKv();
        return HashResponse.encode({ header: headerOf(store), hash }).finish();
      },
      HashKV: async (request) => {
        const { revision } = HashKVRequest.decode(request);
        const result = await native.hashKv(Number(revision));
        return HashKVResponse.encode({
          header: headerOf(store),
          hash: result.hash,
          compactRevision: BigInt(result.compactRevision),
          hashRevision: BigInt(result.revision),
        }).finish();
      },
      MoveLeader: async (request, caller) => {
        gate.admin(caller);
        const { targetID } = MoveLeaderRequest.decode(request);
        if (!store.isLeader()) throw storeError('not_leader');
        const target = Number(targetID);
        if (!thread.state?.config.voters.includes(target)) {
          throw new GrpcError(grpcStatus.failedPrecondition, 'etcdserver: bad leader transferee');
        }
        await store.moveLeader(target);
        return MoveLeaderResponse.encode({ header: headerOf(store) }).finish();
      },
      Downgrade: (request, caller) => {
        gate.admin(caller);
        const { action } = DowngradeRequest.decode(request);
        if (action === 0) return DowngradeResponse.encode({ header: headerOf(store), version: etcdVersion }).finish();
        throw new GrpcError(grpcStatus.failedPrecondition, 'etcdserver: no inflight downgrade job');
      },
    },
    stream: {
      Snapshot: (call) => {
        call.onMessage = () => {
          try {
            gate.admin(call.caller);
          } catch (error) {
            call.end(error);
            return;
          }
          sendSnapshot(store, call).then(
            () => call.end(),
            (error: unknown) => call.end(error),
          );
        };
        call.onEnd = () => {
          // The answer is still on its way.
        };
      },
    },
  };
}

async function sendSnapshot(store: EmbeddedStore, call: GrpcCall): Promise<void> {
  let closed = false;
  let wake = () => {};
  call.onDrain = () => wake();
  call.onClose = () => {
    closed = true;
    wake();
  };
  for await (const blob of store.snapshot()) {
    if (closed) return;
    const message = { header: headerOf(store), remainingBytes: 0n, blob, version: etcdVersion };
    if (call.send(SnapshotResponse.encode(message).finish())) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}
