import { AlarmRequest, LeaseCheckpointRequest } from '../../proto/generated/etcd/messages.ts';
import type { Logger } from '../log/logger.ts';
import type { MemberState } from '../raft/driver.ts';
import { AutoCompaction } from './auto-compaction.ts';
import { encodeInteger } from './etcd-messages.ts';
import { encodeCommand, type NativeStore } from './native.ts';
import type { RaftThreadSetup } from './raft-thread-protocol.ts';

/** Milliseconds between two looks at the leases, as often as etcd looks. */
const leaseInterval = 500;
/** How many leases are revoked, or checkpointed, at a time. */
const leaseBatch = 500;

interface Surroundings {
  readonly store: NativeStore;
  readonly setup: RaftThreadSetup;
  readonly logger: Logger;
  propose(commands: readonly Uint8Array[]): void;
}

/** What only the leader does by itself: end leases that ran out, checkpoint long ones, compact old history. Any member: mind its disk space. */
export class LeaderDuties {
  readonly #around: Surroundings;
  readonly #compaction: AutoCompaction | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #leads = false;
  #alarmed = false;

  constructor(around: Surroundings) {
    this.#around = around;
    this.#timers.push(setInterval(() => this.#mindLeases(), leaseInterval));
    this.#timers.push(setInterval(() => this.#mindSpace(), 2000));
    const { autoCompaction } = around.setup;
    if (autoCompaction > 0) {
      this.#compaction = new AutoCompaction(autoCompaction);
      this.#timers.push(setInterval(() => this.#compactHistory(), this.#compaction.interval));
    }
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  follow(state: MemberState): void {
    if (state.leading === this.#leads) return;
    this.#leads = state.leading;
    const { store, setup } = this.#around;
    // Leases live on from where the last leader is known to have left them, with time to find the new one.
    if (this.#leads) store.leasePromote(setup.electionTimeout / 1000);
    else store.leaseDemote();
  }

  /** Seconds the lease has from now on; 0: there is none; -1: this member does not lead. */
  renew(lease: bigint): number {
    if (!this.#leads) return -1;
    const { store } = this.#around;
    try {
      const { ttl, checkpointed } = store.leaseRenew(lease);
      if (checkpointed) this.#checkpoint([[lease, 0]]);
      return ttl;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'lease_not_found') return 0;
      if (error instanceof Error && 'code' in error && error.code === 'not_leader') return -1;
      throw error;
    }
  }

  /** Seconds the lease has left; -1: there is none, or this member does not lead. */
  timeToLive(lease: bigint): number {
    return this.#leads ? this.#around.store.leaseInfo(lease, false).ttl : -1;
  }

  #mindLeases(): void {
    if (!this.#leads) return;
    const { store, propose } = this.#around;
    const expired = store.expiredLeases(leaseBatch);
    if (expired.length > 0) propose(expired.map((id) => encodeCommand('leaseRevoke', encodeInteger(1, id))));
    const checkpoints = store.leaseCheckpoints(leaseBatch);
    if (checkpoints.length > 0) this.#checkpoint(checkpoints);
  }

  #checkpoint(checkpoints: readonly (readonly [bigint, number])[]): void {
    const request = LeaseCheckpointRequest.encode({
      checkpoints: checkpoints.map(([ID, remaining]) => ({ ID, remainingTTL: BigInt(remaining) })),
    });
    this.#around.propose([encodeCommand('leaseCheckpoint', request.finish())]);
  }

  #mindSpace(): void {
    const { store, setup, logger, propose } = this.#around;
    const { quotaExceeded, dbSize, quotaBytes } = store.stats();
    if (!quotaExceeded) {
      this.#alarmed = false;
      return;
    }
    if (this.#alarmed) return;
    this.#alarmed = true;
    logger.error({ dbSize, quotaBytes }, 'the store is over its space quota: it takes no more writes');
    const alarm = AlarmRequest.encode({ action: 1, memberID: BigInt(setup.memberId), alarm: 1 });
    propose([encodeCommand('alarm', alarm.finish())]);
  }

  #compactHistory(): void {
    const { store, logger, propose } = this.#around;
    const due = this.#compaction!.observe(performance.now(), store.state().revision);
    // Every member remembers the revisions; only the leader acts.
    if (due === undefined || !this.#leads || due <= store.state().compactRevision) return;
    logger.info({ revision: due }, 'compacting history');
    propose([encodeCommand('compaction', encodeInteger(1, BigInt(due)))]);
  }
}
