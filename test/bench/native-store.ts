import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeCommand, type NativeStore, openStore } from '../../daemon/store/native.ts';

/** What the native store itself can do, on one thread and without Raft, gRPC or a network: the ceiling for everything above it. */

function bytesField(field: number, value: Buffer): Buffer {
  const head = [field * 8 + 2];
  let size = value.length;
  for (; size >= 128; size = Math.floor(size / 128)) head.push((size % 128) | 0x80);
  head.push(size);
  return Buffer.concat([Buffer.from(head), value]);
}

const putOf = (key: Buffer, value: Buffer) =>
  encodeCommand('put', Buffer.concat([bytesField(1, key), bytesField(2, value)]));
const keyOf = (i: number) =>
  Buffer.from(`/registry/pods/namespace-${String(i % 100).padStart(3, '0')}/pod-${String(i).padStart(8, '0')}`);
const seconds = (from: bigint) => Number(process.hrtime.bigint() - from) / 1e9;
const residentMiB = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;

function report(what: string, amount: number, unit: string): void {
  process.stdout.write(`${what.padEnd(58)} ${amount.toFixed(amount < 10 ? 2 : 0).padStart(10)} ${unit}\n`);
}

class Bench {
  readonly store: NativeStore;
  readonly path: string;
  #index: number;

  constructor(walSync: 'always' | 'never') {
    this.path = mkdtempSync(join(tmpdir(), 'balsa-bench-'));
    this.store = openStore(this.path, { walSync });
    this.#index = 0;
  }

