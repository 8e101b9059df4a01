import t from 'tap';
import { Inflights } from './inflights.ts';
import { Progress } from './progress.ts';

t.test('a probe waits for its answer; replication runs ahead as far as the window', async (t) => {
  const progress = new Progress(0, 5, new Inflights(2, 1000));
  progress.sent(3, 30);
  t.equal(progress.isPaused(), true, 'one message at a time');
  t.equal(progress.next, 5);
  t.equal(progress.rejected(4, 2), true);
  t.match(progress, { next: 3, paused: false });
  t.equal(progress.rejected(4, 2), false, 'an answer to an older probe');
  progress.acknowledge(4);
  progress.becomeReplicate();
  progress.sent(2, 20);
  t.match(progress, { next: 7, paused: false });
  progress.sent(1, 20);
  t.equal(progress.isPaused(), true, 'the window is full');
  progress.acknowledge(6);
  progress.inflights.freeTo(6);
  t.equal(progress.inflights.count, 1);
  t.equal(progress.isPaused(), false);
});

t.test('the window is bounded in bytes, too', async (t) => {
  const inflights = new Inflights(10, 100);
  inflights.add(1, 60);
  t.equal(inflights.full(), false);
  inflights.add(2, 60);
  t.equal(inflights.full(), true);
  inflights.freeFirst();
  t.equal(inflights.full(), false);
  inflights.freeTo(2);
  t.equal(inflights.count, 0);
});

t.test('nothing is sent while a snapshot is on its way', async (t) => {
  const progress = new Progress(3, 4, new Inflights(2, 1000));
  progress.becomeSnapshot(20);
  t.equal(progress.isPaused(), true);
  progress.becomeProbe();
  t.match(progress, { next: 21, paused: false }, 'it is expected to have it');
});
