import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TAP } from 'tap';

const marker = 'BALSA_PRIVATE_NETWORK';

/**
 * Runs a test file in network and mount namespaces of its own, which vanish with its processes, however they end: nothing of
 * the host is touched. True in there; outside, the file is run as a child and its results taken over.
 */
export function inPrivateNetwork(t: TAP, testFile: string): boolean {
  t.setTimeout(300_000);
  if (process.env[marker] !== undefined) {
    execFileSync('mkdir', ['-p', '/run/netns']);
    execFileSync('mount', ['-t', 'tmpfs', 'balsa-lab', '/run/netns']);
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    return true;
  }
  const file = fileURLToPath(testFile);
  t.spawn(
    'unshare',
    ['--net', '--mount', '--propagation', 'private', process.execPath, ...process.execArgv, file],
    { env: { ...process.env, [marker]: '1' }, timeout: 300_000 },
    'in a network of its own',
  );
  return false;
}
