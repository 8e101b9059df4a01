import fc from 'fast-check';
import t from 'tap';
import { formatTime } from '../../apimachinery/time.ts';
import type { CronJobSpec, Job } from '../../apimachinery/types/batch-v1.ts';
import { cronjobs, jobs } from '../../apimachinery/types/resources.ts';
import { podTemplate, TestCluster } from '../testing/test-cluster.ts';
import { isTimeZone, missedTimes, parseSchedule, ScheduleError } from './schedule.ts';

const at = (text: string): number => Date.parse(text);

async function started(spec: Partial<CronJobSpec> = {}): Promise<TestCluster> {
  const cluster = new TestCluster({ controllers: ['cronjob-controller', 'ttl-after-finished-controller'] });
  cluster.client.seed(cronjobs, {
    metadata: { name: 'tick', namespace: 'default' },
    spec: {
      schedule: '*/5 * * * *',
      timeZone: 'Etc/UTC',
      jobTemplate: { metadata: { labels: { from: 'tick' } }, spec: { template: podTemplate({}) } },
      ...spec,
    },
  });
  await cluster.start();
  return cluster;
}

async function minutes(cluster: TestCluster, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    cluster.clock.advance(60_000);
    await cluster.settle();
  }
}

async function finish(cluster: TestCluster, type = 'Complete'): Promise<void> {
  for (const job of await cluster.all(jobs)) {
    if (job.status?.conditions !== undefined) continue;
    const time = formatTime(new Date(cluster.clock.now()));
    const status: Job['status'] = {
      startTime: time,
      completionTime: time,
      conditions: [{ type, status: 'True', lastTransitionTime: time }],
    };
    await cluster.client.update(jobs, { ...job, status }, { subresource: 'status' });
  }
  await cluster.settle();
}

t.test('reads schedules as kubectl users write them', async (t) => {
  const next = (text: string, zone = 'Etc/UTC') =>
    new Date(parseSchedule(text, zone).next(at('2026-01-01T00:00:30Z')) ?? 0).toISOString();
  t.equal(next('*/5 * * * *'), '2026-01-01T00:05:00.000Z');
  t.equal(next('@hourly'), '2026-01-01T01:00:00.000Z');
  t.equal(next('@every 90s'), '2026-01-01T00:02:00.000Z');
  t.equal(next('30 9 * * 1-5', 'Europe/Zurich'), '2026-01-01T08:30:00.000Z');
  t.equal(next('0 0 1 * 0'), '2026-01-04T00:00:00.000Z', 'day of month or day of week');
  for (const bad of ['* * * *', '* * * * * *', 'x * * * *', '61 * * * *', '@often']) {
    t.throws(() => parseSchedule(bad, undefined), ScheduleError, bad);
  }
  t.equal(parseSchedule('0 0 30 2 *', 'Etc/UTC').next(0), undefined, 'never');
  t.ok(isTimeZone('America/New_York'));
  t.notOk(isTimeZone('Mars/Olympus'));
});

t.test('property: the latest missed time is the last one not after now', async () => {
  const schedule = parseSchedule('*/7 3-20 * * 1-5', 'Etc/UTC');
  const start = at('2026-01-01T00:00:00Z');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 40_000 }), fc.integer({ min: 0, max: 40_000 }), (a, b) => {
      const since = start + a * 60_000;
      const now = since + b * 60_000;
      const { latest } = missedTimes(schedule, since, now);
      if (latest === undefined) return (schedule.next(since) ?? 0) > now;
      return latest <= now && latest > since && (schedule.next(latest) ?? 0) > now;
    }),
    { numRuns: 50 },
  );
});

