import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { encodeCommand, type NativeStore, openStore, type RequestKind } from './native.ts';
import type { KeyValue, RangeRequest, WatchEvent, WatchRequest } from './store.ts';

/** The addon as JavaScript sees it: packed answers, errors, promises, watchers, two threads. Its semantics have their tests in C++. */

function directoryOf(test: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'balsa-native-'));
  test.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function openFor(test: Test, path = directoryOf(test)): NativeStore {
  const store = openStore(path, { clusterId: 11n, memberId: 12n, walSync: 'never' });
  test.teardown(() => store.close());
  return store;
}

// --- etcd's messages, as far as these tests write and read them

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return bytes;
}

function bytesField(field: number, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([...varint(BigInt(field * 8 + 2)), ...varint(BigInt(value.length))]), value]);
}

function intField(field: number, value: bigint): Buffer {
  return Buffer.from([...varint(BigInt(field * 8)), ...varint(value)]);
}

function putRequest(key: Buffer, value: Buffer, lease = 0n): Buffer {
  return Buffer.concat([bytesField(1, key), bytesField(2, value), intField(3, lease)]);
}

/** Top-level fields of a message: numbers of varints, bytes of the rest. */
function fieldsOf(message: Buffer): Map<number, (bigint | Buffer)[]> {
  const fields = new Map<number, (bigint | Buffer)[]>();
  let at = 0;
  const read = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
  };
  while (at < message.length) {
    const tag = Number(read());
    let value: bigint | Buffer = read();
    if ((tag & 7) === 2) {
      const size = Number(value);
      value = message.subarray(at, at + size);
      at += size;
    }
    const known = fields.get(tag >> 3) ?? [];
    known.push(value);
    fields.set(tag >> 3, known);
  }
  return fields;
}

function apply(store: NativeStore, kind: RequestKind, request: Buffer) {
  const index = store.state().appliedIndex + 1;
  const data = encodeCommand(kind, request, { proposal: index + 2 ** 40, proposer: 12n });
  const entry = { index, term: 3, type: 0, data };
  void store.appendLog([entry]);
  const [result] = store.apply([entry], { raftTerm: 3 });
  if (result === undefined) throw new Error('no result');
  return result;
}

// A hub does not keep its process up, so something must while a test waits for one.
const awake = setInterval(() => {}, 1000);
t.teardown(() => clearInterval(awake));

const bytes = (text: string) => Buffer.from(text);
const everything: RangeRequest = { key: bytes('\0'), rangeEnd: bytes('\0') };

