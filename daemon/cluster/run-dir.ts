import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('balsad');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ESRCH')
      return false;
    throw error;
  }
}

/**
 * Makes the directory of sockets and process ids this process's own; returns the release. Throws when another balsad
 * holds it: two daemons on one set of containers would undo each other's work.
 */
export function claimRunDir(runDir: string): () => void {
  mkdirSync(runDir, { recursive: true, mode: 0o755 });
  const file = join(runDir, 'balsad.pid');
  let holder = 0;
  try {
    holder = Number(readFileSync(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (holder > 0 && holder !== process.pid && isRunning(holder))
    throw new Error(
      `balsad is already running here (process ${holder}); for a second node on this host give it a --run-dir, --data-dir and ports of its own`,
    );
  writeFileSync(file, String(process.pid));
  return () => rmSync(file, { force: true });
}