t.test('starts a job at each time, and keeps the last three that succeeded', async (t) => {
  const cluster = await started();
  await minutes(cluster, 6);
  const [job] = await cluster.all(jobs);
  const name = `tick-${at('2026-01-01T00:05:00Z') / 60_000}`;
  t.match(job?.metadata, {
    name,
    labels: { from: 'tick' },
    annotations: { 'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-01-01T00:05:00Z' },
    ownerReferences: [{ kind: 'CronJob', name: 'tick', controller: true }],
  });
  t.match((await cluster.get(cronjobs, 'default/tick')).status, {
    active: [{ kind: 'Job', name, uid: job?.metadata.uid }],
    lastScheduleTime: '2026-01-01T00:05:00Z',
  });
  await finish(cluster);
  const done = (await cluster.get(cronjobs, 'default/tick')).status;
  t.equal(done?.active, undefined);
  t.ok(done?.lastSuccessfulTime);
  for (let i = 0; i < 5; i++) {
    await minutes(cluster, 5);
    await finish(cluster);
  }
  t.equal((await cluster.all(jobs)).length, 3);
  const events = await cluster.eventTexts();
  t.ok(events.includes(`SuccessfulCreate Created job ${name}`));
  t.ok(events.includes(`SawCompletedJob Saw completed job: ${name}, condition: Complete`));
  t.ok(events.includes(`SuccessfulDelete Deleted job ${name}`));
  await cluster.stop();
});

t.test('Forbid skips while one runs, Replace stops it, Allow lets both run', async (t) => {
  for (const [policy, count] of [
    ['Forbid', 1],
    ['Replace', 1],
    ['Allow', 2],
  ] as const) {
    const cluster = await started({ concurrencyPolicy: policy });
    await minutes(cluster, 6);
    const [first] = await cluster.all(jobs);
    await minutes(cluster, 5);
    const all = await cluster.all(jobs);
    t.equal(all.length, count, policy);
    t.equal(
      all.some((job) => job.metadata.uid === first?.metadata.uid),
      policy !== 'Replace',
      policy,
    );
    await cluster.stop();
  }
});

t.test('a start missed by more than the deadline is not made up for; without one the latest is', async (t) => {
  const late = await started({ startingDeadlineSeconds: 30, schedule: '0 * * * *' });
  await late.stop();
  late.clock.advance(62 * 60_000);
  await late.start();
  t.same(await late.names(jobs), []);
  await late.stop();

  const cluster = await started({ schedule: '0 * * * *' });
  await cluster.stop();
  cluster.clock.advance(5 * 3_600_000 + 60_000);
  await cluster.start();
  t.same(await cluster.names(jobs), [`default/tick-${at('2026-01-01T05:00:00Z') / 60_000}`]);
  await cluster.restart();
  t.equal((await cluster.all(jobs)).length, 1);
  await cluster.stop();
});

t.test('suspended, or with a schedule that makes no sense: no job, and a reason', async (t) => {
  const suspended = await started({ suspend: true });
  await minutes(suspended, 10);
  t.same(await suspended.names(jobs), []);
  await suspended.stop();
  const broken = await started({ schedule: 'whenever' });
  await minutes(broken, 10);
  t.ok(
    (await broken.eventTexts()).some((text) =>
      text.startsWith('UnparseableSchedule unparseable schedule: "whenever" : '),
    ),
  );
  await broken.stop();
  const nowhere = await started({ timeZone: 'Mars/Olympus' });
  t.ok((await nowhere.eventTexts())[0]?.startsWith('UnknownTimeZone invalid timeZone: "Mars/Olympus"'));
  await nowhere.stop();
});

t.test('a finished job goes when its time to live is over', async (t) => {
  const cluster = await started({ suspend: true });
  cluster.client.seed(jobs, {
    metadata: { name: 'short', namespace: 'default' },
    spec: { ttlSecondsAfterFinished: 100, template: podTemplate({}) },
  });
  await finish(cluster);
  await minutes(cluster, 1);
  t.same(await cluster.names(jobs), ['default/short']);
  await minutes(cluster, 1);
  const left = await cluster.all(jobs);
  t.ok(left.length === 0 || left[0]?.metadata.deletionTimestamp !== undefined);
  await cluster.stop();
});
