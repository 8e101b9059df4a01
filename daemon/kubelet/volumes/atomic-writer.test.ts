import { mkdtempSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { type Payload, writePayload } from './atomic-writer.ts';

const directory = () => join(mkdtempSync(join(tmpdir(), 'balsa-writer-')), 'volume');
const payload = (files: Record<string, string>, mode = 0o644): Payload =>
  new Map(Object.entries(files).map(([path, text]) => [path, { data: Buffer.from(text), mode }]));

/** What a reader sees: visible names with their content. */
function seen(path: string): Record<string, string> {
  const files = readdirSync(path, { withFileTypes: true }).filter(({ name }) => !name.startsWith('..'));
  return Object.fromEntries(
    files.flatMap(({ name }) => {
      try {
        return [[name, readFileSync(join(path, name), 'utf8')]];
      } catch {
        const below = readdirSync(join(path, name));
        return below.map((child) => [`${name}/${child}`, readFileSync(join(path, name, child), 'utf8')]);
      }
    }),
  );
}

t.test('links lead through ..data to one version', async (t) => {
  const path = directory();
  t.equal(await writePayload(path, payload({ a: '1', 'd/b': '2' })), true);
  t.equal(readlinkSync(join(path, 'a')), '..data/a');
  t.strictSame(seen(path), { a: '1', 'd/b': '2' });
  t.equal(await writePayload(path, payload({ a: '1', 'd/b': '2' })), false, 'nothing to do');
  const before = readlinkSync(join(path, '..data'));
  t.equal(await writePayload(path, payload({ a: '3' })), true);
  t.not(readlinkSync(join(path, '..data')), before);
  t.strictSame(readdirSync(path).filter((name) => name.startsWith('..')).length, 2, 'the old version is gone');
});

t.test('any sequence of payloads ends with the last', async (t) => {
  const files = fc.dictionary(fc.stringMatching(/^[a-z]{1,3}(\/[a-z]{1,2})?$/), fc.string({ maxLength: 8 }), {
    maxKeys: 4,
  });
  const consistent = (one: Record<string, string>) =>
    Object.keys(one).every((path) => !Object.keys(one).some((other) => other.startsWith(`${path}/`)));
  await fc.assert(
    fc.asyncProperty(fc.array(files.filter(consistent), { minLength: 1, maxLength: 4 }), async (sequence) => {
      const path = directory();
      for (const one of sequence) await writePayload(path, payload(one));
      t.strictSame(seen(path), { ...sequence.at(-1) });
    }),
    { numRuns: 40 },
  );
});

t.test('what an earlier writer left half-done is finished', async (t) => {
  const path = directory();
  await writePayload(path, payload({ a: '1' }));
  writeFileSync(join(path, '..data_tmp'), 'left over');
  await writePayload(path, payload({ b: '2' }));
  t.strictSame(seen(path), { b: '2' });
});

t.test('paths stay inside', async (t) => {
  for (const path of ['/etc/passwd', '../x', 'a/../../x', '..data', ''])
    await t.rejects(writePayload(directory(), payload({ [path]: 'x' })), /invalid path/);
});
