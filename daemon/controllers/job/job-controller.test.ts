import t from 'tap';
import { findCondition } from '../../apimachinery/conditions.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { Job, JobSpec } from '../../apimachinery/types/batch-v1.ts';
import type { ContainerStatus, Pod } from '../../apimachinery/types/core-v1.ts';
import { jobs, pods } from '../../apimachinery/types/resources.ts';
import { podTemplate, TestCluster } from '../testing/test-cluster.ts';

const labels = { job: 'work' };

function job(spec: Partial<JobSpec>, restartPolicy = 'Never'): Job {
  const template = podTemplate(labels);
  return {
    metadata: { name: 'work', namespace: 'default' },
    spec: {
      parallelism: 1,
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      selector: { matchLabels: labels },
      template: { ...template, spec: { ...template.spec!, restartPolicy } },
      ...spec,
    },
  };
}

async function started(seed: Job): Promise<TestCluster> {
  const cluster = new TestCluster({ controllers: ['job-controller'] });
  cluster.client.seed(jobs, seed);
  await cluster.start();
  return cluster;
}

async function running(cluster: TestCluster): Promise<Pod[]> {
  return (await cluster.all(pods)).filter(
    (pod) => !['Succeeded', 'Failed'].includes(pod.status?.phase ?? '') && !pod.metadata.deletionTimestamp,
  );
}

async function finish(cluster: TestCluster, pod: Pod, exitCode: number): Promise<void> {
  const latest = await cluster.get(pods, `default/${pod.metadata.name}`);
  const finishedAt = formatTime(new Date(cluster.clock.now()));
  const status: ContainerStatus = {
    name: 'app',
    image: '',
    imageID: '',
    ready: false,
    restartCount: 0,
    state: { terminated: { exitCode, finishedAt } },
  };
  await cluster.client.update(
    pods,
    { ...latest, status: { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses: [status] } },
    { subresource: 'status' },
  );
  await cluster.settle();
}

async function statusOf(cluster: TestCluster): Promise<NonNullable<Job['status']>> {
  return (await cluster.get(jobs, 'default/work')).status ?? {};
}

t.test('runs up to parallelism pods until completions have succeeded', async (t) => {
  const cluster = await started(job({ completions: 3, parallelism: 2 }));
  t.equal((await running(cluster)).length, 2);
  t.match((await cluster.all(pods))[0]?.metadata, { finalizers: ['batch.kubernetes.io/job-tracking'], name: /^work-/ });
  t.match(await statusOf(cluster), { active: 2, ready: 0, startTime: /T/ });
  for (let i = 0; i < 3; i++) await finish(cluster, (await running(cluster))[0]!, 0);
  const status = await statusOf(cluster);
  t.match(status, { succeeded: 3, completionTime: /T/, uncountedTerminatedPods: {} });
  t.equal(status.active, undefined);
  t.same(
    status.conditions?.map(({ type, status, reason, message }) => [type, status, reason, message]),
    [
      ['SuccessCriteriaMet', 'True', 'CompletionsReached', 'Reached expected number of succeeded pods'],
      ['Complete', 'True', 'CompletionsReached', 'Reached expected number of succeeded pods'],
    ],
  );
  t.equal((await cluster.all(pods)).length, 3);
  t.ok(
    (await cluster.all(pods)).every((pod) => (pod.metadata.finalizers ?? []).length === 0),
    'finalizers are off',
  );
  t.ok((await cluster.eventTexts()).includes('Completed Job completed'));
  await cluster.stop();
});

t.test('failures back off and end the job at the limit', async (t) => {
  const cluster = await started(job({ completions: 1, backoffLimit: 1 }));
  await finish(cluster, (await running(cluster))[0]!, 1);
  t.equal((await running(cluster)).length, 0, 'waits before it tries again');
  t.match(await statusOf(cluster), { failed: 1 });
  await cluster.advance(11);
  t.equal((await running(cluster)).length, 1);
  await finish(cluster, (await running(cluster))[0]!, 1);
  const status = await statusOf(cluster);
  t.equal(status.failed, 2);
  t.match(findCondition(status.conditions, 'Failed'), {
    status: 'True',
    reason: 'BackoffLimitExceeded',
    message: 'Job has reached the specified backoff limit',
  });
  t.match(findCondition(status.conditions, 'FailureTarget'), { status: 'True', reason: 'BackoffLimitExceeded' });
  await cluster.stop();
});

t.test('the deadline stops what runs', async (t) => {
  const cluster = await started(job({ completions: 2, parallelism: 2, activeDeadlineSeconds: 30 }));
  await cluster.runPods();
  await cluster.advance(31);
  await cluster.converge();
  const status = await statusOf(cluster);
  t.match(findCondition(status.conditions, 'Failed'), {
    reason: 'DeadlineExceeded',
    message: 'Job was active longer than specified deadline',
  });
  t.same(await cluster.names(pods), []);
  await cluster.stop();
});

