import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';

/** The store's C++ tests under each sanitizer, its fuzzers for a bounded while, and the addon's own tests in an ASan build. */

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
t.setTimeout(900_000);

async function build(variant: string): Promise<string> {
  await run('make', ['-s', '-j2', '-f', 'native/store/tests.mk', `VARIANT=${variant}`], {
    cwd: root,
    maxBuffer: 1 << 26,
  });
  return join(root, 'native/build/tests', variant);
}

/** Runs to its end and passes on what it printed when it fails, the seed above all. */
async function passes(program: string, args: string[], env: Record<string, string>, test: Test): Promise<void> {
  try {
    const { stdout } = await run(program, args, { cwd: root, env: { ...process.env, ...env }, maxBuffer: 1 << 26 });
    test.comment(stdout.split('\n').slice(0, 1).join(''));
    test.pass(program);
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    test.fail(program, { output: `${stdout}${stderr}`.slice(-8000) });
  }
}

t.test('native store tests under address and undefined-behaviour sanitizers', async (test) => {
  await passes(join(await build('asan'), 'store_test'), [], {}, test);
});

t.test('native store tests under the thread sanitizer', async (test) => {
  const suppressions = join(root, 'native/store/tsan.supp');
  const env = { TSAN_OPTIONS: `suppressions=${suppressions} halt_on_error=1`, BALSA_TEST_EFFORT: '20' };
  await passes(join(await build('tsan'), 'store_test'), [], env, test);
});

t.test('fuzzers of every decoder, each for a bounded number of inputs', async (test) => {
  const directory = await build('fuzz');
  const findings = mkdtempSync(join(tmpdir(), 'balsa-fuzz-'));
  test.teardown(() => rmSync(findings, { recursive: true, force: true }));
  const fuzzers = readdirSync(directory).filter((name) => name.endsWith('_fuzz'));
  test.ok(fuzzers.length >= 4);
  for (const fuzzer of fuzzers) {
    await passes(join(directory, fuzzer), ['-runs=200000', '-max_len=4096', `-artifact_prefix=${findings}/`], {}, test);
  }
});

t.test('the addon in Node under the address sanitizer', async (test) => {
  await run(process.execPath, ['scripts/build-native.mjs', 'store', '--asan'], { cwd: root, maxBuffer: 1 << 26 });
  const { stdout } = await run('g++', ['-print-file-name=libasan.so'], { cwd: root });
  const env = {
    LD_PRELOAD: stdout.trim(),
    // Node itself is not built for leak checking.
    ASAN_OPTIONS: 'detect_leaks=0',
    BALSA_NATIVE_DIR: join(root, 'native/build/asan/Release'),
  };
  await passes(process.execPath, ['--import=tsx', 'daemon/store/native.test.ts'], env, test);
});
