import t from 'tap';
import { findNonLinearizable, type Operation } from './linearizability.ts';
import { Schedule } from './schedule.ts';
import { variants } from './variants.ts';

t.setTimeout(240_000);

t.test('the checker accepts what some order explains, and nothing else', async (t) => {
  const operation = (fields: Partial<Operation>): Operation => ({
    kind: 'write',
    key: 'k',
    invoked: 0,
    completed: 10,
    value: 0,
    expected: 0,
    result: true,
    ...fields,
  });
  const write = (value: number, invoked: number, completed: number | undefined) =>
    operation({ value, invoked, completed });
  const read = (result: number, invoked: number, completed: number) =>
    operation({ kind: 'read', result, invoked, completed });
  t.equal(findNonLinearizable([write(1, 0, 10), read(1, 11, 12)]), undefined);
  t.equal(findNonLinearizable([write(1, 0, 10), read(0, 11, 12)]), 'k', 'a stale read');
  t.equal(findNonLinearizable([write(1, 0, 10), read(0, 5, 12)]), undefined, 'a read that overlaps the write');
  t.equal(
    findNonLinearizable([write(1, 0, undefined), read(0, 5, 6), read(1, 7, 8)]),
    undefined,
    'unanswered, but done',
  );
  t.equal(findNonLinearizable([write(1, 0, 20), read(1, 5, 6), read(0, 7, 8)]), 'k', 'seen, then not seen');
  const swap = operation({ kind: 'swap', expected: 1, value: 2, invoked: 11, completed: 12, result: false });
  t.equal(findNonLinearizable([write(1, 0, 10), swap]), 'k', 'a swap that should have taken effect');
});

t.test('the same seed makes the same schedule', async (t) => {
  const tell = (seed: number) => {
    const lines: string[] = [];
    new Schedule(seed, undefined, (line) => lines.push(line)).run();
    return lines;
  };
  t.same(tell(42), tell(42));
  t.not(tell(42).join('\n'), tell(43).join('\n'));
});

t.test('thousands of schedules hold', async (t) => {
  let answered = 0;
  for (let seed = 1; seed <= 700; seed++) {
    try {
      answered += new Schedule(seed).run().answered;
    } catch (error) {
      t.fail(`npm run simulate -- --seed ${seed} --trace`, { error });
      return;
    }
  }
  t.ok(answered > 2000, 'clients got answers');
});

t.test('every broken variant is caught', async (t) => {
  for (const variant of variants) {
    let caught: string | undefined;
    const from = variant.from ?? 1;
    for (let seed = from; seed < from + variant.within && caught === undefined; seed++) {
      try {
        new Schedule(seed, variant).run();
      } catch (error) {
        caught = `seed ${seed}: ${error instanceof Error ? error.message : error}`;
      }
    }
    t.ok(caught, variant.name, { caught });
  }
});
