import { open } from 'node:fs/promises';

/** One line of a log file in the CRI format: `<RFC 3339 time> <stdout|stderr> <P|F> <text>`. */
export interface LogLine {
  readonly timestamp: string;
  readonly stream: 'stdout' | 'stderr';
  /** The runtime cut a long line; the rest follows in the next of this stream. */
  readonly partial: boolean;
  readonly text: Buffer;
}

const SPACE = 0x20;
const NEWLINE = 0x0a;

/** Parses a line without its newline; undefined for one that is not in the format. */
export function parseLogLine(line: Buffer): LogLine | undefined {
  const first = line.indexOf(SPACE);
  const second = line.indexOf(SPACE, first + 1);
  if (first <= 0 || second === -1) return undefined;
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const third = line.indexOf(SPACE, second + 1);
  const tags = line.toString('latin1', second + 1, third === -1 ? line.length : third);
  return {
    timestamp: line.toString('latin1', 0, first),
    stream,
    partial: tags.split(':')[0] === 'P',
    text: third === -1 ? Buffer.alloc(0) : line.subarray(third + 1),
  };
}

/** Where the last `count` lines of the first `size` bytes of a file begin. */
export async function tailOffset(path: string, count: number, size: number): Promise<number> {
  const handle = await open(path, 'r');
  try {
    const block = Buffer.alloc(64 * 1024);
    let found = 0;
    // The newline that ends the last line does not begin another.
    let end = size;
    let last = true;
    if (count === 0) return size;
    while (end > 0) {
      const start = Math.max(0, end - block.length);
      const { bytesRead } = await handle.read(block, 0, end - start, start);
      for (let at = bytesRead - 1; at >= 0; at--) {
        if (block[at] !== NEWLINE) continue;
        if (last && start + at === size - 1) continue;
        if (++found === count) return start + at + 1;
      }
      last = end === size;
      end = start;
    }
    return 0;
  } finally {
    await handle.close();
  }
}

/** The text of the last lines of a log, at most so many lines and bytes. */
export async function readLogTail(path: string, lines: number, bytes: number): Promise<string> {
  const handle = await open(path, 'r');
  let size: number;
  try {
    size = (await handle.stat()).size;
  } finally {
    await handle.close();
  }
  const from = await tailOffset(path, lines, size);
  const reader = await open(path, 'r');
  try {
    const start = Math.max(from, size - bytes * 4 - 4096);
    const { buffer, bytesRead } = await reader.read(Buffer.alloc(size - start), 0, size - start, start);
    let out = Buffer.alloc(0);
    let at = 0;
    while (at < bytesRead) {
      const newline = buffer.indexOf(NEWLINE, at);
      const end = newline === -1 ? bytesRead : newline;
      const line = parseLogLine(buffer.subarray(at, end));
      if (line !== undefined) out = Buffer.concat([out, line.text, line.partial ? Buffer.alloc(0) : Buffer.from('\n')]);
      at = end + 1;
    }
    return out.subarray(Math.max(0, out.length - bytes)).toString();
  } finally {
    await reader.close();
  }
}
