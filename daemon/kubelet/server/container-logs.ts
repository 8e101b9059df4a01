import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LogLine, parseLogLine, tailOffset } from './cri-log.ts';

const CHUNK = 64 * 1024;
const POLL_MS = 100;
const NEWLINE = 0x0a;

export interface LogOptions {
  readonly follow: boolean;
  readonly tailLines?: number;
  /** Milliseconds since the epoch; older lines are left out. */
  readonly since?: number;
  readonly timestamps: boolean;
  readonly limitBytes?: number;
  /** Only this stream; absent: both. */
  readonly stream?: 'stdout' | 'stderr';
}

/** The query of `/containerLogs`. Throws a RangeError that names the option and the rule. */
export function parseLogOptions(query: URLSearchParams, now: number = Date.now()): LogOptions {
  const integer = (name: string, least: number): number | undefined => {
    const text = query.get(name);
    if (text === null || text === '') return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new RangeError(
        `${name}: Invalid value: ${JSON.stringify(text)}: must be greater than or equal to ${least}`,
      );
    return value;
  };
  const yes = (name: string): boolean => ['true', '1', 'True', 'TRUE', 't', 'T'].includes(query.get(name) ?? '');
  const sinceSeconds = integer('sinceSeconds', 1);
  const sinceTime = query.get('sinceTime');
  const tailLines = integer('tailLines', 0);
  const limitBytes = integer('limitBytes', 1);
  const stream = query.get('stream');
  const since =
    sinceSeconds !== undefined
      ? now - sinceSeconds * 1000
      : sinceTime !== null && sinceTime !== ''
        ? Date.parse(sinceTime)
        : undefined;
  if (Number.isNaN(since)) throw new RangeError(`sinceTime: Invalid value: ${JSON.stringify(sinceTime)}`);
  return {
    follow: yes('follow'),
    timestamps: yes('timestamps'),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(since === undefined ? {} : { since }),
    ...(stream === 'Stdout' || stream === 'Stderr' ? { stream: stream.toLowerCase() as 'stdout' | 'stderr' } : {}),
  };
}

/** The runtime writes local time; what is shown is UTC with all digits that were written. */
function inUtc(timestamp: string): string {
  if (timestamp.endsWith('Z')) return timestamp;
  const [, fraction = ''] = /\.(\d+)/.exec(timestamp) ?? [];
  const seconds = new Date(timestamp).toISOString().slice(0, 19);
  return fraction === '' ? `${seconds}Z` : `${seconds}.${fraction}Z`;
}

/** Cuts what is read into lines, and keeps the piece of a line at the end for later. */
class LineReader {
  #rest: Buffer = Buffer.alloc(0);

  *lines(chunk: Buffer): Generator<Buffer> {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const end = data.indexOf(NEWLINE);
      if (end === -1) break;
      yield data.subarray(0, end);
      data = data.subarray(end + 1);
    }
    this.#rest = Buffer.from(data);
  }
}

function render({ timestamp, text, partial }: LogLine, options: LogOptions, continues: boolean): Buffer {
  const pieces: Buffer[] = [];
  if (options.timestamps && !continues) pieces.push(Buffer.from(`${inUtc(timestamp)} `));
  pieces.push(text);
  if (!partial) pieces.push(Buffer.from('\n'));
  return Buffer.concat(pieces);
}

/**
 * The text of a container's log, piece by piece. With `follow` it goes on until the container has ended and all is read, or
 * the signal is aborted; a log that is rotated meanwhile is followed into the new file.
 */
export async function* readContainerLog(
  path: string,
  options: LogOptions,
  isRunning: () => Promise<boolean>,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let file: FileHandle = await open(path, 'r');
  try {
    const { size } = await file.stat();
    let position = options.tailLines === undefined ? 0 : await tailOffset(path, options.tailLines, size);
    let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
    const reader = new LineReader();
    const continues = { stdout: false, stderr: false };
    const buffer = Buffer.alloc(CHUNK);
    let last = false;
    while (!signal.aborted && left > 0) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK, position);
      if (bytesRead === 0) {
        if (!options.follow || last) return;
        const next = await reopened(path, file);
        if (next !== undefined) {
          await file.close();
          file = next;
          position = 0;
          continue;
        }
        // After the end of the container, once more: for what it wrote just before.
        if (await isRunning()) await sleep(POLL_MS);
        else last = true;
        continue;
      }
      last = false;
      position += bytesRead;
      const out: Buffer[] = [];
      for (const raw of reader.lines(buffer.subarray(0, bytesRead))) {
        const line = parseLogLine(raw);
        if (line === undefined) continue;
        if (options.stream !== undefined && line.stream !== options.stream) continue;
        if (options.since !== undefined && Date.parse(line.timestamp) < options.since) continue;
        out.push(render(line, options, continues[line.stream]));
        continues[line.stream] = line.partial;
      }
      const text = Buffer.concat(out);
      if (text.length > 0) yield text.subarray(0, Math.min(text.length, left));
      left -= text.length;
    }
  } finally {
    await file.close();
  }
}

/** The new file when the log at `path` is no longer the one that is open. */
async function reopened(path: string, current: FileHandle): Promise<FileHandle | undefined> {
  const [before, now] = await Promise.all([current.stat(), stat(path).catch(() => undefined)]);
  if (now === undefined || now.ino === before.ino) return undefined;
  return open(path, 'r');
}
