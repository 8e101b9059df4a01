import t from 'tap';
import { startTestingServer } from '../api/testing-server.ts';
import type { Pod } from '../apimachinery/types/core-v1.ts';
import { events, namespaces, nodes, pods, serviceaccounts } from '../apimachinery/types/resources.ts';
import { createSharedInformers } from '../client/shared-informers.ts';
import { createLogger } from '../log/logger.ts';
import { startScheduler } from './scheduler.ts';

const namespace = 'x';
const pod = (name: string, cpu: string, priority?: number): Pod => ({
  metadata: { name, namespace },
  spec: {
    automountServiceAccountToken: false,
    ...(priority === undefined ? {} : { priority }),
    containers: [{ name: 'c', image: 'busybox', resources: { requests: { cpu } } }],
  },
});

t.test('schedules through the API with the rights of the scheduler alone', async (t) => {
  const server = await startTestingServer();
  const admin = server.api.clientFor({ name: 'admin', groups: ['system:masters'] });
  const identity = { name: 'system:kube-scheduler', groups: ['system:authenticated'] };
  const client = server.api.clientFor(identity);
  const complaints: string[] = [];
  const logger = createLogger('scheduler', 'silent');
  const note = (_fields: object, message?: string) => void complaints.push(`${message} ${JSON.stringify(_fields)}`);
  logger.warn = note as typeof logger.warn;
  logger.error = note as typeof logger.error;
  const informers = createSharedInformers(client, logger);
  await admin.create(namespaces, { metadata: { name: namespace }, spec: {} });
  await admin.create(serviceaccounts, { metadata: { name: 'default', namespace } });
  const scheduler = await startScheduler({ client, informers, logger });
  t.teardown(async () => {
    await scheduler.stop();
    await informers.stop();
    await server.stop();
  });

  /** The pod once it is as wanted; the watch tells, no clock does. */
  const podWhen = async (name: string, wanted: (object: Pod) => boolean): Promise<Pod> => {
    const abort = new AbortController();
    for await (const { type, object } of admin.watch(pods, { namespace, signal: abort.signal })) {
      if (type !== 'ERROR' && object.metadata?.name === name && wanted(object as Pod)) {
        abort.abort();
        return object as Pod;
      }
    }
    throw new Error('watch ended');
  };
  const scheduledCondition = ({ status }: Pod) => status?.conditions?.find(({ type }) => type === 'PodScheduled');

  await admin.create(pods, pod('first', '1'));
  const waiting = await podWhen('first', (object) => scheduledCondition(object)?.status === 'False');
  t.match(scheduledCondition(waiting), { reason: 'Unschedulable', message: 'no nodes available to schedule pods' });
  const amounts = { cpu: '2', memory: '4Gi', pods: '10' };
  const node = await admin.create(nodes, {
    metadata: { name: 'n', labels: { 'kubernetes.io/hostname': 'n' } },
    spec: {},
    status: { allocatable: amounts, capacity: amounts },
  });
  // Admission taints a new node; the node lifecycle controller, which does not run here, takes that back when it is ready.
  await admin.update(nodes, { ...node, spec: {} });
  t.equal((await podWhen('first', (object) => Boolean(object.spec.nodeName))).spec.nodeName, 'n');
  await admin.create(pods, pod('second', '2'));
  const rejected = await podWhen('second', (object) => scheduledCondition(object)?.status === 'False');
  t.equal(
    scheduledCondition(rejected)?.message,
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
  );
  await admin.delete(pods, { namespace, name: 'first' }, { gracePeriodSeconds: 0 });
  const bound = await podWhen('second', (object) => Boolean(object.spec.nodeName));
  t.match(scheduledCondition(bound), { status: 'True' });
  await scheduler.stop();
  const list = await admin.list(events, { namespace });
  const told = list.items.map(
    ({ type, reason, message, involvedObject }) => `${type} ${reason} ${involvedObject.name}: ${message}`,
  );
  t.ok(told.includes('Normal Scheduled first: Successfully assigned x/first to n'), told.join('\n'));
  t.ok(told.includes('Warning FailedScheduling first: no nodes available to schedule pods'), told.join('\n'));
  t.ok(told.includes('Normal Scheduled second: Successfully assigned x/second to n'));
  t.same(complaints, []);
});
