import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Pod } from '../apimachinery/types/core-v1.ts';
import { configmaps, events, leases, nodes, pods } from '../apimachinery/types/resources.ts';
import { FakeClient } from '../client/fake-client.ts';
import { createLogger } from '../log/logger.ts';
import { type HollowOptions, HollowRuntime } from './hollow-runtime.ts';
import { type Kubelet, startKubelet } from './kubelet.ts';

const logger = createLogger('test', process.env['BALSA_LOG_LEVEL'] ?? 'error');

class Node {
  readonly client = new FakeClient();
  readonly runtime: HollowRuntime;
  readonly dataDir = mkdtempSync(join(tmpdir(), 'balsa-kubelet-'));
  kubelet: Kubelet | undefined;

  constructor(options: HollowOptions = {}) {
    this.runtime = new HollowRuntime({ images: ['app:v1', 'app:v2'], ...options });
  }

  async start(): Promise<void> {
    this.kubelet = await startKubelet({
      client: this.client,
      nodeName: 'n1',
      nodeIp: '192.0.2.1',
      dataDir: this.dataDir,
      runtimeEndpoint: '',
      runtime: this.runtime,
      clusterDns: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
      logger,
    });
  }

  async stop(): Promise<void> {
    await this.kubelet?.stop();
  }

