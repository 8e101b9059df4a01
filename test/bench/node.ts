import { readFileSync } from 'node:fs';
import { createTestNode, eventually } from '../integration/cluster/test-node.ts';

/**
 * A whole node: cold start to Ready, idle memory, and the time from `kubectl apply` of 30 replicas to all Ready, beside what
 * containerd alone needs for 30 sandboxes with a container each (`crictl`-like, through `ctr`), so that our share is seen.
 */
const cleanUps: (() => Promise<void>)[] = [];
const node = createTestNode({ teardown: (handler) => cleanUps.push(handler) });

const mebibytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: thirty }
spec:
  replicas: 30
  selector: { matchLabels: { app: thirty } }
  template:
    metadata: { labels: { app: thirty } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: main, image: 'balsa.local/demo:v1' }]
`;

const socketOf = async (): Promise<string> =>
  (
    await node.namespace.exec([
      'sh',
      '-c',
      `find ${node.runDir} /run/balsa-* -name containerd.sock 2>/dev/null | head -1`,
    ])
  ).trim();

/** 60 bare containers (30 pause, 30 demo) started by containerd and runc alone, two at a time: the floor under our number. */
async function containerdAlone(): Promise<number> {
  const socket = await socketOf();
  const began = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < 60; index = next++) {
      const image = index % 2 === 0 ? 'balsa.local/pause:1' : 'balsa.local/demo:v1';
      await node.namespace.exec(['ctr', '-a', socket, '-n', 'k8s.io', 'run', '--detach', image, `bench-${index}`]);
    }
  };
  await Promise.all([worker(), worker()]);
  const seconds = (performance.now() - began) / 1000;
  for (let index = 0; index < 60; index++)
    await node.namespace.exec(['ctr', '-a', socket, '-n', 'k8s.io', 'tasks', 'rm', '--force', `bench-${index}`]);
  return seconds;
}

try {
  const first = await node.start();
  await node.stop();
  const second = await node.start();
  console.log(`cold start to Ready: first ${first.toFixed(1)} s, again ${second.toFixed(1)} s (goal 3 s)`);
  await new Promise((resolve) => setTimeout(resolve, 15_000));
  console.log(`idle resident memory of balsad: ${mebibytes(node.pid).toFixed(0)} MiB (goal under 200 MiB)`);
  const alone = await containerdAlone();
  const began = performance.now();
  await node.kubectl(['apply', '-f', '-'], { input: manifest });
  await eventually(
    '30 ready',
    async () =>
      (await node.kubectl(['get', 'deployment', 'thirty', '-o', 'jsonpath={.status.readyReplicas}'])) === '30',
    180_000,
  );
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `30 replicas, apply to all Ready: ${seconds.toFixed(1)} s (goal under 12 s); containerd and runc alone, 60 bare containers: ${alone.toFixed(1)} s; ratio ${(seconds / alone).toFixed(2)}`,
  );
  console.log(`memory with 30 pods: ${mebibytes(node.pid).toFixed(0)} MiB`);
} finally {
  for (const cleanUp of cleanUps) await cleanUp();
}
