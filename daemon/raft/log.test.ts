import t from 'tap';
import { InvariantViolation } from './invariant.ts';
import { RaftLog } from './log.ts';
import type { Entry } from './message.ts';
import { MemoryStorage } from './storage.ts';

const entry = (index: number, term: number, data = ''): Entry => ({
  index,
  term,
  type: 'normal',
  data: Buffer.from(data),
});
const noLimit = Number.MAX_SAFE_INTEGER;

function logOf(stable: readonly Entry[], unstable: readonly Entry[] = []): RaftLog {
  const storage = new MemoryStorage();
  storage.append(stable);
  const log = new RaftLog(storage);
  if (unstable.length > 0) log.append(unstable);
  return log;
}

t.test('an append is taken after an entry both have, and replaces what differs', async (t) => {
  const log = logOf([entry(1, 1), entry(2, 1)], [entry(3, 2), entry(4, 2)]);
  t.equal(log.maybeAppend(5, 2, 0, []), undefined, 'there is no entry 5');
  t.equal(log.maybeAppend(3, 1, 0, []), undefined, 'entry 3 is of another term');
  t.equal(log.maybeAppend(3, 2, 3, [entry(4, 3), entry(5, 3)]), 5);
  t.equal(log.term(4), 3);
  t.equal(log.committed, 3);
  t.equal(log.maybeAppend(1, 1, 3, [entry(2, 1)]), 2, 'an old message says nothing new');
  t.equal(log.lastIndex(), 5, 'and takes nothing away');
  t.throws(() => log.maybeAppend(1, 1, 3, [entry(2, 9)]), InvariantViolation, 'a committed entry stays');
});

t.test('only entries of the current term are committed by counting', async (t) => {
  const log = logOf([entry(1, 1), entry(2, 1), entry(3, 3)]);
  t.equal(log.maybeCommit(2, 3), false);
  t.equal(log.committed, 0);
  t.equal(log.maybeCommit(3, 3), true);
  t.equal(log.committed, 3, 'the older ones along with it');
});

t.test('only what is on disk is handed out to be applied', async (t) => {
  const log = logOf([entry(1, 1), entry(2, 1)], [entry(3, 1)]);
  log.commitTo(3);
  t.same(
    log.nextCommitted(noLimit).map(({ index }) => index),
    [1, 2],
  );
  log.unstable.stableTo(3, 2);
  t.equal(log.nextCommitted(noLimit).length, 2, 'another entry 3 was written');
});

t.test('a log that ends in a later term, or later in the same, is newer', async (t) => {
  const log = logOf([entry(1, 1), entry(2, 2)]);
  t.equal(log.isUpToDate(1, 3), true);
  t.equal(log.isUpToDate(2, 2), true);
  t.equal(log.isUpToDate(1, 2), false);
  t.equal(log.isUpToDate(9, 1), false);
});

t.test('a slice spans the disk and memory, and is cut to size', async (t) => {
  const log = logOf([entry(1, 1, 'aaaa'), entry(2, 1, 'bbbb')], [entry(3, 1, 'cccc')]);
  t.equal(log.slice(1, 4, noLimit)?.length, 3);
  t.equal(log.slice(1, 4, 1)?.length, 1, 'never empty');
  t.equal(log.slice(1, 4, 60)?.length, 2);
});

t.test('where two logs may agree is found a term at a time', async (t) => {
  const log = logOf([1, 1, 4, 4, 5, 5, 6].map((term, position) => entry(position + 1, term)));
  t.same(log.findConflictByTerm(7, 5), { index: 6, term: 5 });
  t.same(log.findConflictByTerm(7, 3), { index: 2, term: 1 });
  t.same(log.findConflictByTerm(7, 0), { index: 0, term: 0 });
});
