/**
 * Pods bound per second on hollow nodes. `plain`, `spread` and `affinity` go through the in-memory API client: what the
 * scheduler itself costs. `api` goes through the API server in the process, over a store in memory.
 *
 *     node --import=tsx test/bench/scheduler.ts [nodes] [pods] [plain|spread|affinity|api]
 */
import { startTestingServer } from '../../daemon/api/testing-server.ts';
import type { Node, Pod } from '../../daemon/apimachinery/types/core-v1.ts';
import {
  namespaces,
  nodes,
  pods,
  replicasets,
  serviceaccounts,
  services,
} from '../../daemon/apimachinery/types/resources.ts';
import { FakeClient } from '../../daemon/client/fake-client.ts';
import { createSharedInformers } from '../../daemon/client/shared-informers.ts';
import { createLogger } from '../../daemon/log/logger.ts';
import { startScheduler } from '../../daemon/scheduler/scheduler.ts';

type Kind = 'plain' | 'spread' | 'affinity';

function hollowNode(i: number): Node {
  const name = `node-${i}`;
  const amounts = { cpu: '32', memory: '64Gi', pods: '110' };
  const labels = { 'kubernetes.io/hostname': name, 'topology.kubernetes.io/zone': `zone-${i % 3}` };
  return { metadata: { name, labels }, spec: {}, status: { allocatable: amounts, capacity: amounts } };
}

function pendingPod(i: number, kind: Kind): Pod {
  const antiAffinity = {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        {
          weight: 1,
          podAffinityTerm: { labelSelector: { matchLabels: { app: 'web' } }, topologyKey: 'kubernetes.io/hostname' },
        },
      ],
    },
  };
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'rs', controller: true };
  return {
    metadata: {
      name: `pod-${i}`,
      namespace: 'bench',
      labels: { app: 'web' },
      ...(kind === 'spread' ? { ownerReferences: [owner] } : {}),
    },
    spec: {
      containers: [{ name: 'c', image: 'busybox', resources: { requests: { cpu: '100m', memory: '128Mi' } } }],
      ...(kind === 'affinity' ? { affinity: antiAffinity } : {}),
    },
  };
}

async function measure(nodeCount: number, podCount: number, kind: Kind): Promise<void> {
  const logger = createLogger('bench', 'warn');
  const client = new FakeClient({ freeze: false });
  client.seed(namespaces, { metadata: { name: 'bench' }, spec: {} });
  client.seed(services, { metadata: { name: 'web', namespace: 'bench' }, spec: { selector: { app: 'web' } } });
  client.seed(replicasets, {
    metadata: { name: 'web', namespace: 'bench', uid: 'rs' },
    spec: { selector: { matchLabels: { app: 'web' } } },
  });
  client.seed(nodes, ...Array.from({ length: nodeCount }, (_, i) => hollowNode(i)));
  const bound = new Promise<number>((resolve) => {
    let left = podCount;
    client.react(({ subresource }) => {
      if (subresource === 'binding' && --left === 0) {
        resolve(performance.now());
      }
    });
  });
  client.seed(pods, ...Array.from({ length: podCount }, (_, i) => pendingPod(i, kind)));
  const informers = createSharedInformers(client, logger);
  const before = performance.now();
  const scheduler = await startScheduler({ client, informers, logger });
  report(kind, nodeCount, podCount, before, await bound);
  await scheduler.stop();
  await informers.stop();
}

async function measureThroughApi(nodeCount: number, podCount: number): Promise<void> {
  const logger = createLogger('bench', 'warn');
  const server = await startTestingServer();
  const admin = server.api.clientFor({ name: 'admin', groups: ['system:masters'] });
  await admin.create(namespaces, { metadata: { name: 'bench' }, spec: {} });
  await admin.create(serviceaccounts, { metadata: { name: 'default', namespace: 'bench' } });
  for (let i = 0; i < nodeCount; i++) {
    await admin.create(nodes, hollowNode(i));
  }
  for (let i = 0; i < podCount; i++) {
    await admin.create(pods, pendingPod(i, 'plain'));
  }
  const client = server.api.clientFor({ name: 'system:kube-scheduler', groups: ['system:authenticated'] });
  const informers = createSharedInformers(client, logger);
  const before = performance.now();
  const scheduler = await startScheduler({ client, informers, logger });
  const bound = new Set<string>();
  for await (const { type, object } of admin.watch(pods, { namespace: 'bench' })) {
    if (type !== 'ERROR' && (object as Pod).spec.nodeName) {
      bound.add(object.metadata?.name ?? '');
    }
    if (bound.size === podCount) {
      break;
    }
  }
  report('api', nodeCount, podCount, before);
  await scheduler.stop();
  await informers.stop();
  await server.stop();
}

function report(kind: string, nodeCount: number, podCount: number, before: number, after = performance.now()): void {
  const seconds = (after - before) / 1000;
  const rate = Math.round(podCount / seconds);
  process.stdout.write(
    `${kind.padEnd(8)} ${nodeCount} nodes, ${podCount} pods: ${seconds.toFixed(2)} s, ${rate} pods/s\n`,
  );
}

const [nodeCount = '1000', podCount = '10000', only] = process.argv.slice(2);
for (const kind of ['plain', 'spread', 'affinity'] as const) {
  if (only === undefined || only === kind) {
    await measure(Number(nodeCount), Number(podCount), kind);
  }
}
if (only === undefined || only === 'api') {
  await measureThroughApi(Number(nodeCount), Number(podCount));
}
