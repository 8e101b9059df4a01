import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Logger } from '../log/logger.ts';

const LOOK_MS = 30_000;

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // The process has ended meanwhile.
  }
};

function workingDirectory(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

const processes = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** Shims of the containerd behind `socket` whose bundle is gone: containerd will never ask for them again. */
export function findStrayShims(socket: string): number[] {
  return processes().filter((pid) => {
    const words = read(`/proc/${pid}/cmdline`).split('\0');
    const address = words[words.indexOf('-address') + 1];
    if (!words[0]?.includes('containerd-shim') || address !== socket) return false;
    return workingDirectory(pid).endsWith(' (deleted)');
  });
}

const childrenOf = (parent: number): number[] =>
  processes().filter((pid) => Number(/^PPid:\s+(\d+)$/m.exec(read(`/proc/${pid}/status`))?.[1]) === parent);

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Ends a shim and what runs below it. */
export function endShim(pid: number): void {
  for (const child of childrenOf(pid)) kill(child);
  kill(pid);
}

/**
 * Ends shims that containerd has lost. When a daemon is killed while it waits for a container to be created, the call is
 * cancelled, and containerd may remove the bundle without ending its shim. A shim must be found stray twice in a row, since one
 * that is being removed in the usual way looks the same for a moment. Returns the function that stops the looking.
 */
export function removeStrayShims(socket: string, logger: Logger): () => void {
  let suspects: readonly number[] = [];
  const timer = setInterval(() => {
    const found = findStrayShims(socket);
    for (const pid of found.filter((one) => suspects.includes(one))) {
      logger.info({ pid }, 'ending a shim that containerd has lost');
      endShim(pid);
    }
    suspects = found;
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