  entries(commands: readonly Buffer[]) {
    return commands.map((data) => ({ index: ++this.#index, term: 1, type: 0, data }));
  }

  /** Log and apply, as a member does; the log is cut now and then. */
  async write(commands: readonly Buffer[]): Promise<void> {
    const entries = this.entries(commands);
    const logged = this.store.appendLog(entries);
    this.store.apply(entries, { raftTerm: 1 });
    await logged;
    if (this.#index % 50_000 < commands.length) this.store.compactLog(this.#index);
  }

  end(): void {
    this.store.close();
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Repeats for about a second; returns how often a second. */
function rate(work: () => void, batch = 1): number {
  for (let i = 0; i < 3; i++) work();
  const from = process.hrtime.bigint();
  let done = 0;
  do {
    work();
    done += batch;
  } while (seconds(from) < 1);
  return done / seconds(from);
}

async function puts(): Promise<void> {
  const value = Buffer.alloc(1024, 'v');
  for (const size of [1, 32, 100]) {
    const bench = new Bench('always');
    const rounds = Math.ceil(5000 / size);
    const from = process.hrtime.bigint();
    for (let i = 0; i < rounds; i++) {
      await bench.write(Array.from({ length: size }, (_, j) => putOf(keyOf(i * size + j), value)));
    }
    report(`puts of 1 KiB, batches of ${size}, each batch fsynced`, (rounds * size) / seconds(from), '/s');
    bench.end();
  }
  const bench = new Bench('never');
  let next = 0;
  const commands = Array.from({ length: 20_000 }, (_, i) => putOf(keyOf(i), value));
  const from = process.hrtime.bigint();
  for (; next < commands.length; next += 100) {
    bench.store.apply(bench.entries(commands.slice(next, next + 100)), { raftTerm: 1 });
  }
  report('apply alone of 1 KiB puts, batches of 100', commands.length / seconds(from), '/s');
  bench.end();
}

async function reads(): Promise<void> {
  const bench = new Bench('never');
  const value = Buffer.alloc(1024, 'v');
  for (let i = 0; i < 30_000; i += 100) {
    await bench.write(
      Array.from({ length: 100 }, (_, j) => putOf(Buffer.from(`/list/${String(i + j).padStart(8, '0')}`), value)),
    );
  }
  const { store } = bench;
  const keys = Array.from({ length: 30_000 }, (_, i) => Buffer.from(`/list/${String(i).padStart(8, '0')}`));
  const requests = keys.map((key) => bytesField(1, key));
  let at = 0;
  const hot = () => keys[at++ % 1000] as Buffer;
  const cold = () => keys[(at++ * 7919) % keys.length] as Buffer;
  report(
    'point gets of 1 KiB, hot',
    rate(() => store.get(hot())),
    '/s',
  );
  report(
    'point gets of 1 KiB, over 30 MiB',
    rate(() => store.get(cold())),
    '/s',
  );
  report(
    'point gets, encoded',
    rate(() => store.rangeEncoded(requests[at++ % 1000] as Buffer, 1)),
    '/s',
  );
  for (const limit of [1000, 3000]) {
    const request = { key: Buffer.from('/list/'), rangeEnd: keys[limit] as Buffer };
    const encoded = Buffer.concat([bytesField(1, request.key), bytesField(2, request.rangeEnd)]);
    report(
      `lists of ${limit} x 1 KiB, packed`,
      rate(() => store.rangePacked(request)),
      '/s',
    );
    report(
      `lists of ${limit} x 1 KiB, as objects`,
      rate(() => store.range(request)),
      '/s',
    );
    report(
      `lists of ${limit} x 1 KiB, encoded`,
      rate(() => store.rangeEncoded(encoded, 1)),
      '/s',
    );
  }
  report(
    'pages of 500 of 30,000 keys',
    rate(() => store.rangePacked({ key: Buffer.from('/list/'), rangeEnd: Buffer.from('/list0'), limit: 500 })),
    '/s',
  );
  bench.end();
}

async function watches(): Promise<void> {
  for (const count of [100, 10_000]) {
    const bench = new Bench('never');
    const hub = bench.store.createWatchHub();
    let delivered = 0;
    let target = 0;
    let arrived = () => {};
    const sink = {
      onEvents: (events: readonly unknown[]) => {
        delivered += events.length;
        if (delivered === target) arrived();
      },
      onCancel: () => {},
    };
    for (let i = 0; i < count; i++) hub.watch({ key: Buffer.from('k'), rangeEnd: Buffer.from('l') }, sink);
    const changes = count === 100 ? 5000 : 200;
    target = changes * count;
    const all = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const awake = setInterval(() => {}, 1000);
    const from = process.hrtime.bigint();
    for (let i = 0; i < changes; i += 10) {
      await bench.write(Array.from({ length: 10 }, (_, j) => putOf(Buffer.from(`k${i + j}`), Buffer.alloc(512))));
    }
    await all;
    report(`events to ${count} watchers of one range`, delivered / seconds(from), '/s');
    clearInterval(awake);
    hub.close();
    bench.end();
  }
}

async function memory(): Promise<void> {
  const before = residentMiB();
  const bench = new Bench('never');
  report('resident memory of an empty store, above Node', residentMiB() - before, 'MiB');
  for (let i = 0; i < 1_000_000; i += 1000) {
    await bench.write(Array.from({ length: 1000 }, (_, j) => putOf(keyOf(i + j), Buffer.alloc(64))));
  }
  const stats = bench.store.stats();
  report('key index of 1,000,000 keys of 44 bytes', stats.indexBytes / 2 ** 20, 'MiB');
  report('resident memory with them', residentMiB(), 'MiB');
  bench.store.close();
  const from = process.hrtime.bigint();
  const again = openStore(bench.path);
  report('opening it again', seconds(from) * 1000, 'ms');
  const index = again.state().appliedIndex + 1;
  const compact = { index, term: 1, type: 0, data: encodeCommand('compaction', Buffer.from([0x08, 0x81, 0x89, 0x3d])) };
  await again.appendLog([compact]);
  const begin = process.hrtime.bigint();
  again.apply([compact], { raftTerm: 1 });
  await again.compactionFinished();
  report('compaction that finds nothing to remove', seconds(begin) * 1000, 'ms');
  again.close();
  rmSync(bench.path, { recursive: true, force: true });
}

await puts();
await reads();
await watches();
await memory();
