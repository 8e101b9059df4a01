import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TAP } from 'tap';

const marker = 'BALSA_PRIVATE_NETWORK';

/** Milliseconds for one file; emulated machines are slow. */
const patience = 300_000 * Number(process.env['BALSA_LAB_SLOWNESS'] ?? 1);
const unshare = ['--net', '--mount', '--propagation', 'private'] as const;

/**
 * Runs a test file in network and mount namespaces of its own, which vanish with its processes, however they end: nothing of
 * the host is touched. True in there; outside, the file is run as a child and its results taken over.
 */
export function inPrivateNetwork(t: TAP, testFile: string): boolean {
  t.setTimeout(patience);
  if (process.env[marker] !== undefined) {
    enter();
    return true;
  }
  t.spawn(
    'unshare',
    [...unshare, process.execPath, ...process.execArgv, fileURLToPath(testFile)],
    { env: { ...process.env, [marker]: '1' }, timeout: patience },
    'in a network of its own',
  );
  return false;
}

/** The same for a program; does not return outside. */
export function enterPrivateNetwork(file: string): void {
  if (process.env[marker] !== undefined) {
    enter();
    return;
  }
  const { status } = spawnSync('unshare', [...unshare, process.execPath, ...process.execArgv, fileURLToPath(file)], {
    env: { ...process.env, [marker]: '1' },
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}

function enter(): void {
  execFileSync('mkdir', ['-p', '/run/netns']);
  execFileSync('mount', ['-t', 'tmpfs', 'balsa-lab', '/run/netns']);
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
}
