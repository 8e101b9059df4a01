import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import t from 'tap';
import { createLogger } from '../log/logger.ts';
import { startEmbeddedStore } from './embedded.ts';
import { restoreStore } from './restore.ts';
import { SnapshotFileError } from './snapshot-file.ts';

const logger = createLogger('test', 'fatal');
const directory = mkdtempSync(join(tmpdir(), 'balsa-restore-'));
t.teardown(() => rmSync(directory, { recursive: true }));
const file = join(directory, 'snapshot');
const members = [{ name: 'new', peerUrls: [] }];
const everything = { key: Buffer.of(0), rangeEnd: Buffer.of(0) } as const;

const first = await startEmbeddedStore({ dataDir: join(directory, 'old'), nodeName: 'old', autoCompaction: 0, logger });
await first.store.leaseGrant(1000, 7n);
for (let count = 0; count < 100; count++) {
  await first.store.put({ key: Buffer.from(`k${count % 10}`), value: Buffer.from(`${count}`), lease: 7n });
}
const before = await first.store.range(everything);
await pipeline(first.store.snapshot(), createWriteStream(file));
await first.store.put({ key: Buffer.from('later'), value: Buffer.from('not in it') });
await first.stop();

t.test('a new cluster begins with what was in the snapshot', async (t) => {
  const dataDir = join(directory, 'new');
  const { revision } = await restoreStore({ snapshot: file, dataDir, nodeName: 'new', members });
  t.equal(revision, before.revision);
  const { store, clusterId, stop } = await startEmbeddedStore({ dataDir, nodeName: 'new', autoCompaction: 0, logger });
  t.same(await store.range(everything), before);
  t.equal((await store.range({ key: Buffer.from('k0'), revision: 2 })).kvs[0]?.value.toString(), '0', 'history, too');
  t.same(await store.leases(), [7n]);
  t.not(clusterId, first.clusterId, 'it is another cluster');
  t.same(
    (await store.members()).map(({ name }) => name),
    ['new'],
  );
  t.equal((await store.put({ key: Buffer.from('a'), value: Buffer.from('b') })).revision, before.revision + 1);
  await stop();
  const again = await startEmbeddedStore({ dataDir, nodeName: 'new', autoCompaction: 0, logger });
  t.equal((await again.store.range(everything)).count, before.count + 1);
  await again.stop();
  await t.rejects(restoreStore({ snapshot: file, dataDir, nodeName: 'new', members }), /holds a store already/);
});

t.test('a snapshot that is not whole is refused', async (t) => {
  const whole = readFileSync(file);
  const damaged = Buffer.from(whole);
  damaged[whole.length >> 1]! ^= 1;
  const cases = { damaged, cut: whole.subarray(0, whole.length - 512), short: whole.subarray(0, 100) };
  for (const [name, bytes] of Object.entries(cases)) {
    const snapshot = join(directory, name);
    writeFileSync(snapshot, bytes);
    const dataDir = join(directory, 'from damaged');
    await t.rejects(restoreStore({ snapshot, dataDir, nodeName: 'new', members }), SnapshotFileError, name);
  }
  const { revision } = await restoreStore({
    snapshot: file,
    dataDir: join(directory, 'from damaged'),
    nodeName: 'new',
    members,
  });
  t.equal(revision, before.revision, 'the directory is as good as new');
});
