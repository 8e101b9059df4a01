import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import t from 'tap';
import { startTestingServer } from '../api/testing-server.ts';
import { isApiError } from '../apimachinery/api-error.ts';
import { formatTime } from '../apimachinery/time.ts';
import type { Pod } from '../apimachinery/types/core-v1.ts';
import {
  configmaps,
  cronjobs,
  daemonsets,
  deployments,
  endpoints,
  endpointslices,
  jobs,
  namespaces,
  nodes,
  poddisruptionbudgets,
  pods,
  replicasets,
  serviceaccounts,
  services,
  statefulsets,
} from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';
import { createSharedInformers } from '../client/shared-informers.ts';
import { startControllers } from './controllers.ts';
import { objectKey } from './object-key.ts';

/** Waits for a state that the controllers bring about; fails the test when it does not come. */
async function eventually<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (let i = 0; i < 800; i++) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await delay(25);
  }
  throw new Error(`never seen: ${what}`);
}

async function isGone(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return false;
  } catch (error) {
    if (isApiError(error, 'NotFound')) return true;
    throw error;
  }
}

/** The scheduler's and the kubelet's part: pods run as soon as they are there, Jobs' pods succeed at once. */
async function runPods(client: ApiClient, signal: AbortSignal): Promise<void> {
  let next = 2;
  const act = async (pod: Pod): Promise<void> => {
    if (pod.metadata.deletionTimestamp !== undefined) {
      await client.delete(pods, objectKey(pod), { gracePeriodSeconds: 0 });
      return;
    }
    if (pod.spec.nodeName === undefined) {
      const target = { kind: 'Node', name: 'node-1' };
      await client.createSubresource(pods, objectKey(pod), 'binding', {
        metadata: { name: pod.metadata.name! },
        target,
      });
      return;
    }
    if ((pod.status?.podIP ?? '') !== '') return;
    const ip = `10.244.0.${next++}`;
    const done = pod.metadata.ownerReferences?.[0]?.kind === 'Job';
    const conditions = done ? [] : [{ type: 'Ready', status: 'True', lastTransitionTime: formatTime() }];
    const status = { ...pod.status, phase: done ? 'Succeeded' : 'Running', podIP: ip, podIPs: [{ ip }], conditions };
    await client.update(pods, { ...pod, status }, { subresource: 'status' });
  };
  for await (const event of client.watch(pods, {
    signal,
    sendInitialEvents: true,
    allowWatchBookmarks: true,
    resourceVersionMatch: 'NotOlderThan',
  })) {
    if (event.type !== 'ADDED' && event.type !== 'MODIFIED') continue;
    await act(event.object).catch((error: unknown) => {
      if (!isApiError(error, 'Conflict') && !isApiError(error, 'NotFound')) throw error;
    });
  }
}

const log: { msg?: string; err?: { message?: string }; controller?: string; queue?: string }[] = [];
const logger = pino({ level: 'info' }, { write: (line: string) => void log.push(JSON.parse(line)) });

const server = await startTestingServer();
const admin = server.api.clientFor({ name: 'admin', groups: ['system:masters', 'system:authenticated'] });
const stopPods = new AbortController();
const running = runPods(admin, stopPods.signal);

const start = async () => {
  const informers = createSharedInformers(
    server.api.clientFor({ name: 'system:kube-controller-manager', groups: ['system:authenticated'] }),
    logger,
  );
  const controllers = await startControllers({
    clientFor: (name) =>
      server.api.clientFor({
        name: `system:serviceaccount:kube-system:${name}`,
        groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
      }),
    informers,
    logger,
    rootCa: server.ca,
    clusterPodCidr: '10.244.0.0/16',
    nodeMonitorGraceMs: 3_600_000,
  });
  return {
    async stop() {
      await controllers.stop();
      await informers.stop();
    },
  };
};
let controllers = await start();

t.teardown(async () => {
  await controllers.stop();
  stopPods.abort();
  await running;
  await server.stop();
});

const namespace = 'default';
const labels = { app: 'web' };
const template = (image: string, restartPolicy = 'Always') => ({
  metadata: { labels },
  spec: { restartPolicy, containers: [{ name: 'app', image, ports: [{ name: 'http', containerPort: 8080 }] }] },
});

t.test('a namespace gets its service account and root CA, a node its range', async (t) => {
  await admin.create(nodes, { metadata: { name: 'node-1' }, spec: {} });
  await eventually(
    'service account',
    async () => !(await isGone(admin.get(serviceaccounts, { namespace, name: 'default' }))),
  );
  await eventually(
    'root CA',
    async () => !(await isGone(admin.get(configmaps, { namespace, name: 'kube-root-ca.crt' }))),
  );
  const node = await eventually('pod CIDR', async () => {
    const found = await admin.get(nodes, { name: 'node-1' });
    return found.spec?.podCIDR === undefined ? undefined : found;
  });
  t.equal(node.spec?.podCIDR, '10.244.0.0/24');
});