  create(name: string, spec: Partial<Pod['spec']> = {}, metadata: Pod['metadata'] = {}): Promise<Pod> {
    return this.client.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', ...metadata },
      spec: { nodeName: 'n1', restartPolicy: 'Always', containers: [{ name: 'c', image: 'app:v1' }], ...spec },
    });
  }

  get(name: string): Promise<Pod> {
    return this.client.get(pods, { namespace: 'default', name });
  }

  /** Resolves with the pod once it is as `accept` wants it. */
  async until(name: string, accept: (pod: Pod) => unknown): Promise<Pod> {
    const end = Date.now() + 10_000;
    for (;;) {
      const pod = await this.get(name);
      if (accept(pod)) return pod;
      if (Date.now() > end) throw new Error(`pod stays ${JSON.stringify(pod.status)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async untilGone(name: string): Promise<void> {
    while (
      await this.get(name).then(
        () => true,
        () => false,
      )
    )
      await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async reasons(name: string): Promise<string[]> {
    await this.stop();
    const list = await this.client.list(events, { namespace: 'default' });
    return list.items.filter(({ involvedObject }) => involvedObject.name === name).map(({ reason }) => reason ?? '');
  }
}

const ready = (pod: Pod) => pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
const only = (pod: Pod) => pod.status?.containerStatuses?.[0];

t.test('registers the node, with labels, conditions and a lease', async (t) => {
  const node = new Node();
  await node.start();
  t.teardown(() => node.stop());
  const { metadata, status } = await node.client.get(nodes, { name: 'n1' });
  t.match(metadata.labels, { 'kubernetes.io/os': 'linux', 'beta.kubernetes.io/os': 'linux' });
  t.strictSame(
    status?.conditions?.map(({ type, status, reason }) => [type, status, reason]),
    [
      ['MemoryPressure', 'False', 'KubeletHasSufficientMemory'],
      ['DiskPressure', 'False', 'KubeletHasNoDiskPressure'],
      ['PIDPressure', 'False', 'KubeletHasSufficientPID'],
      ['Ready', 'True', 'KubeletReady'],
    ],
  );
  t.equal(status?.capacity?.['pods'], '110');
  const lease = await node.client.get(leases, { namespace: 'kube-node-lease', name: 'n1' });
  t.match(lease.spec, { holderIdentity: 'n1', leaseDurationSeconds: 40 });
});

t.test('runs a pod, and lets the API forget it once it is taken down', async (t) => {
  const node = new Node();
  await node.start();
  await node.create('web');
  const pod = await node.until('web', ready);
  t.equal(pod.status?.phase, 'Running');
  t.match(pod.status?.podIP, /^10\.200\./);
  t.match(only(pod), { ready: true, started: true, restartCount: 0, containerID: /^hollow:\/\// });
  t.notOk(pod.status?.conditions?.some((one) => one.status === 'True' && one.reason !== undefined));
  await node.client.delete(pods, { namespace: 'default', name: 'web' }, { gracePeriodSeconds: 3 });
  await node.untilGone('web');
  t.equal(node.runtime.sandboxes.size, 0);
  t.equal(node.runtime.containers.size, 0);
  t.strictSame(await node.reasons('web'), ['Pulled', 'Created', 'Started', 'Killing']);
});

t.test('init containers run one after the other, sidecars beside the rest', async (t) => {
  const node = new Node();
  await node.start();
  t.teardown(() => node.stop());
  await node.create('p', {
    restartPolicy: 'Never',
    initContainers: [
      { name: 'first', image: 'app:v1' },
      { name: 'side', image: 'app:v1', restartPolicy: 'Always' },
      { name: 'second', image: 'app:v1' },
    ],
  });
  await node.until('p', (pod) => pod.status?.initContainerStatuses?.[0]?.state?.running);
  t.strictSame(
    node.runtime.journal.filter((line) => line.startsWith('start')),
    ['start first 0'],
  );
  node.runtime.exit(node.runtime.running('first').id, 0);
  await node.until('p', (pod) => pod.status?.initContainerStatuses?.[2]?.state?.running);
  node.runtime.exit(node.runtime.running('second').id, 0);
  await node.until('p', ready);
  node.runtime.exit(node.runtime.running('c').id, 0);
  const pod = await node.until('p', ({ status }) => status?.phase === 'Succeeded');
  t.match(only(pod)?.state?.terminated, { exitCode: 0, reason: 'Completed' });
  t.throws(() => node.runtime.running('side'));
});

t.test('a crash is followed by a restart, the next by a back-off', async (t) => {
  const node = new Node();
  await node.start();
  await node.create('p');
  await node.until('p', ready);
  node.runtime.exit(node.runtime.running('c').id, 1);
  await node.until('p', (pod) => only(pod)?.restartCount === 1 && ready(pod));
  node.runtime.exit(node.runtime.running('c').id, 2);
  const pod = await node.until('p', (one) => only(one)?.state?.waiting);
  t.equal(pod.status?.phase, 'Running');
  t.strictSame(only(pod)?.state?.waiting, {
    reason: 'CrashLoopBackOff',
    message: `back-off 10s restarting failed container=c pod=p_default(${pod.metadata?.uid})`,
  });
  t.match(only(pod)?.lastState?.terminated, { exitCode: 2, reason: 'Error' });
  t.ok((await node.reasons('p')).includes('BackOff'));
});

t.test('a failed init container of a pod that never restarts fails the pod', async (t) => {
  const node = new Node();
  await node.start();
  t.teardown(() => node.stop());
  await node.create('p', { restartPolicy: 'Never', initContainers: [{ name: 'init', image: 'app:v1' }] });
  await node.until('p', (pod) => pod.status?.initContainerStatuses?.[0]?.state?.running);
  node.runtime.exit(node.runtime.running('init').id, 7);
  const pod = await node.until('p', ({ status }) => status?.phase === 'Failed');
  t.match(pod.status?.initContainerStatuses?.[0]?.state?.terminated, { exitCode: 7 });
  t.notOk(node.runtime.journal.some((line) => line.startsWith('create c')));
});

t.test('what cannot start says why, and starts once it can', async (t) => {
  const node = new Node({
    pull: (image) => {
      if (image === 'gone:v1') throw new Error('no such image');
    },
  });
  await node.start();
  t.teardown(() => node.stop());
  await node.create('config', {
    containers: [{ name: 'c', image: 'app:v1', envFrom: [{ configMapRef: { name: 'settings' } }] }],
  });
  await node.create('never', { containers: [{ name: 'c', image: 'gone:v1', imagePullPolicy: 'Never' }] });
  await node.create('pull', { containers: [{ name: 'c', image: 'gone:v1' }] });
  await node.create('name', { containers: [{ name: 'c', image: 'Not An Image' }] });
  await node.create('root', {
    containers: [{ name: 'c', image: 'app:v1', securityContext: { runAsNonRoot: true, runAsUser: 0 } }],
  });
  const waiting = async (name: string) => {
    const pod = await node.until(name, (one) => (only(one)?.state?.waiting?.message ?? '') !== '');
    return only(pod)?.state?.waiting;
  };
  t.match(await waiting('config'), {
    reason: 'CreateContainerConfigError',
    message: 'configmap "settings" not found',
  });
  t.match(await waiting('never'), {
    reason: 'ErrImageNeverPull',
    message: 'Container image "gone:v1" is not present with pull policy of Never',
  });
  await node.until('pull', (pod) => only(pod)?.state?.waiting?.reason === 'ImagePullBackOff');
  t.match(await waiting('name'), { reason: 'InvalidImageName', message: /couldn't parse image name "Not An Image"/ });
  t.match(await waiting('root'), { reason: 'CreateContainerConfigError', message: /breaks non-root policy/ });
  await node.client.create(configmaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings', namespace: 'default' },
    data: { COLOUR: 'green' },
  });
  await node.until('config', ready);
  const config = [...node.runtime.containers.values()].find(({ status }) => status.id === node.runtime.running('c').id);
  t.ok(config?.config.envs.some(({ key, value }) => key === 'COLOUR' && value === 'green'));
});

t.test('a kubelet that comes back finds its pods, starts nothing twice, and takes down what was deleted', async (t) => {
  const node = new Node();
  await node.start();
  await node.create('stays');
  await node.create('goes');
  await node.until('stays', ready);
  const before = await node.until('goes', ready);
  await node.stop();
  const started = node.runtime.journal.filter((line) => line.startsWith('start')).length;
  // Gone from the API without this node's doing.
  await node.client.delete(pods, { namespace: 'default', name: 'goes' }, { gracePeriodSeconds: 0 });
  await node.start();
  t.teardown(() => node.stop());
  while (node.runtime.sandboxes.size > 1) await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal([...node.runtime.sandboxes.values()][0]?.config.metadata?.name, 'stays');
  t.notOk(
    [...node.runtime.containers.values()].some(({ config }) =>
      Object.values(config.labels).includes(before.metadata?.uid ?? ''),
    ),
  );
  t.equal(node.runtime.journal.filter((line) => line.startsWith('start')).length, started);
  t.ok(ready(await node.get('stays')));
});

t.test('a lost sandbox is made again, with the next number', async (t) => {
  const node = new Node();
  await node.start();
  await node.create('p');
  await node.until('p', ready);
  node.runtime.loseSandbox([...node.runtime.sandboxes.keys()][0] ?? '');
  await node.until('p', (pod) => only(pod)?.restartCount === 1 && ready(pod));
  t.match(node.runtime.journal.filter((line) => line.startsWith('run')).at(-1), /_1$/);
  t.ok((await node.reasons('p')).includes('SandboxChanged'));
});

t.test('another image replaces the container in place', async (t) => {
  const node = new Node();
  await node.start();
  t.teardown(() => node.stop());
  const pod = await node.create('p');
  await node.until('p', ready);
  await node.client.patch(
    pods,
    { namespace: 'default', name: 'p' },
    { spec: { containers: [{ name: 'c', image: 'app:v2' }] } },
    { type: 'strategic' },
  );
  const after = await node.until('p', (one) => only(one)?.image === 'app:v2' && ready(one));
  t.equal(after.metadata?.uid, pod.metadata?.uid);
  t.equal(node.runtime.sandboxes.size, 1);
});

t.test('liveness failure restarts a container; readiness failure only takes it out', async (t) => {
  let alive = true;
  let able = true;
  const node = new Node({
    exec: (_, [command]) => ({ exitCode: (command === 'alive' ? alive : able) ? 0 : 1 }),
  });
  await node.start();
  await node.create('p', {
    containers: [
      {
        name: 'c',
        image: 'app:v1',
        livenessProbe: { exec: { command: ['alive'] }, periodSeconds: 0.02, failureThreshold: 2 },
        readinessProbe: { exec: { command: ['able'] }, periodSeconds: 0.02, failureThreshold: 1 },
      },
    ],
  });
  await node.until('p', ready);
  able = false;
  await node.until('p', (pod) => !ready(pod));
  t.equal(only(await node.get('p'))?.restartCount, 0);
  able = true;
  await node.until('p', ready);
  alive = false;
  await node.until('p', (pod) => (only(pod)?.restartCount ?? 0) > 0);
  t.ok((await node.reasons('p')).includes('Unhealthy'));
});

t.test('a deadline that has passed, and a node that is full, fail the pod', async (t) => {
  const node = new Node();
  await node.start();
  t.teardown(() => node.stop());
  await node.create('late', { activeDeadlineSeconds: 1 });
  await node.create('big', { containers: [{ name: 'c', image: 'app:v1', resources: { requests: { cpu: '1000' } } }] });
  const big = await node.until('big', ({ status }) => status?.phase === 'Failed');
  t.match(big.status, {
    reason: 'OutOfcpu',
    message: /^Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000/,
  });
  t.equal(big.status?.containerStatuses, undefined);
  const late = await node.until('late', ({ status }) => status?.phase === 'Failed');
  t.equal(late.status?.reason, 'DeadlineExceeded');
});

t.test('a kubelet that ends between creating and starting a container leaves no second one behind', async (t) => {
  const node = new Node();
  const { startContainer } = node.runtime;
  let reached = () => {};
  const created = new Promise<void>((resolve) => {
    reached = resolve;
  });
  // As if the process had been killed here: the call never returns.
  node.runtime.startContainer = () => {
    reached();
    return new Promise(() => {});
  };
  await node.start();
  await node.create('p');
  await created;
  await node.stop();
  t.equal(node.runtime.containers.size, 1);
  node.runtime.startContainer = startContainer;
  await node.start();
  t.teardown(() => node.stop());
  const pod = await node.until('p', ready);
  t.equal(only(pod)?.restartCount, 0);
  t.equal(node.runtime.containers.size, 1);
  t.equal(node.runtime.sandboxes.size, 1);
  t.strictSame(
    node.runtime.journal.filter((line) => line.startsWith('start')),
    ['start c 0'],
  );
});

t.test('a shorter grace period hurries the end of a pod', async (t) => {
  const node = new Node();
  const graces: number[] = [];
  const { stopContainer } = node.runtime;
  let release = () => {};
  node.runtime.stopContainer = async (id: string, seconds?: number) => {
    graces.push(seconds ?? 0);
    // The first try waits for a process that takes its time; the second is in a hurry.
    if (graces.length === 1)
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    else release();
    await stopContainer.call(node.runtime, id);
  };
  await node.start();
  t.teardown(() => node.stop());
  await node.create('p', { terminationGracePeriodSeconds: 600 });
  await node.until('p', ready);
  await node.client.delete(pods, { namespace: 'default', name: 'p' }, { gracePeriodSeconds: 600 });
  while (graces.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await node.client.delete(pods, { namespace: 'default', name: 'p' }, { gracePeriodSeconds: 1 });
  await node.untilGone('p');
  t.strictSame(graces, [600, 1]);
});
