import { EventEmitter, once } from 'node:events';
import t from 'tap';
import type { DiskEntry } from './disk-log.ts';
import { bootstrapEntries, RaftDriver, type ReplicaDisk } from './driver.ts';

/** A disk in memory that can be told to fail. */
class FakeDisk implements ReplicaDisk {
  entries: DiskEntry[] = [];
  hardState = { term: 0, vote: 0n, commit: 0 };
  applied: DiskEntry[] = [];
  meta = new Map<string, Buffer>();
  writes = 0;
  failure: Error | undefined;

  logState() {
    const last = this.entries.length;
    return { firstIndex: 1, lastIndex: last, compactedIndex: 0, compactedTerm: 0, hardState: this.hardState };
  }
  state() {
    const last = this.applied.at(-1);
    return { appliedIndex: last?.index ?? 0, appliedTerm: last?.term ?? 0 };
  }
  async appendLog(entries: readonly DiskEntry[], hardState?: FakeDisk['hardState']): Promise<void> {
    this.writes++;
    // The fsync takes a turn of the event loop, in which other things happen.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.failure !== undefined) throw this.failure;
    if (entries.length > 0) this.entries.length = entries[0]!.index - 1;
    this.entries.push(...entries);
    if (hardState !== undefined) this.hardState = hardState;
  }
  compactLog(): void {}
  applyPacked(entries: readonly DiskEntry[], { meta = [] }: Parameters<ReplicaDisk['applyPacked']>[1]): ArrayBuffer {
    this.applied.push(...entries);
    for (const { key, value } of meta) if (value !== undefined) this.meta.set(key, Buffer.from(value));
    return new ArrayBuffer(entries.some((entry) => entry.type === 0 && entry.data.length > 0) ? 8 : 0);
  }
  getMeta(key: string): Buffer | undefined {
    return this.meta.get(key);
  }
  readLog(from: number, to: number): DiskEntry[] {
    return this.entries.slice(from - 1, to - 1);
  }
  logTerm(index: number): number | undefined {
    return index === 0 ? 0 : this.entries[index - 1]?.term;
  }
}

async function single(disk: FakeDisk): Promise<{ driver: RaftDriver; events: EventEmitter; applied: () => number }> {
  if (disk.entries.length === 0)
    await disk.appendLog(bootstrapEntries([{ id: 1, context: undefined }]), { term: 1, vote: 0n, commit: 1 });
  const events = new EventEmitter();
  let applied = 0;
  const driver = new RaftDriver({
    id: 1,
    disk,
    heartbeatInterval: 1000,
    electionTimeout: 10_000,
    keepEntries: 100,
    onApplied: () => {
      applied++;
      events.emit('applied');
    },
    onReadable: (reads) => events.emit('readable', reads),
    onState: (state) => {
      if (state.leading) events.emit('leading', state);
    },
    onConfig: () => {},
    describeChange: () => [],
    onFatal: (error) => events.emit('fatal', error),
  });
  return { driver, events, applied: () => applied };
}

t.test('a single member leads at once, and a busy one writes its proposals together', async (t) => {
  const disk = new FakeDisk();
  const { driver, events } = await single(disk);
  const leading = once(events, 'leading');
  driver.start();
  await leading;
  const before = disk.writes;
  for (let count = 0; count < 100; count++) driver.propose([Buffer.from(`${count}`)]);
  while (disk.applied.length < 102) await once(events, 'applied');
  t.ok(disk.writes - before <= 3, `${disk.writes - before} writes for 100 proposals`);
  t.same(
    disk.applied.slice(2).map((entry) => Buffer.from(entry.data).toString()),
    Array.from({ length: 100 }, (_, count) => `${count}`),
  );
  const readable = once(events, 'readable');
  driver.read([7, 8]);
  t.same(await readable, [[7, 8]]);
  await driver.stop();
});

t.test('what a disk that failed was to write is never acknowledged, and the member stops', async (t) => {
  const disk = new FakeDisk();
  const { driver, events, applied } = await single(disk);
  const leading = once(events, 'leading');
  driver.start();
  await leading;
  disk.failure = new Error('input/output error');
  const fatal = once(events, 'fatal');
  driver.propose([Buffer.from('lost')]);
  const [error] = await fatal;
  t.match(error, /input\/output error/);
  driver.propose([Buffer.from('too late')]);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(applied(), 0);
  await driver.stop();
});

t.test('a restarted member goes on where it was', async (t) => {
  const disk = new FakeDisk();
  const first = await single(disk);
  const leading = once(first.events, 'leading');
  first.driver.start();
  await leading;
  first.driver.propose([Buffer.from('a')]);
  await once(first.events, 'applied');
  await first.driver.stop();
  // Applied, but neither that nor the commit index was synced: the log says again what is to be applied.
  disk.applied = disk.applied.slice(0, 1);
  disk.hardState = { ...disk.hardState, commit: 1 };
  const second = await single(disk);
  const again = once(second.events, 'applied');
  second.driver.start();
  await again;
  t.equal(Buffer.from(disk.applied.findLast((entry) => entry.data.length > 0)!.data).toString(), 'a');
  t.ok(disk.hardState.term > 2, 'in a later term');
  await second.driver.stop();
});
