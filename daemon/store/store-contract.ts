import type { Test } from 'tap';
import type { KeyValue, Store, StoreErrorCode, TxnRequest, WatchEvent, WatchRequest } from './store.ts';
import { StoreError } from './store.ts';

export interface StoreUnderTest {
  readonly store: Store;
  stop(): Promise<void>;
}

const bytes = (text: string) => Buffer.from(text);
const everything = { key: Buffer.of(0), rangeEnd: Buffer.of(0) } as const;

function text(kvs: readonly KeyValue[]): string[] {
  return kvs.map((kv) => `${kv.key}=${kv.value}`);
}

/** The error code a call fails with; fails the test when the call does not fail, or not with a StoreError. */
async function failure(t: Test, call: Promise<unknown>): Promise<StoreErrorCode | undefined> {
  try {
    await call;
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
  t.fail('expected the call to fail');
  return undefined;
}

/** A watch whose events can be awaited. */
class Recorder {
  readonly events: WatchEvent[] = [];
  readonly batches: { events: readonly WatchEvent[]; revision: number }[] = [];
  progress: number[] = [];
  cancelled: { code: StoreErrorCode | undefined; compactRevision: number | undefined } | undefined;
  #wake: (() => void) | undefined;
  cancel: () => void = () => {};
  requestProgress: () => void = () => {};

  static async start(store: Store, request: WatchRequest): Promise<Recorder> {
    const recorder = new Recorder();
    const watcher = await store.watch(request, {
      onEvents: (events, revision) => {
        recorder.events.push(...events);
        recorder.batches.push({ events, revision });
        recorder.#wake?.();
      },
      onProgress: (revision) => {
        recorder.progress.push(revision);
        recorder.#wake?.();
      },
      onCancel: (reason, compactRevision) => {
        recorder.cancelled = { code: reason?.code, compactRevision };
        recorder.#wake?.();
      },
    });
    recorder.cancel = () => watcher.cancel();
    recorder.requestProgress = () => watcher.requestProgress();
    return recorder;
  }

  async until(condition: (recorder: Recorder) => boolean): Promise<void> {
    while (!condition(this)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async count(events: number): Promise<string[]> {
    await this.until((recorder) => recorder.events.length >= events);
    return this.events.map((event) => `${event.type} ${event.kv.key}=${event.kv.value}@${event.kv.modRevision}`);
  }
}

/**
 * What every `Store` must do. Each test gets a store of its own that may hold other data at a higher revision than 1, but
 * no keys; revisions are therefore asserted relative to the first.
 */
export async function storeContract(t: Test, open: () => Promise<StoreUnderTest>): Promise<void> {
  const test = (name: string, body: (t: Test, store: Store, base: number) => Promise<void>) =>
    t.test(name, async (t) => {
      const { store, stop } = await open();
      // A store's own timers and threads may leave the process free to exit; a test under way does not.
      const held = setInterval(() => {}, 1000);
      try {
        await body(t, store, (await store.range({ ...everything, countOnly: true })).revision);
      } finally {
        clearInterval(held);
        await stop();
      }
    });

  await test('a put creates, then changes, and each takes a revision', async (t, store, base) => {
    const first = await store.put({ key: bytes('a'), value: bytes('1') });
    t.equal(first.revision, base + 1);
    t.equal(first.prevKv, undefined);
    const second = await store.put({ key: bytes('a'), value: bytes('2'), prevKv: true });
    t.equal(second.revision, base + 2);
    t.match(second.prevKv, { createRevision: base + 1, modRevision: base + 1, version: 1 });
    t.equal(second.prevKv?.value.toString(), '1');
    const { kvs, revision, count, more } = await store.range({ key: bytes('a') });
    t.match({ revision, count, more }, { revision: base + 2, count: 1, more: false });
    t.match(kvs[0], { createRevision: base + 1, modRevision: base + 2, version: 2, lease: 0n });
    t.equal(kvs[0]?.value.toString(), '2');
  });

  await test('values and keys are any bytes', async (t, store) => {
    const key = Buffer.from([0, 255, 128, 0, 1]);
    const value = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    await store.put({ key, value });
    const { kvs } = await store.range({ key });
    t.same(kvs[0]?.key, key);
    t.same(kvs[0]?.value, value);
    await store.put({ key: bytes('empty'), value: Buffer.alloc(0) });
    t.equal((await store.range({ key: bytes('empty') })).kvs[0]?.value.length, 0);
  });

  await test('a range is ordered, limited and counted', async (t, store) => {
    for (const name of ['d', 'b', 'a', 'c', 'e']) await store.put({ key: bytes(name), value: bytes(name) });
    const range = { key: bytes('b'), rangeEnd: bytes('e') };
    t.same(text((await store.range(range)).kvs), ['b=b', 'c=c', 'd=d']);
    const limited = await store.range({ ...range, limit: 2 });
    t.same(text(limited.kvs), ['b=b', 'c=c']);
    t.match({ more: limited.more, count: limited.count }, { more: true, count: 3 });
    t.equal((await store.range({ ...range, limit: 3 })).more, false);
    t.equal((await store.range({ key: bytes('c'), rangeEnd: Buffer.of(0) })).count, 3, 'to the end of the keyspace');
    t.equal((await store.range({ key: bytes('e'), rangeEnd: bytes('b') })).count, 0, 'an empty interval');
    const counted = await store.range({ ...range, countOnly: true });
    t.match({ kvs: counted.kvs.length, count: counted.count, more: counted.more }, { kvs: 0, count: 3, more: false });
    t.same(text((await store.range({ ...range, keysOnly: true })).kvs), ['b=', 'c=', 'd=']);
    t.same(text((await store.range({ key: bytes('nothing') })).kvs), []);
  });

  await test('a range sorts by any target', async (t, store) => {
    await store.put({ key: bytes('a'), value: bytes('z') });
    await store.put({ key: bytes('b'), value: bytes('y') });
    await store.put({ key: bytes('c'), value: bytes('x') });
    await store.put({ key: bytes('a'), value: bytes('w') });
    const names = async (request: object) =>
      (await store.range({ ...everything, ...request })).kvs.map((kv) => kv.key.toString()).join('');
    t.equal(await names({ sortOrder: 'descend' }), 'cba');
    t.equal(await names({ sortTarget: 'value', sortOrder: 'ascend' }), 'acb');
    t.equal(await names({ sortTarget: 'mod', sortOrder: 'descend' }), 'acb');
    t.equal(await names({ sortTarget: 'mod' }), 'bca', 'a target other than the key ascends by default');
    t.equal(await names({ sortTarget: 'create', sortOrder: 'descend', limit: 1 }), 'c');
    t.equal(await names({ sortTarget: 'version', sortOrder: 'descend', limit: 1 }), 'a');
  });

  await test('a range filters by revision without changing the count', async (t, store, base) => {
    for (const name of ['a', 'b', 'c']) await store.put({ key: bytes(name), value: bytes(name) });
    await store.put({ key: bytes('a'), value: bytes('2') });
    const named = async (request: object) => text((await store.range({ ...everything, ...request })).kvs);
    t.same(await named({ minModRevision: base + 3 }), ['a=2', 'c=c']);
    t.same(await named({ maxModRevision: base + 2 }), ['b=b']);
    t.same(await named({ minCreateRevision: base + 2 }), ['b=b', 'c=c']);
    t.same(await named({ maxCreateRevision: base + 1 }), ['a=2']);
    t.equal((await store.range({ ...everything, maxCreateRevision: base + 1 })).count, 3);
  });

  await test('a past revision is still there until it is compacted', async (t, store, base) => {
    await store.put({ key: bytes('a'), value: bytes('1') });
    await store.put({ key: bytes('a'), value: bytes('2') });
    await store.deleteRange({ key: bytes('a') });
    await store.put({ key: bytes('b'), value: bytes('3') });
    const at = async (revision: number) => text((await store.range({ ...everything, revision })).kvs);
    t.same(await at(base + 1), ['a=1']);
    t.same(await at(base + 2), ['a=2']);
    t.same(await at(base + 3), []);
    t.equal((await store.range({ ...everything, revision: base + 1 })).revision, base + 4, 'the newest revision');
    t.equal(await failure(t, store.range({ ...everything, revision: base + 5 })), 'future_revision');
    await store.compact(base + 2);
    t.same(await at(base + 2), ['a=2'], 'the compacted revision itself can be read');
    t.equal(await failure(t, store.range({ ...everything, revision: base + 1 })), 'compacted');
    t.equal(await failure(t, store.compact(base + 2)), 'compacted');
    t.equal(await failure(t, store.compact(base + 9)), 'future_revision');
    await store.compact(base + 4);
    t.same(await at(0), ['b=3']);
    t.match((await store.put({ key: bytes('a'), value: bytes('9') })).revision, base + 5);
    t.match((await store.range({ key: bytes('a') })).kvs[0], { version: 1, createRevision: base + 5 });
  });

  await test('a deletion takes one revision, or none', async (t, store, base) => {
    for (const name of ['a', 'b', 'c']) await store.put({ key: bytes(name), value: bytes(name) });
    const none = await store.deleteRange({ key: bytes('x') });
    t.match({ revision: none.revision, deleted: none.deleted }, { revision: base + 3, deleted: 0 });
    const two = await store.deleteRange({ key: bytes('a'), rangeEnd: bytes('c'), prevKv: true });
    t.match({ revision: two.revision, deleted: two.deleted }, { revision: base + 4, deleted: 2 });
    t.same(text(two.prevKvs), ['a=a', 'b=b']);
    t.same(text((await store.range(everything)).kvs), ['c=c']);
    await store.put({ key: bytes('a'), value: bytes('again') });
    t.match((await store.range({ key: bytes('a') })).kvs[0], { createRevision: base + 5, version: 1 });
  });

  await test('put may keep the value or the lease', async (t, store) => {
    const { id } = await store.leaseGrant(60);
    const key = bytes('k');
    t.equal(await failure(t, store.put({ key, value: bytes(''), ignoreValue: true })), 'key_not_found');
    await store.put({ key, value: bytes('v'), lease: id });
    await store.put({ key, value: bytes(''), ignoreValue: true, lease: id });
    t.match(text((await store.range({ key })).kvs), ['k=v']);
    await store.put({ key, value: bytes('w'), ignoreLease: true });
    t.match((await store.range({ key })).kvs[0], { lease: id, version: 3 });
    t.equal(await failure(t, store.put({ key, value: bytes('x'), ignoreValue: true })), 'value_provided');
    t.equal(await failure(t, store.put({ key, value: bytes(''), lease: id, ignoreLease: true })), 'lease_provided');
    t.equal(await failure(t, store.put({ key, value: bytes(''), lease: 77n })), 'lease_not_found');
    t.equal(await failure(t, store.put({ key: bytes(''), value: bytes('') })), 'empty_key');
    t.equal(await failure(t, store.range({ key: bytes('') })), 'empty_key');
    t.equal(await failure(t, store.deleteRange({ key: bytes('') })), 'empty_key');
  });

  await test('a transaction takes the branch its compares choose', async (t, store, base) => {
    const key = bytes('k');
    const create: TxnRequest = {
      compare: [{ key, result: 'equal', target: { modRevision: 0 } }],
      success: [{ put: { key, value: bytes('new') } }],
      failure: [{ range: { key } }],
    };
    const first = await store.txn(create);
    t.match({ succeeded: first.succeeded, revision: first.revision }, { succeeded: true, revision: base + 1 });
    const second = await store.txn(create);
    t.match({ succeeded: second.succeeded, revision: second.revision }, { succeeded: false, revision: base + 1 });
    const response = second.responses[0];
    t.ok(response !== undefined && 'range' in response);
    if (response !== undefined && 'range' in response) t.same(text(response.range.kvs), ['k=new']);
    const updated = await store.txn({
      compare: [{ key, result: 'equal', target: { modRevision: base + 1 } }],
      success: [{ put: { key, value: bytes('newer'), prevKv: true } }],
      failure: [],
    });
    t.equal(updated.succeeded, true);
    const put = updated.responses[0];
    t.ok(put !== undefined && 'put' in put);
    if (put !== undefined && 'put' in put) t.equal(put.put.prevKv?.value.toString(), 'new');
  });

  await test('every compare has etcd’s meaning', async (t, store, base) => {
    await store.put({ key: bytes('a'), value: bytes('m') });
    await store.put({ key: bytes('a'), value: bytes('m') });
    await store.put({ key: bytes('b'), value: bytes('n') });
    const holds = async (compare: TxnRequest['compare'][number]) =>
      (await store.txn({ compare: [compare], success: [], failure: [] })).succeeded;
    const a = bytes('a');
    const missing = bytes('zzz');
    t.equal(await holds({ key: a, result: 'equal', target: { version: 2 } }), true);
    t.equal(await holds({ key: a, result: 'greater', target: { version: 1 } }), true);
    t.equal(await holds({ key: a, result: 'less', target: { version: 2 } }), false);
    t.equal(await holds({ key: a, result: 'not_equal', target: { version: 3 } }), true);
    t.equal(await holds({ key: a, result: 'equal', target: { createRevision: base + 1 } }), true);
    t.equal(await holds({ key: a, result: 'equal', target: { modRevision: base + 2 } }), true);
    t.equal(await holds({ key: a, result: 'equal', target: { value: bytes('m') } }), true);
    t.equal(await holds({ key: a, result: 'greater', target: { value: bytes('l') } }), true);
    t.equal(await holds({ key: a, result: 'less', target: { value: bytes('ma') } }), true);
    t.equal(await holds({ key: a, result: 'equal', target: { lease: 0n } }), true);
    t.equal(await holds({ key: missing, result: 'equal', target: { version: 0 } }), true);
    t.equal(await holds({ key: missing, result: 'equal', target: { value: bytes('') } }), false);
    t.equal(await holds({ key: missing, result: 'not_equal', target: { value: bytes('x') } }), false);
    const both = { key: a, rangeEnd: bytes('c') };
    t.equal(await holds({ ...both, result: 'greater', target: { version: 0 } }), true, 'of every key in the range');
    t.equal(await holds({ ...both, result: 'equal', target: { version: 2 } }), false, 'of every key in the range');
    t.equal(await failure(t, holds({ key: bytes(''), result: 'equal', target: { version: 0 } })), 'empty_key');
  });

  await test('a transaction is one revision and sees its own writes', async (t, store, base) => {
    await store.put({ key: bytes('gone'), value: bytes('x') });
    const result = await store.txn({
      compare: [],
      success: [
        { put: { key: bytes('a'), value: bytes('1') } },
        { range: { key: bytes('a') } },
        { deleteRange: { key: bytes('gone'), prevKv: true } },
        {
          txn: {
            compare: [{ key: bytes('a'), result: 'equal', target: { version: 0 } }],
            success: [{ put: { key: bytes('b'), value: bytes('nested') } }],
            failure: [{ put: { key: bytes('c'), value: bytes('wrong') } }],
          },
        },
        { range: everything },
      ],
      failure: [],
    });
    t.equal(result.revision, base + 2);
    const [, read, deleted, nested, all] = result.responses;
    if (read === undefined || !('range' in read)) throw new Error('the second response is a range');
    t.same(text(read.range.kvs), ['a=1']);
    t.equal(read.range.kvs[0]?.modRevision, base + 2);
    t.equal(read.range.revision, base + 2);
    if (deleted === undefined || !('deleteRange' in deleted)) throw new Error('the third response is a deletion');
    t.equal(deleted.deleteRange.deleted, 1);
    t.same(text(deleted.deleteRange.prevKvs), ['gone=x']);
    if (nested === undefined || !('txn' in nested)) throw new Error('the fourth response is a transaction');
    t.equal(nested.txn.succeeded, true, 'nested compares are judged on the state before the transaction');
    if (all === undefined || !('range' in all)) throw new Error('the fifth response is a range');
    t.same(text(all.range.kvs), ['a=1', 'b=nested']);
    t.equal((await store.range(everything)).revision, base + 2);
  });

  await test('a transaction that cannot be done does nothing', async (t, store, base) => {
    const put = (name: string, more: object = {}) => ({ put: { key: bytes(name), value: bytes('v'), ...more } });
    const run = (success: TxnRequest['success'], failed: TxnRequest['failure'] = []) =>
      failure(t, store.txn({ compare: [], success, failure: failed }));
    t.equal(await run([put('a'), put('a')]), 'duplicate_key');
    t.equal(await run([], [put('a'), put('a')]), 'duplicate_key', 'in the branch not taken, too');
    t.equal(await run([put('b'), { deleteRange: { key: bytes('a'), rangeEnd: bytes('c') } }]), 'duplicate_key');
    t.equal(
      await run([put('a'), { txn: { compare: [], success: [put('a')], failure: [] } }]),
      'duplicate_key',
      'in a nested transaction',
    );
    t.equal(await run([put('a'), put('b', { lease: 99n })]), 'lease_not_found');
    t.equal(await run([put('a'), { range: { key: bytes('a'), revision: base + 10 } }]), 'future_revision');
    t.equal(await run([put('')]), 'empty_key');
    t.equal(await run(Array.from({ length: 129 }, (_, index) => put(`k${index}`))), 'too_many_ops');
    t.match(await store.range(everything), { count: 0, revision: base });
    const most = Array.from({ length: 128 }, (_, index) => put(`k${index}`));
    t.equal((await store.txn({ compare: [], success: most, failure: [] })).revision, base + 1);
    const branches: TxnRequest = {
      compare: [],
      success: [{ txn: { compare: [], success: [put('same')], failure: [put('same')] } }],
      failure: [put('same')],
    };
    t.equal((await store.txn(branches)).succeeded, true, 'branches of which only one runs may overlap');
  });

  await test('a watch delivers each change once, in order', async (t, store, base) => {
    const watch = await Recorder.start(store, { key: bytes('a'), rangeEnd: bytes('c') });
    await store.put({ key: bytes('a'), value: bytes('1') });
    await store.put({ key: bytes('outside'), value: bytes('-') });
    await store.put({ key: bytes('b'), value: bytes('2') });
    await store.deleteRange({ key: bytes('a') });
    t.same(await watch.count(3), [`put a=1@${base + 1}`, `put b=2@${base + 3}`, `delete a=@${base + 4}`]);
    t.match(watch.events[2]?.kv, { createRevision: 0, modRevision: base + 4, version: 0 });
    watch.cancel();
    await store.put({ key: bytes('a'), value: bytes('3') });
    const second = await Recorder.start(store, { key: bytes('a'), startRevision: base + 5 });
    await second.count(1);
    t.equal(watch.events.length, 3, 'nothing after it is cancelled');
    second.cancel();
  });

  await test('a watch starts in the past and goes on in the present', async (t, store, base) => {
    await store.put({ key: bytes('a'), value: bytes('1') });
    await store.put({ key: bytes('a'), value: bytes('2') });
    await store.deleteRange({ key: bytes('a') });
    const watch = await Recorder.start(store, { key: bytes('a'), startRevision: base + 2, prevKv: true });
    await watch.count(2);
    await store.put({ key: bytes('a'), value: bytes('4') });
    await store.put({ key: bytes('a'), value: bytes('5') });
    t.same(await watch.count(4), [
      `put a=2@${base + 2}`,
      `delete a=@${base + 3}`,
      `put a=4@${base + 4}`,
      `put a=5@${base + 5}`,
    ]);
    t.same(
      watch.events.map((event) => event.prevKv?.value.toString()),
      ['1', '2', undefined, '4'],
    );
    watch.cancel();
  });

  await test('a watch delivers a transaction whole', async (t, store, base) => {
    const watch = await Recorder.start(store, everything);
    const success = ['x', 'y', 'z'].map((name) => ({ put: { key: bytes(name), value: bytes('1') } }));
    await store.txn({ compare: [], success, failure: [] });
    await watch.count(3);
    t.equal(watch.batches.length, 1);
    t.equal(watch.batches[0]?.revision, base + 1);
    t.ok(watch.events.every((event) => event.kv.modRevision === base + 1));
    watch.cancel();
  });

  await test('a watch may leave out puts or deletions', async (t, store, base) => {
    const puts = await Recorder.start(store, { ...everything, filters: ['nodelete'] });
    const deletes = await Recorder.start(store, { ...everything, filters: ['noput'] });
    await store.put({ key: bytes('a'), value: bytes('1') });
    await store.deleteRange({ key: bytes('a') });
    await store.put({ key: bytes('b'), value: bytes('2') });
    t.same(await puts.count(2), [`put a=1@${base + 1}`, `put b=2@${base + 3}`]);
    t.same(await deletes.count(1), [`delete a=@${base + 2}`]);
    puts.cancel();
    deletes.cancel();
  });

  await test('a watch of what is compacted is cancelled', async (t, store, base) => {
    for (let index = 0; index < 4; index++) await store.put({ key: bytes('a'), value: bytes(`${index}`) });
    await store.compact(base + 3);
    const watch = await Recorder.start(store, { key: bytes('a'), startRevision: base + 1 });
    await watch.until((recorder) => recorder.cancelled !== undefined);
    t.same(watch.cancelled, { code: 'compacted', compactRevision: base + 3 });
    const later = await Recorder.start(store, { key: bytes('a'), startRevision: base + 4 });
    t.same(await later.count(1), [`put a=3@${base + 4}`]);
    later.cancel();
  });

  await test('a watch of a future revision waits for it', async (t, store, base) => {
    const watch = await Recorder.start(store, { key: bytes('a'), startRevision: base + 3 });
    for (let index = 1; index <= 4; index++) await store.put({ key: bytes('a'), value: bytes(`${index}`) });
    t.same(await watch.count(2), [`put a=3@${base + 3}`, `put a=4@${base + 4}`]);
    watch.cancel();
  });

  await test('a watch reports progress when asked', async (t, store) => {
    const watch = await Recorder.start(store, { key: bytes('a'), progressNotify: true });
    const { revision } = await store.put({ key: bytes('b'), value: bytes('1') });
    watch.requestProgress();
    await watch.until((recorder) => recorder.progress.length > 0);
    t.ok(watch.progress[0]! >= revision, 'at least what was acknowledged before');
    t.equal(watch.events.length, 0);
    watch.cancel();
  });

  await test('many watches see the same', async (t, store, base) => {
    const watches = await Promise.all(
      Array.from({ length: 50 }, () => Recorder.start(store, { key: bytes('k'), rangeEnd: bytes('l') })),
    );
    await Promise.all(
      Array.from({ length: 100 }, (_, index) => store.put({ key: bytes(`k${index}`), value: bytes(`${index}`) })),
    );
    for (const watch of watches) await watch.count(100);
    const revisions = watches[0]?.events.map((event) => event.kv.modRevision);
    t.same(
      revisions,
      Array.from({ length: 100 }, (_, index) => base + 1 + index),
    );
    for (const watch of watches) {
      t.same(
        watch.events.map((event) => event.kv.modRevision),
        revisions,
      );
      watch.cancel();
    }
  });

  await test('a lease holds keys until it is revoked', async (t, store, base) => {
    const granted = await store.leaseGrant(100, 1234n);
    t.same(granted, { id: 1234n, ttl: 100 });
    t.equal(await failure(t, store.leaseGrant(100, 1234n)), 'lease_exists');
    t.equal(await failure(t, store.leaseGrant(9_000_000_001)), 'lease_ttl_too_large');
    t.equal((await store.leaseGrant(1)).ttl, 2, 'no shorter than it takes to elect a leader');
    await store.put({ key: bytes('b'), value: bytes('1'), lease: 1234n });
    await store.put({ key: bytes('a'), value: bytes('2'), lease: 1234n });
    await store.put({ key: bytes('moved'), value: bytes('3'), lease: 1234n });
    await store.put({ key: bytes('moved'), value: bytes('4') });
    const status = await store.leaseTimeToLive(1234n, true);
    t.equal(status.grantedTtl, 100);
    t.ok(status.ttl > 90 && status.ttl <= 100);
    t.same(status.keys.map((key) => key.toString()).sort(), ['a', 'b']);
    t.equal((await store.leaseKeepAlive(1234n)).ttl, 100);
    t.ok((await store.leases()).includes(1234n));
    const watch = await Recorder.start(store, everything);
    await store.leaseRevoke(1234n);
    t.same(await watch.count(2), [`delete a=@${base + 5}`, `delete b=@${base + 5}`]);
    t.same(text((await store.range(everything)).kvs), ['moved=4']);
    t.equal(await failure(t, store.leaseRevoke(1234n)), 'lease_not_found');
    t.equal(await failure(t, store.leaseKeepAlive(1234n)), 'lease_not_found');
    t.match(await store.leaseTimeToLive(1234n, false), { ttl: -1, grantedTtl: 0 });
    t.notOk((await store.leases()).includes(1234n));
    watch.cancel();
  });

  await test('a lease that is not kept alive takes its keys along', async (t, store) => {
    const { id } = await store.leaseGrant(2);
    await store.put({ key: bytes('short'), value: bytes('lived'), lease: id });
    const watch = await Recorder.start(store, { key: bytes('short') });
    await watch.until((recorder) => recorder.events.some((event) => event.type === 'delete'));
    t.equal((await store.range({ key: bytes('short') })).count, 0);
    t.notOk((await store.leases()).includes(id));
    watch.cancel();
  });

  await test('the status tells where the store is', async (t, store) => {
    const { revision } = await store.put({ key: bytes('a'), value: bytes('1') });
    const status = await store.status();
    t.ok(status.revision >= revision);
    t.ok(status.memberId !== 0n && status.leader !== 0n && status.clusterId !== 0n);
    t.same(status.errors, []);
    t.ok((await store.members()).length >= 1);
    t.equal(store.isLeader(), true);
  });
}
