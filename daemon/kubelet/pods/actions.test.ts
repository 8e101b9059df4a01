import t from 'tap';
import {
  ContainerState,
  ContainerStatus,
  PodSandboxState,
  PodSandboxStatus,
} from '../../../proto/generated/cri/runtime/v1/api.ts';
import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import { annotations, containerHash } from '../container/labels.ts';
import { noProbeResults } from '../probes/results.ts';
import { computeActions, type PodActions } from './actions.ts';
import type { PodRuntime, RuntimeContainer } from './pod-runtime.ts';

const container = (name: string, rest: Partial<Container> = {}): Container => ({ name, image: 'app:v1', ...rest });
const pod = (spec: Partial<Pod['spec']>): Pod => ({
  metadata: { name: 'p', uid: 'u' },
  spec: { containers: [container('a'), container('b')], ...spec },
});
const sandbox = (attempt = 0, ready = true): PodSandboxStatus =>
  PodSandboxStatus.fromPartial({
    id: `s${attempt}`,
    metadata: { attempt },
    state: ready ? PodSandboxState.SANDBOX_READY : PodSandboxState.SANDBOX_NOTREADY,
    network: { ip: '10.0.0.1' },
  });
const has = (name: string, state: number | 'running', sandboxId = 's0', image = 'app:v1'): RuntimeContainer => ({
  name,
  sandboxId,
  status: ContainerStatus.fromPartial({
    id: `${name}-id`,
    state: state === 'running' ? ContainerState.CONTAINER_RUNNING : ContainerState.CONTAINER_EXITED,
    exitCode: state === 'running' ? 0 : state,
    annotations: { [annotations.hash]: containerHash({ name, image }) },
  }),
});
const runtime = (sandboxes: PodSandboxStatus[], ...containers: RuntimeContainer[]): PodRuntime => ({
  sandboxes,
  containers,
});
const names = (actions: PodActions) => ({
  sandbox: actions.createSandbox ? actions.attempt : 'kept',
  kill: actions.killPod ? 'pod' : actions.kills.map(({ running, reason }) => `${running.name} ${reason}`),
  init: actions.initContainersToStart.map(({ name }) => name),
  start: actions.containersToStart.map(({ name }) => name),
});

const init = { initContainers: [container('i'), container('side', { restartPolicy: 'Always' }), container('j')] };
const s = [sandbox()];

