import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createLogger } from '../../daemon/log/logger.ts';
import { startEmbeddedStore } from '../../daemon/store/embedded.ts';

// A disk that runs full under the store: it stops, clearly, and what it had acknowledged is there once there is room again.

const logger = createLogger('test', 'silent');
const mount = mkdtempSync(join(tmpdir(), 'balsa-full-'));
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', mount]);
t.teardown(() => {
  execFileSync('umount', [mount]);
  rmSync(mount, { recursive: true });
});

t.test('a full disk stops the store, and takes nothing that was acknowledged', async (t) => {
  const acknowledged = new Set<string>();
  let failed!: (error: Error) => void;
  const fatal = new Promise<Error>((resolve) => {
    failed = resolve;
  });
  const first = await startEmbeddedStore({
    dataDir: join(mount, 'store'),
    nodeName: 'one',
    autoCompaction: 0,
    logger,
    onFatal: failed,
  });
  const value = Buffer.alloc(64 * 1024, 'x');
  let refused = 0;
  for (let count = 0; refused === 0; count++) {
    const name = `k${count}`;
    await first.store.put({ key: Buffer.from(name), value }).then(
      () => acknowledged.add(name),
      () => {
        refused++;
      },
    );
  }
  t.match((await fatal).message, /the store cannot go on/);
  t.ok(acknowledged.size > 50, `${acknowledged.size} writes fitted`);
  await t.rejects(
    first.store.put({ key: Buffer.from('more'), value }),
    { code: 'unavailable' },
    'nothing is taken any more',
  );
  await first.stop();

  execFileSync('mount', ['-o', 'remount,size=256m', mount]);
  const second = await startEmbeddedStore({
    dataDir: join(mount, 'store'),
    nodeName: 'one',
    autoCompaction: 0,
    logger,
  });
  const { kvs } = await second.store.range({ key: Buffer.of(0), rangeEnd: Buffer.of(0), keysOnly: true });
  const found = new Set(kvs.map((kv) => kv.key.toString()));
  t.same(
    [...acknowledged].filter((name) => !found.has(name)),
    [],
  );
  await second.store.put({ key: Buffer.from('again'), value });
  await second.stop();
});
