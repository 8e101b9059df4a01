import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { isRunning } from './pods/pod-runtime.ts';
import type { ContainerRuntime } from './runtime.ts';

export interface LogLimits {
  /** Length at which a log is rotated. */
  readonly bytes: number;
  /** How many files there may be of a log, the current one included. */
  readonly files: number;
}

const defaultLimits: LogLimits = { bytes: 10 * 1024 * 1024, files: 5 };

async function compress(path: string): Promise<void> {
  const part = `${path}.tmp`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(part));
  await rename(part, `${path}.gz`);
  await rm(path);
}

/** The rotated files of a log, oldest first: the time in their names sorts. */
async function rotatedFiles(log: string): Promise<string[]> {
  const names = await readdir(dirname(log));
  return names
    .filter((name) => name.startsWith(`${basename(log)}.`))
    .sort()
    .map((name) => join(dirname(log), name));
}

/**
 * Moves a log aside that has grown too long, has the runtime open a new one, and compresses all rotated files but the last,
 * which a reader may still follow.
 */
async function rotate(
  runtime: ContainerRuntime,
  containerId: string,
  log: string,
  limits: LogLimits,
  now: Date,
): Promise<void> {
  for (const file of await rotatedFiles(log)) {
    if (file.endsWith('.tmp')) await rm(file, { force: true });
    else if (!file.endsWith('.gz')) await compress(file);
  }
  const compressed = await rotatedFiles(log);
  for (const file of compressed.slice(0, Math.max(0, compressed.length - (limits.files - 2))))
    await rm(file, { force: true });
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const aside = `${log}.${stamp}`;
  await rename(log, aside);
  try {
    await runtime.reopenContainerLog(containerId);
  } catch (error) {
    // Put it back, so that the runtime's file is found where it is looked for.
    await rename(aside, log);
    throw error;
  }
}

/** Keeps the logs of running containers within limits: by default 10 MiB a file and five files. */
export async function rotateLogs(
  runtime: ContainerRuntime,
  limits: LogLimits = defaultLimits,
  now: Date = new Date(),
): Promise<void> {
  const containers = await runtime.listContainers({ state: { state: 1 } });
  for (const { id } of containers) {
    const status = await runtime.containerStatus(id).catch(() => undefined);
    if (status === undefined || status.logPath === '' || !isRunning({ name: '', sandboxId: '', status })) continue;
    const size = await stat(status.logPath).then(
      (found) => found.size,
      () => 0,
    );
    if (size > limits.bytes) await rotate(runtime, id, status.logPath, limits, now);
  }
}
