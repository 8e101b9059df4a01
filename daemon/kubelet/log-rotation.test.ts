import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { HollowRuntime } from './hollow-runtime.ts';
import { rotateLogs } from './log-rotation.ts';

t.test('a long log is moved aside, older ones are compressed, the oldest go', async (t) => {
  const runtime = new HollowRuntime({ images: ['i'] });
  const logDirectory = mkdtempSync(join(tmpdir(), 'balsa-rotate-'));
  const sandbox = await runtime.runPodSandbox({ logDirectory, labels: {}, annotations: {} } as never);
  const config = { image: { image: 'i' }, logPath: 'c/0.log', labels: {}, annotations: {}, mounts: [] };
  const id = await runtime.createContainer(sandbox, config as never);
  await runtime.startContainer(id);
  const { logPath } = await runtime.containerStatus(id);
  mkdirSync(dirname(logPath), { recursive: true });
  runtime.reopenContainerLog = async () => writeFileSync(logPath, '');
  const files = () => readdirSync(dirname(logPath)).sort();
  writeFileSync(logPath, 'short');
  let second = 0;
  const limits = { bytes: 10, files: 3 };
  await rotateLogs(runtime, limits);
  t.strictSame(files(), ['0.log']);
  for (const text of ['first long text', 'second long text', 'third long text']) {
    writeFileSync(logPath, text);
    // Names hold seconds; a rotation in the same second would replace the last.
    await rotateLogs(runtime, limits, new Date(Date.UTC(2026, 0, 1, 0, 0, second++)));
  }
  const rotated = files().filter((name) => name !== '0.log');
  t.equal(rotated.length, 2);
  const compressed = rotated.find((name) => name.endsWith('.gz')) ?? '';
  t.equal(gunzipSync(readFileSync(join(dirname(logPath), compressed))).toString(), 'second long text');
  runtime.reopenContainerLog = () => Promise.reject(new Error('no'));
  writeFileSync(logPath, 'fourth long text');
  await t.rejects(rotateLogs(runtime, limits, new Date(Date.UTC(2027, 0, 1))));
  t.equal(readFileSync(logPath, 'utf8'), 'fourth long text', 'put back');
});
