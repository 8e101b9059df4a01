import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { createLogger } from '../../daemon/log/logger.ts';
import { startEmbeddedStore } from '../../daemon/store/embedded.ts';

const writer = fileURLToPath(new URL('store-crash-writer.ts', import.meta.url));

/** Lets the writer write until so much was acknowledged, and kills it in the middle of the rest. */
async function writeUntilKilled(
  dataDir: string,
  round: number,
  acknowledgements: number,
): Promise<Map<string, number>> {
  const child = spawn(process.execPath, ['--import=tsx', writer, dataDir, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  let lines = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk;
    lines += chunk.toString().split('\n').length - 1;
    if (lines >= acknowledgements) child.kill('SIGKILL');
  });
  const [, signal] = await once(child, 'close');
  if (signal !== 'SIGKILL') throw new Error('the writer ended by itself');
  const whole = said.slice(0, said.lastIndexOf('\n') + 1).trim();
  return new Map(
    whole.split('\n').map((line) => {
      const [name, revision] = line.split(' ');
      return [name!, Number(revision)] as const;
    }),
  );
}

t.test('what was acknowledged before a kill -9 is there after it, at its revision', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'balsa-crash-'));
  t.teardown(() => rmSync(dataDir, { recursive: true }));
  const acknowledged = new Map<string, number>();
  for (let round = 0; round < 5; round++) {
    const written = await writeUntilKilled(dataDir, round, 1 + Math.floor(Math.random() * 4000));
    for (const [name, revision] of written) acknowledged.set(name, revision);
    const { store, stop } = await startEmbeddedStore({
      dataDir,
      nodeName: 'one',
      autoCompaction: 0,
      logger: createLogger('test', 'error'),
    });
    const { kvs, revision } = await store.range({ key: Buffer.of(0), rangeEnd: Buffer.of(0) });
    const found = new Map(kvs.map((kv) => [kv.key.toString(), kv]));
    let lost = 0;
    for (const [name, at] of acknowledged) {
      const kv = found.get(name);
      if (kv?.modRevision !== at || kv.value.toString() !== name.repeat(50)) lost++;
    }
    t.equal(lost, 0, `round ${round}: ${written.size} acknowledged, ${kvs.length} there`);
    t.equal(revision, kvs.length + 1, 'one revision for each key, none skipped and none twice');
    t.equal((await store.leases()).length, round + 1);
    await stop();
  }
});