t.test('a deployment behind a service comes up, is updated across a restart, and goes', async (t) => {
  await admin.create(deployments, {
    metadata: { name: 'web', namespace },
    spec: { replicas: 4, selector: { matchLabels: labels }, template: template('app:1') },
  });
  await admin.create(services, {
    metadata: { name: 'web', namespace },
    spec: { selector: labels, ports: [{ port: 80, targetPort: 'http' }] },
  });
  await admin.create(poddisruptionbudgets, {
    metadata: { name: 'web', namespace },
    spec: { minAvailable: 3, selector: { matchLabels: labels } },
  });
  const available = (replicas: number, image: string) =>
    eventually(`${replicas} of ${image}`, async () => {
      const { status, metadata } = await admin.get(deployments, { namespace, name: 'web' });
      const all = (await admin.list(pods, { namespace, labelSelector: 'app=web' })).items;
      return (
        status?.availableReplicas === replicas &&
        status.updatedReplicas === replicas &&
        status.replicas === replicas &&
        status.observedGeneration === metadata.generation &&
        all.length === replicas &&
        all.every((pod) => pod.spec.containers[0]?.image === image)
      );
    });
  await available(4, 'app:1');
  const addresses = async () =>
    (await admin.list(endpointslices, { namespace, labelSelector: 'kubernetes.io/service-name=web' })).items
      .flatMap((slice) => slice.endpoints ?? [])
      .filter((endpoint) => endpoint.conditions?.ready === true).length;
  await eventually('4 endpoints', async () => (await addresses()) === 4);
  await eventually(
    'Endpoints',
    async () => (await admin.get(endpoints, { namespace, name: 'web' })).subsets?.[0]?.addresses?.length === 4,
  );
  await eventually(
    '1 disruption',
    async () => (await admin.get(poddisruptionbudgets, { namespace, name: 'web' })).status?.disruptionsAllowed === 1,
  );

  await admin.patch(
    deployments,
    { namespace, name: 'web' },
    { spec: { template: template('app:2') } },
    { type: 'strategic' },
  );
  for (let i = 0; i < 3; i++) {
    await controllers.stop();
    controllers = await start();
  }
  await available(4, 'app:2');
  t.equal(
    (await admin.get(deployments, { namespace, name: 'web' })).metadata.annotations?.[
      'deployment.kubernetes.io/revision'
    ],
    '2',
  );
  t.equal((await admin.list(replicasets, { namespace })).items.length, 2);

  await admin.delete(deployments, { namespace, name: 'web' }, { propagationPolicy: 'Foreground' });
  await eventually(
    'all gone',
    async () =>
      (await admin.list(pods, { namespace })).items.length === 0 &&
      (await isGone(admin.get(deployments, { namespace, name: 'web' }))),
  );
  t.equal((await admin.list(replicasets, { namespace })).items.length, 0);
});

t.test('a namespace with some of everything in it goes, and leaves nothing behind', async (t) => {
  await admin.create(namespaces, { metadata: { name: 'full' }, spec: {} });
  const metadata = { name: 'web', namespace: 'full' };
  const selector = { matchLabels: labels };
  await admin.create(statefulsets, {
    metadata,
    spec: { replicas: 2, serviceName: 'web', selector, template: template('app:1') },
  });
  await admin.create(daemonsets, {
    metadata,
    spec: {
      selector: { matchLabels: { app: 'agent' } },
      template: { ...template('app:1'), metadata: { labels: { app: 'agent' } } },
    },
  });
  await admin.create(jobs, { metadata, spec: { completions: 2, template: template('app:1', 'Never') } });
  await admin.create(cronjobs, {
    metadata,
    spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: { template: template('app:1', 'Never') } } },
  });
  await eventually(
    'stateful pods',
    async () => (await admin.get(statefulsets, metadata)).status?.availableReplicas === 2,
  );
  await eventually('daemon pod', async () => (await admin.get(daemonsets, metadata)).status?.numberAvailable === 1);
  await eventually('job', async () => (await admin.get(jobs, metadata)).status?.succeeded === 2);
  t.match(
    (await admin.get(jobs, metadata)).status?.conditions?.map(({ type }) => type),
    ['SuccessCriteriaMet', 'Complete'],
  );
  await admin.delete(namespaces, { name: 'full' });
  await eventually('namespace gone', () => isGone(admin.get(namespaces, { name: 'full' })));
  t.equal((await admin.list(pods, { namespace: 'full' })).items.length, 0);
});

t.test('nothing was forbidden to any controller', async (t) => {
  const refused = log.filter((line) => /forbidden|cannot/i.test(line.err?.message ?? ''));
  t.same(
    refused.map((line) => `${line.controller}: ${line.err?.message}`),
    [],
  );
  const failures = log.filter((line) => line.msg === 'reconcile failed');
  const unexpected = failures.filter(
    (line) => !/the object has been modified|already exists/.test(line.err?.message ?? ''),
  );
  t.same(
    unexpected.map((line) => `${line.controller} ${line.queue}: ${line.err?.message}`),
    [],
  );
});