t.test('put, get and range agree with a model, whatever the keys, values, leases and revisions', async (test) => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 }).map((array) => Buffer.from(array));
  const value = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 5000, maxLength: 80_000 }));
  const lease = fc.constantFrom(0n, 1n, -5n, 2n ** 62n);
  const command = fc.oneof(
    fc.record({ put: key, value: value.map((array) => Buffer.from(array)), lease }),
    fc.record({ remove: key, end: fc.option(key, { nil: undefined }) }),
  );
  const query = fc.record({
    key,
    rangeEnd: fc.option(fc.oneof(key, fc.constant(bytes('\0'))), { nil: undefined }),
    limit: fc.nat(4),
    sortOrder: fc.constantFrom('none' as const, 'ascend' as const, 'descend' as const),
    keysOnly: fc.boolean(),
    countOnly: fc.boolean(),
    back: fc.nat(5),
  });
  const covers = (request: RangeRequest, candidate: Buffer) => {
    if (request.rangeEnd === undefined) return candidate.equals(request.key);
    if (candidate.compare(request.key) < 0) return false;
    return request.rangeEnd.equals(bytes('\0')) || candidate.compare(request.rangeEnd) < 0;
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { maxLength: 25 }),
      fc.array(query, { maxLength: 10 }),
      async (commands, queries) => {
        const path = mkdtempSync(join(tmpdir(), 'balsa-native-'));
        const store = openStore(path, { clusterId: 11n, memberId: 12n, walSync: 'never' });
        try {
          for (const id of [1n, -5n, 2n ** 62n]) {
            const granted = apply(store, 'leaseGrant', Buffer.concat([intField(1, 60n), intField(2, id)]));
            if (granted.error !== undefined) throw new Error(granted.error);
          }
          let state = new Map<string, KeyValue>();
          const history = [state, state];
          for (const one of commands) {
            const revision = history.length;
            const next = new Map(state);
            if ('put' in one) {
              const before = state.get(one.put.toString('hex'));
              next.set(one.put.toString('hex'), {
                key: one.put,
                value: one.value,
                createRevision: before?.createRevision ?? revision,
                modRevision: revision,
                version: (before?.version ?? 0) + 1,
                lease: one.lease,
              });
              const applied = apply(store, 'put', putRequest(one.put, one.value, one.lease));
              if (applied.error !== undefined || !applied.mine) throw new Error(`put: ${applied.error}`);
            } else {
              const request = { key: one.remove, ...(one.end && { rangeEnd: one.end }) };
              for (const [name, kv] of state) if (covers(request, kv.key)) next.delete(name);
              apply(
                store,
                'deleteRange',
                Buffer.concat([bytesField(1, one.remove), bytesField(2, one.end ?? Buffer.alloc(0))]),
              );
              if (next.size === state.size) continue;
            }
            state = next;
            history.push(state);
          }
          const revision = history.length - 1;
          if (store.state().revision !== revision) throw new Error('revision');
          for (const { key: from, rangeEnd, back, ...options } of queries) {
            const at = Math.max(1, revision - back);
            const request: RangeRequest = { key: from, ...(rangeEnd && { rangeEnd }), revision: at, ...options };
            const all = [...(history[at] as Map<string, KeyValue>).values()]
              .filter((kv) => covers(request, kv.key))
              .sort((a, b) => a.key.compare(b.key));
            if (options.sortOrder === 'descend') all.reverse();
            const cut = options.countOnly ? [] : all.slice(0, options.limit || all.length);
            const result = store.range(request);
            const expected = cut.map((kv) => (options.keysOnly ? { ...kv, value: Buffer.alloc(0) } : kv));
            if (result.count !== all.length || result.revision !== revision) throw new Error('count or revision');
            if (result.more !== (!options.countOnly && cut.length < all.length)) throw new Error('more');
            test.same(result.kvs, expected);
            if (rangeEnd === undefined && back === 0) test.same(store.get(from), all[0]);
          }
        } finally {
          store.close();
          rmSync(path, { recursive: true, force: true });
        }
      },
    ),
    { numRuns: 30 },
  );
});

t.test('the encoded range is the typed one', async (test) => {
  const store = openFor(test);
  for (let i = 0; i < 20; i++) apply(store, 'put', putRequest(bytes(`key${i}`), Buffer.alloc(i * 1000, i)));
  const response = fieldsOf(
    store.rangeEncoded(Buffer.concat([bytesField(1, bytes('\0')), bytesField(2, bytes('\0')), intField(3, 15n)]), 9),
  );
  const header = fieldsOf(response.get(1)?.[0] as Buffer);
  test.same(
    [1, 2, 3, 4].map((field) => header.get(field)?.[0]),
    [11n, 12n, 21n, 9n],
  );
  test.same(response.get(3), [1n]);
  test.same(response.get(4), [20n]);
  const packed = store.rangePacked({ ...everything, limit: 15 });
  test.same(
    response.get(2),
    Array.from({ length: packed.length }, (_, row) => packed.table.encoded(row)),
  );
});

t.test('refusals have the code and the words of etcd', async (test) => {
  const store = openFor(test);
  apply(store, 'put', putRequest(bytes('a'), bytes('1')));
  apply(store, 'put', putRequest(bytes('a'), bytes('2')));
  test.equal(apply(store, 'compaction', intField(1, 3n)).error, undefined);
  test.equal(apply(store, 'compaction', intField(1, 3n)).error, 'compacted');
  test.equal(apply(store, 'compaction', intField(1, 9n)).error, 'future_revision');
  test.equal(apply(store, 'put', putRequest(bytes('a'), bytes('2'), 7n)).error, 'lease_not_found');
  test.equal(apply(store, 'leaseRevoke', intField(1, 7n)).error, 'lease_not_found');
  test.equal(apply(store, 'put', bytes('\xff\xff')).error, 'invalid_argument');
  test.throws(() => store.range({ ...everything, revision: 2 }), {
    code: 'compacted',
    message: 'etcdserver: mvcc: required revision has been compacted',
  });
  test.throws(() => store.range({ ...everything, revision: 4 }), { code: 'future_revision' });
  test.throws(() => store.range({ key: Buffer.alloc(0) }), { code: 'empty_key' });
  test.throws(() => store.checkRequest('put', bytesField(2, bytes('value'))), { code: 'empty_key' });
  const twice = bytesField(2, bytesField(2, putRequest(bytes('k'), bytes('v'))));
  test.throws(() => store.checkRequest('txn', Buffer.concat([twice, twice])), { code: 'duplicate_key' });
  test.throws(() => store.checkRequest('txn', twice, 0), { code: 'too_many_ops' });
  test.throws(() => store.leaseRenew(5n), { code: 'not_leader' });
  await test.rejects(store.appendLog([{ index: 50, term: 1, type: 0, data: bytes('') }]), { code: 'invalid_argument' });
  store.close();
  test.throws(() => store.get(bytes('a')), { code: 'unavailable' });
  test.throws(() => openStore('/proc/nowhere'), {
    code: 'corrupt',
    message: /cannot open the store in \/proc\/nowhere: /,
  });
});