t.test('an indexed job completes each index once', async (t) => {
  const cluster = await started(job({ completions: 4, parallelism: 2, completionMode: 'Indexed' }));
  const [first] = await running(cluster);
  t.match(first?.metadata, {
    name: /^work-0-/,
    annotations: { 'batch.kubernetes.io/job-completion-index': '0' },
    labels: { 'batch.kubernetes.io/job-completion-index': '0' },
  });
  t.equal(first?.spec.hostname, 'work-0');
  t.match(first?.spec.containers[0]?.env, [{ name: 'JOB_COMPLETION_INDEX' }]);
  await finish(cluster, (await running(cluster))[1]!, 0);
  t.match(await statusOf(cluster), { completedIndexes: '1', succeeded: 1 });
  for (let i = 0; i < 3; i++) await finish(cluster, (await running(cluster))[0]!, 0);
  const status = await statusOf(cluster);
  t.equal(status.completedIndexes, '0-3');
  t.ok(findCondition(status.conditions, 'Complete'));
  await cluster.stop();
});

t.test('backoffLimitPerIndex fails an index without failing the others', async (t) => {
  const cluster = await started(
    job({
      completions: 2,
      parallelism: 2,
      completionMode: 'Indexed',
      backoffLimitPerIndex: 1,
      backoffLimit: 2 ** 31 - 1,
    }),
  );
  const ofIndex = async (index: number): Promise<Pod> =>
    (await running(cluster)).find((pod) => pod.spec.hostname === `work-${index}`)!;
  await finish(cluster, await ofIndex(0), 1);
  await cluster.advance(11);
  t.equal((await ofIndex(0)).metadata.annotations?.['batch.kubernetes.io/job-index-failure-count'], '1');
  await finish(cluster, await ofIndex(0), 1);
  t.match(await statusOf(cluster), { failedIndexes: '0', active: 1 });
  await finish(cluster, await ofIndex(1), 0);
  const status = await statusOf(cluster);
  t.match(findCondition(status.conditions, 'Failed'), { reason: 'FailedIndexes', message: 'Job has failed indexes' });
  t.equal(status.completedIndexes, '1');
  await cluster.stop();
});

t.test('the pod failure policy ignores, or fails the job at once', async (t) => {
  const cluster = await started(
    job({
      completions: 1,
      backoffLimit: 0,
      podReplacementPolicy: 'Failed',
      podFailurePolicy: {
        rules: [
          { action: 'Ignore', onExitCodes: { operator: 'In', values: [42] } },
          { action: 'FailJob', onExitCodes: { operator: 'In', values: [3] } },
        ],
      },
    }),
  );
  await finish(cluster, (await running(cluster))[0]!, 42);
  await cluster.advance(11);
  t.equal((await statusOf(cluster)).failed, undefined);
  const [pod] = await running(cluster);
  await finish(cluster, pod!, 3);
  t.match(findCondition((await statusOf(cluster)).conditions, 'Failed'), {
    reason: 'PodFailurePolicy',
    message: `Container app for pod default/${pod?.metadata.name} failed with exit code 3 matching FailJob rule at index 1`,
  });
  await cluster.stop();
});

t.test('suspending stops the pods without counting them, resuming starts anew', async (t) => {
  const cluster = await started(job({ completions: 1, suspend: true }));
  t.equal((await cluster.all(pods)).length, 0);
  t.match(findCondition((await statusOf(cluster)).conditions, 'Suspended'), { status: 'True', reason: 'JobSuspended' });
  const set = async (suspend: boolean): Promise<void> => {
    const current = await cluster.get(jobs, 'default/work');
    await cluster.client.update(jobs, { ...current, spec: { ...current.spec, suspend } });
    await cluster.converge();
  };
  await set(false);
  t.equal((await running(cluster)).length, 1);
  await set(true);
  t.same(await cluster.names(pods), []);
  t.equal((await statusOf(cluster)).failed, undefined);
  await set(false);
  await finish(cluster, (await running(cluster))[0]!, 0);
  t.ok(findCondition((await statusOf(cluster)).conditions, 'Complete'));
  await cluster.stop();
});

t.test('a job that is deleted lets its pods go', async (t) => {
  const cluster = await started(job({ completions: 2, parallelism: 2 }));
  await cluster.runPods();
  await cluster.client.delete(jobs, { namespace: 'default', name: 'work' });
  await cluster.converge();
  t.ok((await cluster.all(pods)).every((pod) => (pod.metadata.finalizers ?? []).length === 0));
  await cluster.stop();
});

t.test('counts each pod once however often the controller is restarted', async (t) => {
  const cluster = await started(job({ completions: 12, parallelism: 4 }));
  for (let round = 0; round < 60; round++) {
    const [pod] = await running(cluster);
    if (pod !== undefined) {
      // No settling in between: the controller stops in the middle of counting.
      const finishing = finish(cluster, pod, 0);
      if (round % 3 === 0) await cluster.restart();
      await finishing;
    }
    await cluster.advance(1);
  }
  const status = await statusOf(cluster);
  t.equal(status.succeeded, 12);
  t.ok(findCondition(status.conditions, 'Complete'));
  t.equal((await cluster.all(pods)).length, 12, 'no pod was started in vain');
  await cluster.stop();
});
