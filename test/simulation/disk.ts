import {
  type ConfigState,
  type Entry,
  emptyConfig,
  emptyHardState,
  type HardState,
  type Snapshot,
} from '../../daemon/raft/message.ts';
import type { Random } from './random.ts';
import { decodeCommand, StateMachine } from './state-machine.ts';

/** One atomic write, as the store's write batch is: after a crash it is there whole or not at all. */
export type DiskWrite =
  | { readonly kind: 'log'; readonly entries: readonly Entry[]; readonly hardState: HardState | undefined }
  | { readonly kind: 'apply'; readonly entries: readonly Entry[]; readonly config: ConfigState }
  | { readonly kind: 'install'; readonly snapshot: Snapshot; readonly hardState: HardState | undefined }
  | { readonly kind: 'compact'; readonly index: number };

/** What a member finds when it starts. */
export interface DiskImage {
  hardState: HardState;
  /** Index and term of the entry before the first. */
  compactedIndex: number;
  compactedTerm: number;
  entries: Entry[];
  applied: number;
  appliedTerm: number;
  config: ConfigState;
  machine: StateMachine;
}

/** A disk: writes are ordered; those since the last fsync are lost in a crash, from some point on. */
export class Disk {
  readonly image: DiskImage = {
    hardState: emptyHardState,
    compactedIndex: 0,
    compactedTerm: 0,
    entries: [],
    applied: 0,
    appliedTerm: 0,
    config: emptyConfig,
    machine: new StateMachine(),
  };
  #pending: DiskWrite[] = [];

  write(write: DiskWrite): void {
    this.#pending.push(write);
  }

  /** How many writes are not synced yet: what a sync begun now will cover. */
  get unsynced(): number {
    return this.#pending.length;
  }

  /** The first `count` of the writes that are not synced yet are on the platter. */
  sync(count: number): void {
    for (const write of this.#pending.splice(0, count)) this.#commit(write);
  }

  /** Power is lost: of what was not synced some prefix is there, and the torn write after it fails its checksum. */
  crash(random: Random): void {
    const survived = random.below(this.#pending.length + 1);
    for (const write of this.#pending.slice(0, survived)) this.#commit(write);
    this.#pending = [];
  }

  #commit(write: DiskWrite): void {
    const { image } = this;
    if (write.kind === 'log') {
      if (write.hardState !== undefined) image.hardState = write.hardState;
      const first = write.entries[0]?.index;
      if (first === undefined) return;
      image.entries.length = Math.min(image.entries.length, first - image.compactedIndex - 1);
      image.entries.push(...write.entries);
    } else if (write.kind === 'apply') {
      for (const entry of write.entries) {
        if (entry.type === 'normal' && entry.data.length > 0) image.machine.apply(decodeCommand(entry.data));
        image.applied = entry.index;
        image.appliedTerm = entry.term;
      }
      image.config = write.config;
    } else if (write.kind === 'install') {
      const { index, term, config } = write.snapshot.metadata;
      Object.assign(image, {
        compactedIndex: index,
        compactedTerm: term,
        entries: [],
        applied: index,
        appliedTerm: term,
        config,
        machine: StateMachine.decode(write.snapshot.data),
      });
      if (write.hardState !== undefined) image.hardState = write.hardState;
    } else {
      const dropped = write.index - image.compactedIndex;
      if (dropped <= 0) return;
      image.compactedTerm = image.entries[dropped - 1]!.term;
      image.entries = image.entries.slice(dropped);
      image.compactedIndex = write.index;
    }
  }
}
