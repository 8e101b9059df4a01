import { appendFileSync, mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { parseLogOptions, readContainerLog } from './container-logs.ts';
import { parseLogLine, readLogTail, tailOffset } from './cri-log.ts';

const file = (text: string): string => {
  const path = join(mkdtempSync(join(tmpdir(), 'balsa-log-')), '0.log');
  writeFileSync(path, text);
  return path;
};
const line = (text: string, second = 0, tag = 'F', stream = 'stdout') =>
  `2026-01-01T00:00:${String(second).padStart(2, '0')}.123456789Z ${stream} ${tag} ${text}\n`;
const ended = async () => false;

async function read(path: string, query: string, isRunning = ended): Promise<string> {
  const pieces: Buffer[] = [];
  const options = parseLogOptions(new URLSearchParams(query));
  for await (const piece of readContainerLog(path, options, isRunning, new AbortController().signal))
    pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

t.test('lines of the format, and others', async (t) => {
  const parsed = parseLogLine(Buffer.from(line('two words').trimEnd()));
  t.match(parsed, { stream: 'stdout', partial: false });
  t.equal(parsed?.text.toString(), 'two words');
  t.equal(parseLogLine(Buffer.from('2026-01-01T00:00:00Z stderr P'))?.text.length, 0);
  for (const text of ['', 'junk', 'a b c d']) t.equal(parseLogLine(Buffer.from(text)), undefined);
});

t.test('options', async (t) => {
  const path = file([1, 2, 3, 4, 5].map((n) => line(`l${n}`, n)).join(''));
  t.equal(await read(path, ''), 'l1\nl2\nl3\nl4\nl5\n');
  t.equal(await read(path, 'tailLines=2'), 'l4\nl5\n');
  t.equal(await read(path, 'tailLines=0'), '');
  t.equal(await read(path, 'limitBytes=4'), 'l1\nl');
  t.equal(await read(path, 'timestamps=true&tailLines=1'), '2026-01-01T00:00:05.123456789Z l5\n');
  t.equal(await read(path, 'sinceTime=2026-01-01T00:00:04Z'), 'l4\nl5\n');
  t.throws(() => parseLogOptions(new URLSearchParams('tailLines=-1')), /must be greater than or equal to 0/);
  t.throws(() => parseLogOptions(new URLSearchParams('sinceSeconds=x')), /sinceSeconds/);
});

t.test('pieces of a line are joined; streams are told apart', async (t) => {
  const path = file(line('one ', 1, 'P') + line('err', 1, 'F', 'stderr') + line('whole', 1));
  t.equal(await read(path, 'stream=Stdout'), 'one whole\n');
  t.equal(await read(path, 'stream=Stderr'), 'err\n');
});

t.test('any tail is the end of the whole', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ maxLength: 9 }).map((s) => s.replaceAll('\n', ''))),
      fc.nat(12),
      async (texts, count) => {
        const path = file(texts.map((text) => line(text)).join(''));
        const whole = texts.map((text) => `${text}\n`);
        t.equal(await read(path, `tailLines=${count}`), whole.slice(count === 0 ? texts.length : -count).join(''));
      },
    ),
    { numRuns: 50 },
  );
  const path = file(line('x'.repeat(200_000)) + line('last'));
  t.equal(await read(path, 'tailLines=1'), 'last\n', 'also where lines are longer than a block');
  t.equal(await tailOffset(path, 5, 0), 0);
  t.equal(await readLogTail(file(line('first') + line('last')), 80, 7), 't\nlast\n');
});

t.test('following goes on after a rotation and stops with the container', async (t) => {
  const path = file(line('before'));
  let looks = 0;
  const isRunning = async (): Promise<boolean> => {
    looks++;
    if (looks === 1) {
      renameSync(path, `${path}.old`);
      writeFileSync(path, line('after'));
    }
    if (looks === 3) appendFileSync(path, line('last'));
    return looks < 4;
  };
  t.equal(await read(path, 'follow=true', isRunning), 'before\nafter\nlast\n');
});
