import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createTestNode, eventually, requireRoot } from './cluster/test-node.ts';

/** Volumes that are made for claims: written, kept from pod to pod, and taken away with the claim. */
requireRoot();
t.setTimeout(240_000);

const node = createTestNode(t);

const manifest = `
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { clusterIP: None, selector: { app: db }, ports: [{ port: 80 }] }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  serviceName: db
  replicas: 2
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: balsa.local/demo:v1
          volumeMounts: [{ name: data, mountPath: /data }]
  volumeClaimTemplates:
    - metadata: { name: data }
      spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
`;

t.test('a StatefulSet whose pods have volumes of their own', async (t) => {
  await node.start();
  await node.kubectl(['apply', '-f', '-'], { input: manifest });
  await node.kubectl(['rollout', 'status', 'statefulset/db', '--timeout=90s']);
  const claims = await node.kubectl([
    'get',
    'pvc',
    '-o',
    'jsonpath={.items[*].status.phase} {.items[*].spec.storageClassName}',
  ]);
  t.equal(claims, 'Bound Bound local-path local-path');
  const directory = await node.kubectl(['get', 'pv', '-o', 'jsonpath={.items[0].spec.hostPath.path}']);
  t.ok(existsSync(directory), 'the volume is a directory of the node');
  t.match(directory, /\/pvc-[0-9a-f-]+_default_data-db-[01]$/);

  await node.kubectl(['delete', 'statefulset', 'db', '--wait=true']);
  await node.kubectl(['wait', '--for=delete', 'pod', '-l', 'app=db', '--timeout=60s']);
  t.ok(existsSync(directory), 'data outlives the pods');
  await node.kubectl(['delete', 'pvc', '--all', '--timeout=60s']);
  await eventually('the volumes are gone', async () => (await node.kubectl(['get', 'pv', '-o', 'name'])) === '');
  await eventually('the directories are gone', async () => !existsSync(directory), 90_000);
  t.same(readdirSync(join(node.dataDir, 'kubelet/local-volumes')), [], 'nothing is remembered of them');
});