t.test('a watcher gets shared events with what was before, and progress behind them', async (test) => {
  const store = openFor(test);
  const hub = store.createWatchHub();
  test.teardown(() => hub.close());
  const seen: WatchEvent[] = [];
  const others: WatchEvent[] = [];
  apply(store, 'put', putRequest(bytes('k1'), bytes('old')));
  /** A watcher, and the revision at which it reports that it has seen everything. */
  const begin = (request: WatchRequest, events: WatchEvent[]) => {
    let report: (revision: number) => void = () => {};
    const caughtUp = new Promise<number>((resolve) => {
      report = resolve;
    });
    const watcher = hub.watch(request, {
      onEvents: (arrived) => events.push(...arrived),
      onProgress: report,
      onCancel: (reason) => test.fail(String(reason)),
    });
    return { ...watcher, caughtUp };
  };
  const first = begin({ key: bytes('k'), rangeEnd: bytes('l'), prevKv: true }, seen);
  const second = begin({ key: bytes('k1'), startRevision: 1 }, others);
  test.equal(first.revision, 2);
  apply(store, 'put', putRequest(bytes('k1'), bytes('new')));
  apply(store, 'deleteRange', bytesField(1, bytes('k1')));
  hub.requestProgress(first.id);
  hub.requestProgress(second.id);
  test.same(await Promise.all([first.caughtUp, second.caughtUp]), [4, 4]);
  test.same(
    seen.map((event) => [event.type, event.kv.value.toString(), event.kv.modRevision, event.prevKv?.value.toString()]),
    [
      ['put', 'new', 3, 'old'],
      ['delete', '', 4, 'new'],
    ],
  );
  apply(store, 'compaction', intField(1, 4n));
  const compacted = await new Promise((resolve) =>
    hub.watch(
      { key: bytes('k1'), startRevision: 2 },
      { onEvents: () => {}, onCancel: (reason, revision) => resolve([reason?.code, revision]) },
    ),
  );
  test.same(compacted, ['compacted', 4]);
  test.same(
    others.map((event) => [event.kv.modRevision, event.prevKv]),
    [
      [2, undefined],
      [3, undefined],
      [4, undefined],
    ],
  );
});

t.test('log, meta, snapshot and checkpoint by their promises', async (test) => {
  const path = directoryOf(test);
  const store = openStore(path);
  const entries = Array.from({ length: 30 }, (_, i) => ({
    index: i + 1,
    term: 2,
    type: i % 2,
    data: i % 2 ? bytes('raft') : encodeCommand('put', putRequest(bytes(`k${i}`), Buffer.alloc(i * 500))),
  }));
  await Promise.all(
    entries.map((entry) => store.appendLog([entry], { term: 2, vote: 2n ** 63n, commit: entry.index })),
  );
  test.same(store.logState().hardState, { term: 2, vote: 2n ** 63n, commit: 30 });
  test.same(store.readLog(1, 31), entries);
  test.equal(store.readLog(20, 31, 1).length, 1);
  test.equal(store.logTerm(31), undefined);
  test.equal(store.apply(entries, { raftTerm: 2, meta: [{ key: 'members/a', value: bytes('x') }] }).length, 15);
  await store.writeMeta([{ key: 'members/b', value: bytes('') }, { key: 'other' }]);
  test.same(store.scanMeta('members/'), [
    ['members/a', bytes('x')],
    ['members/b', bytes('')],
  ]);
  const hash = await store.hashKv();
  const snapshot = store.snapshot();
  test.equal(snapshot.appliedIndex, 30);
  const install = store.installSnapshot();
  for (;;) {
    const piece = await snapshot.read();
    if (piece === undefined) break;
    await install.write(piece);
  }
  snapshot.close();
  const state = await install.finish({ term: 4, vote: 1n, commit: 0 });
  test.equal(state.appliedIndex, 30);
  test.equal(store.logState().firstIndex, 31);
  test.same(await store.hashKv(), hash);
  await store.checkpoint(join(path, 'copy'));
  const copy = openStore(join(path, 'copy'));
  test.same(await copy.hashKv(), hash);
  copy.close();
  const broken = store.installSnapshot();
  await test.rejects(broken.write(bytes('nonsense')), { code: 'corrupt' });
  broken.abort();
  await store.defragment();
  store.close();
  const again = openStore(path);
  test.same(await again.hashKv(), hash);
  test.equal(again.getMeta('members/a')?.toString(), 'x');
  again.close();
});