const cases: { title: string; pod: Pod; has: PodRuntime; want: object; results?: Partial<typeof noProbeResults> }[] = [
  {
    title: 'a new pod',
    pod: pod({}),
    has: runtime([]),
    want: { sandbox: 0, kill: 'pod', init: [], start: ['a', 'b'] },
  },
  {
    title: 'a new pod with init containers',
    pod: pod(init),
    has: runtime([]),
    want: { sandbox: 0, init: ['i'], start: [] },
  },
  {
    title: 'all runs',
    pod: pod({}),
    has: runtime(s, has('a', 'running'), has('b', 'running')),
    want: { sandbox: 'kept', kill: [], start: [] },
  },
  {
    title: 'one ended, restarted',
    pod: pod({}),
    has: runtime(s, has('a', 0), has('b', 'running')),
    want: { start: ['a'], kill: [] },
  },
  {
    title: 'one ended well, OnFailure',
    pod: pod({ restartPolicy: 'OnFailure' }),
    has: runtime(s, has('a', 0), has('b', 'running')),
    want: { start: [], kill: [] },
  },
  {
    title: 'one ended badly, OnFailure',
    pod: pod({ restartPolicy: 'OnFailure' }),
    has: runtime(s, has('a', 1), has('b', 'running')),
    want: { start: ['a'] },
  },
  {
    title: 'one ended, Never',
    pod: pod({ restartPolicy: 'Never' }),
    has: runtime(s, has('a', 1), has('b', 'running')),
    want: { start: [], kill: [] },
  },
  {
    title: 'all ended, Never',
    pod: pod({ restartPolicy: 'Never' }),
    has: runtime(s, has('a', 1), has('b', 0)),
    want: { start: [], kill: 'pod', sandbox: 'kept' },
  },
  {
    title: 'the sandbox is lost',
    pod: pod({}),
    has: runtime([sandbox(3, false)], has('a', 255, 's3')),
    want: { sandbox: 4, kill: 'pod', start: ['a', 'b'] },
  },
  {
    title: 'the sandbox is lost, Never',
    pod: pod({ restartPolicy: 'Never' }),
    has: runtime([sandbox(0, false)], has('a', 255)),
    want: { sandbox: 'kept', kill: 'pod', start: [] },
  },
  {
    title: 'the sandbox is lost after success, OnFailure',
    pod: pod({ restartPolicy: 'OnFailure' }),
    has: runtime([sandbox(0, false)], has('a', 0), has('b', 255)),
    want: { sandbox: 1, start: ['b'] },
  },
  {
    title: 'two ready sandboxes',
    pod: pod({}),
    has: runtime([sandbox(1), sandbox(0)]),
    want: { sandbox: 2, kill: 'pod' },
  },
  {
    title: 'another image',
    pod: pod({}),
    has: runtime(s, has('a', 'running', 's0', 'app:v0'), has('b', 'running')),
    want: { kill: ['a ContainerDefinitionChanged'], start: ['a'] },
  },
  {
    title: 'liveness',
    pod: pod({}),
    has: runtime(s, has('a', 'running'), has('b', 'running')),
    results: { liveness: (id) => (id === 'b-id' ? 'failure' : 'success') },
    want: { kill: ['b LivenessProbe'], start: ['b'] },
  },
  {
    title: 'liveness, Never',
    pod: pod({ restartPolicy: 'Never' }),
    has: runtime(s, has('a', 'running'), has('b', 'running')),
    results: { liveness: (id) => (id === 'b-id' ? 'failure' : 'success') },
    want: { kill: ['b LivenessProbe'], start: [] },
  },
  {
    title: 'first init container runs',
    pod: pod(init),
    has: runtime(s, has('i', 'running')),
    want: { init: [], start: [], kill: [] },
  },
  {
    title: 'first init container done',
    pod: pod(init),
    has: runtime(s, has('i', 0)),
    want: { init: ['side'], start: [] },
  },
  {
    title: 'sidecar started',
    pod: pod(init),
    has: runtime(s, has('side', 'running'), has('i', 0)),
    want: { init: ['j'], start: [] },
  },
  {
    title: 'init containers done',
    pod: pod(init),
    has: runtime(s, has('j', 0), has('side', 'running'), has('i', 0)),
    want: { init: [], start: ['a', 'b'] },
  },
  { title: 'init container failed', pod: pod(init), has: runtime(s, has('i', 1)), want: { init: ['i'], start: [] } },
  {
    title: 'init container failed, Never',
    pod: pod({ ...init, restartPolicy: 'Never' }),
    has: runtime(s, has('i', 1)),
    want: { init: [], kill: 'pod', sandbox: 'kept' },
  },
  {
    title: 'a sidecar ended while the rest runs',
    pod: pod(init),
    has: runtime(s, has('a', 'running'), has('b', 'running'), has('side', 1), has('i', 0)),
    want: { init: ['side'], start: [], kill: [] },
  },
  {
    title: 'init containers of a lost sandbox run again',
    pod: pod(init),
    has: runtime([sandbox(1), sandbox(0, false)], has('i', 0, 's0'), has('a', 255, 's0')),
    want: { init: ['i'], start: [] },
  },
];

for (const { title, pod, has, want, results } of cases)
  t.test(title, async (t) => t.match(names(computeActions(pod, has, { ...noProbeResults, ...results })), want));

t.test('what is done is done once: after the actions nothing is left', async (t) => {
  const after = runtime(s, has('a', 'running'), has('b', 'running'), has('j', 0), has('side', 'running'), has('i', 0));
  const left = names(computeActions(pod(init), after, noProbeResults));
  t.strictSame(left, { sandbox: 'kept', kill: [], init: [], start: [] });
});
