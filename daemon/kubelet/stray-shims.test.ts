import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { endShim, findStrayShims } from './stray-shims.ts';

t.test('a shim is stray when its bundle is gone, and only one of this containerd', async (t) => {
  const bundle = mkdtempSync(join(tmpdir(), 'balsa-bundle-'));
  const socket = `${bundle}.sock`;
  const shim = spawn('sh', ['-c', 'sleep 1000; true', '-address', socket], {
    argv0: 'containerd-shim-test',
    cwd: bundle,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.teardown(() => shim.kill('SIGKILL'));
  await once(shim, 'spawn');
  t.strictSame(findStrayShims(socket), []);
  rmSync(bundle, { recursive: true });
  t.strictSame(findStrayShims(socket), [shim.pid]);
  t.strictSame(findStrayShims('/another.sock'), []);
  const ended = once(shim, 'exit');
  endShim(shim.pid ?? 0);
  await ended;
  t.strictSame(findStrayShims(socket), []);
});