t.test('two threads have one store', async (test) => {
  const store = openFor(test);
  const path = directoryOf(test);
  const shared = openStore(path, { walSync: 'never' });
  test.teardown(() => shared.close());
  apply(store, 'put', putRequest(bytes('unrelated'), bytes('')));
  const hub = shared.createWatchHub();
  test.teardown(() => hub.close());
  const values: string[] = [];
  const all = new Promise<void>((resolve) => {
    hub.watch(
      { key: bytes('k'), rangeEnd: bytes('l') },
      {
        onEvents: (events) => {
          values.push(...events.map((event) => event.kv.value.toString()));
          if (values.length === 500) resolve();
        },
        onCancel: () => test.fail('cancelled'),
      },
    );
  });
  const commands = Array.from({ length: 500 }, (_, i) =>
    encodeCommand('put', putRequest(bytes(`k${i % 10}`), bytes(`${i}`))),
  );
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads');
     import(workerData.tsx).then(({ register }) => { register(); return import(workerData.module); }).then(({ openStore }) => {
       const store = openStore(workerData.path);
       workerData.commands.forEach((data, i) => {
         const entry = { index: i + 1, term: 1, type: 0, data };
         store.appendLog([entry]);
         store.apply([entry], { raftTerm: 1 });
       });
       store.close();
     });`,
    {
      eval: true,
      workerData: {
        tsx: import.meta.resolve('tsx/esm/api'),
        module: new URL('native.ts', import.meta.url).href,
        path,
        commands,
      },
    },
  );
  await all;
  test.same(
    values,
    Array.from({ length: 500 }, (_, i) => `${i}`),
  );
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  test.equal(await ended, 0);
  test.equal(shared.get(bytes('k9'))?.value.toString(), '499');
});

t.test('a thread may end at any moment with work under way and watchers open', async (test) => {
  const path = directoryOf(test);
  const store = openStore(path);
  const source = `const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.tsx).then(({ register }) => { register(); return import(workerData.module); }).then(({ openStore }) => {
      const store = openStore(workerData.path);
      const hub = store.createWatchHub();
      hub.watch({ key: Buffer.from('k'), rangeEnd: Buffer.from('l'), startRevision: 1 }, { onEvents() {}, onCancel() {} });
      setInterval(() => {
        store.writeMeta([{ key: 'from-worker', value: Buffer.from('x') }]);
        store.hashKv();
        store.snapshot().read();
      }, 0);
      parentPort.postMessage('ready');
    });`;
  for (let round = 0; round < 5; round++) {
    const worker = new Worker(source, {
      eval: true,
      workerData: { tsx: import.meta.resolve('tsx/esm/api'), module: new URL('native.ts', import.meta.url).href, path },
    });
    await new Promise((resolve) => worker.once('message', resolve));
    for (let i = 0; i < 20; i++) {
      apply(store, 'put', putRequest(bytes(`k${i}`), Buffer.alloc(1000)));
      await store.writeMeta([]);
    }
    await worker.terminate();
    apply(store, 'put', putRequest(bytes('k'), bytes(`${round}`)));
  }
  test.equal(store.stats().watchers, 0);
  test.equal(store.get(bytes('k'))?.value.toString(), '4');
  store.close();
});
