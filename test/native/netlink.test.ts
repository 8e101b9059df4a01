import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

/** The netlink addon's C++ tests, and the pod network and the proxy with the addon in an ASan build. */

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
t.setTimeout(900_000);

t.test('native netlink tests under address and undefined-behaviour sanitizers', async (t) => {
  await run('make', ['-s', '-f', 'native/netlink/tests.mk', 'VARIANT=asan'], { cwd: root });
  const { stdout } = await run(join(root, 'native/build/tests/asan/netlink_test'), [], { cwd: root });
  t.match(stdout, /\nok\n$/, stdout);
});

t.test(
  'the addon in Node under the address sanitizer',
  { skip: process.getuid?.() !== 0 && 'needs root' },
  async (t) => {
    await run(process.execPath, ['scripts/build-native.mjs', 'netlink', '--asan'], { cwd: root, maxBuffer: 1 << 26 });
    const { stdout: library } = await run('g++', ['-print-file-name=libasan.so'], { cwd: root });
    const env = {
      ...process.env,
      LD_PRELOAD: library.trim(),
      // Node itself leaks on exit.
      ASAN_OPTIONS: 'detect_leaks=0',
      BALSA_NATIVE_DIR: join(root, 'native/build/asan/Release'),
    };
    for (const name of ['network', 'network-policy']) {
      const file = join(root, 'test/integration', `${name}.test.ts`);
      const { stdout } = await run(process.execPath, ['--import=tsx', file], { cwd: root, env, maxBuffer: 1 << 26 });
      t.notMatch(stdout, /^not ok/m, name);
    }
  },
);
